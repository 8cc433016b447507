//! The last resort against a measurement that hangs.
//!
//! Every loop of the load has a deadline of its own. Should one be missing, the
//! watchdog ends the contestant, and the run goes on with the next one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use corecast_kit::process;

use crate::During;
use crate::{Error, Result};

/// Time for the measurement to notice that its contestant is gone.
const GRACE: Duration = Duration::from_secs(10);

/// Does `work` on a thread of its own, on the same cores, and returns what it
/// returns. Panics become errors. After `limit` all children are killed.
///
/// # Errors
/// Those of `work`; it did not end within `limit`; it panicked; or there is no
/// room for a thread.
pub fn guarded<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, outcome) = mpsc::channel();
    let thread = move || {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(Error::Driver(
                "the driver itself failed, see the panic above".into(),
            ))
        });
        // The receiver is gone if this came too late.
        let _ = done.send(result);
    };
    thread::Builder::new()
        .name("measurement".into())
        .spawn(thread)
        .during("starting a thread for the measurement")?;
    if let Ok(result) = outcome.recv_timeout(limit) {
        return result;
    }
    process::kill_all();
    let and = match outcome.recv_timeout(GRACE) {
        Ok(_) => "it was killed",
        Err(_) => "it was killed, but its load goes on: what was measured after this is doubtful",
    };
    Err(Error::Stalled(format!(
        "the measurement did not end within {limit:?}; {and}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast_kit::process::{Place, Process};
    use std::process::Command;
    use std::time::Instant;

    #[test]
    fn a_result_is_handed_on_and_a_panic_is_an_error() {
        let minute = Duration::from_secs(60);
        assert_eq!(guarded(minute, || Ok(7)).unwrap(), 7);
        let error = guarded::<()>(minute, || panic!("on purpose")).unwrap_err();
        assert!(matches!(error, Error::Driver(_)), "{error}");
    }

    #[test]
    fn a_measurement_that_hangs_loses_its_children_and_ends() {
        let started = Instant::now();
        let error = guarded(Duration::from_millis(300), || {
            let mut command = Command::new("sleep");
            Process::run(
                command.arg("300"),
                Place::default(),
                Duration::from_secs(300),
            )
        });
        let words = error.unwrap_err().to_string();
        assert!(words.ends_with("it was killed"), "{words}");
        assert!(started.elapsed() < GRACE);
    }
}
