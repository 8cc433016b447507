//! Two threads on two cores.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use core_affinity::CoreId;

/// How long a thread may keep the other waiting before that is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first two cores this process may use, unless it has only one. Asked once, as a
/// pinned thread is told of no other core than its own.
static TWO_CORES: LazyLock<Option<[CoreId; 2]>> =
    LazyLock::new(|| core_affinity::get_core_ids()?.first_chunk().copied());

/// A thread on a core of its own that takes turns without rest until it is dropped.
pub struct Peer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Pins the calling thread to the first core and starts a thread on the second,
    /// which calls `make_turn` and then takes the turns that it makes. Says so and
    /// returns `None` where there is no second core.
    pub fn start<T: FnMut()>(make_turn: impl FnOnce() -> T + Send + 'static) -> Option<Peer> {
        let Some([here, there]) = *TWO_CORES else {
            eprintln!("left out: it needs two cores");
            return None;
        };
        assert!(core_affinity::set_for_current(here));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                assert!(core_affinity::set_for_current(there));
                let mut turn = make_turn();
                while !stop.load(Ordering::Relaxed) {
                    turn();
                }
            }
        });
        Some(Peer {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(!matches!(joined, Some(Err(_))), "the other thread failed");
        }
    }
}

/// Waits without sleeping. A peer that never comes is an error, not a hang.
///
/// # Panics
/// When `ready` has not come true for ten seconds.
#[inline]
pub fn spin_until(mut ready: impl FnMut() -> bool) {
    for _ in 0..1 << 16 {
        if ready() {
            return;
        }
        hint::spin_loop();
    }
    spin_with_patience(ready);
}

/// Looks at the clock too, which would blur a short wait.
#[cold]
fn spin_with_patience(mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(
            start.elapsed() < PATIENCE,
            "the other thread does not answer"
        );
        hint::spin_loop();
    }
}
