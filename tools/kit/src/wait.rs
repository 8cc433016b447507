//! Waiting for an event instead of for a guessed time.

use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks.
const GLANCE: Duration = Duration::from_millis(5);

/// Looks again and again until there is a value; `None` if `limit` passes first.
pub fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        let seen = look();
        if seen.is_some() || started.elapsed() >= limit {
            return seen;
        }
        thread::sleep(GLANCE);
    }
}

/// Asks again and again until the answer is yes; `false` if `limit` passes first.
pub fn poll_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    poll(limit, || is_so().then_some(())).is_some()
}
