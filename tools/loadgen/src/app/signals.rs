//! Ctrl-C ends a run with the report of the measurements so far.

use corecast::sys::StopSignals;

use crate::engine::Stop;

/// Exit status of a process that a signal ended, as shells have it: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Lets the first signal end the run in good order and the second at once. To
/// be called before any other thread is started.
pub(super) fn stop_on_ctrl_c(stop: &Stop) {
    let signals = match StopSignals::block() {
        Ok(signals) => signals,
        Err(error) => return eprintln!("corecast-load: Ctrl-C ends at once: {error}"),
    };
    let stop = stop.clone();
    std::thread::spawn(move || {
        let signal = signals.wait();
        eprintln!("corecast-load: {signal}: ending the run; again ends it at once");
        stop.ask();
        signals.wait();
        std::process::exit(INTERRUPTED);
    });
}
