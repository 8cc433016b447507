//! SIGUSR2 hands the API's listener over: a backend finds it at the same address, with
//! the file of keys as it is then.
//!
//! How: requests before, during and after a hand-over; none is refused.

use std::fs;

use crate::backend::{ALL, DASH, WithApi, keys};
use crate::support::{drivers, wait_until};

/// Ends the process that has taken over with the test.
struct Ends(libc::pid_t);

impl Drop for Ends {
    fn drop(&mut self) {
        // SAFETY: kill takes no pointers.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

#[test]
fn the_api_stays_at_its_address() {
    for driver in drivers() {
        let it = WithApi::start(&["--driver", driver, "--shards", "1", "--drain-timeout", "0s"]);
        let post = || it.post("t", "text/plain", b"1").status;
        assert_eq!(post(), 202);
        fs::write(&it.key_file, keys().replace(DASH, "new-0123456789abcdef")).unwrap();
        it.server.signal(libc::SIGUSR2);
        let mut pid = None;
        wait_until("a new process has taken over", || {
            assert_eq!(post(), 202);
            let log = it.server.log();
            pid = log.lines().find_map(|line| {
                let (_, rest) = line.split_once(": process ")?;
                rest.split_once(" has taken over")?.0.parse().ok()
            });
            pid.is_some()
        });
        let _new_process = Ends(pid.unwrap());
        wait_until("the old process has ended", || {
            assert_eq!(post(), 202);
            it.server.has_ended()
        });
        assert_eq!(it.ask("new-0123456789abcdef", "GET", "/topics").status, 200);
        assert_eq!(it.ask(DASH, "GET", "/topics").status, 401);
        assert_eq!(it.ask(ALL, "GET", "/topics").status, 200);
    }
}
