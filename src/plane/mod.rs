//! The session plane: which sockets became readable or writable.
//!
//! An established session has no task and no buffer. Its socket is watched
//! once, for as long as it lives, and each turn of the shard asks the plane
//! for everything that became ready since the last one. Two implementations:
//! [`uring::UringPlane`] and [`epoll::EpollPlane`]; everything above is the
//! same code.
//!
//! The thread also sleeps on its plane, which therefore watches all else that can wake
//! the thread: the event that other threads write to, and the [runtime](guest::Guest)
//! of the thread.
//!
//! # Invariants worth naming
//!
//! - **Edges, not levels.** A readiness is reported once when it begins. A session that
//!   leaves bytes unread must be remembered and read again.
//! - **One watch for all directions.** Writability is watched from the start.
//!   It costs nothing while a socket has room, because the kernel only reports
//!   room after a send has failed for lack of it.
//! - **One wait per wake.** What a wait has found is served by the next turn without
//!   another call; a thread with little to do makes one call to wait, and none to look.
//! - **A key is never reused.** It carries a generation, so that a readiness
//!   of a closed session cannot reach the next one in its place.

pub mod epoll;
pub mod guest;
pub mod uring;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::config::Driver;
use crate::link::Link;

/// Names a session of one shard, unmistakably over the shard's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// Place in the shard's session table.
    pub index: u32,
    /// Counts the sessions of the shard, so that no two share a key.
    pub generation: u32,
}

impl SessionKey {
    /// The key as one number, for the kernel to keep.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key that [`to_bits`](SessionKey::to_bits) made into a number.
    pub fn from_bits(bits: u64) -> Self {
        SessionKey {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

/// The operations that became possible on a session's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// The session.
    pub key: SessionKey,
    /// Bytes, an end of stream or an error can be read.
    pub readable: bool,
    /// A send that failed for lack of room may be tried again.
    pub writable: bool,
    /// The peer has closed its end: read on until the end of stream is seen,
    /// because no further readiness will tell of it.
    pub hung_up: bool,
    /// The connection is over for both directions, by a reset or two ends.
    pub lost: bool,
    /// The watch ended with this report, because the kernel had no room to
    /// keep it: watch the socket again.
    pub lapsed: bool,
}

impl Readiness {
    /// Reads the event bits that poll and epoll share.
    fn from_events(key: SessionKey, events: u32) -> Self {
        const LOST: u32 = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
        let lost = events & LOST != 0;
        let hung_up = lost || events & libc::EPOLLRDHUP as u32 != 0;
        Readiness {
            key,
            readable: hung_up || events & libc::EPOLLIN as u32 != 0,
            writable: events & libc::EPOLLOUT as u32 != 0,
            hung_up,
            lost,
            lapsed: false,
        }
    }
}

/// The events every socket is watched for; errors and hang-ups come unasked. The bits
/// are the same for poll and epoll.
const WATCHED: u32 = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP) as u32;

/// A source of readiness events for any number of sockets.
pub trait Plane {
    /// Reports the readiness of this link's socket under `key` from now on.
    ///
    /// # Errors
    /// When the kernel has no memory for one more watch.
    fn watch(&mut self, link: &Link, key: SessionKey) -> io::Result<()>;

    /// Stops reporting. The socket may be closed right after; the kernel lets
    /// go of it at the latest in the next [`turn`](Plane::turn).
    fn unwatch(&mut self, link: &Link, key: SessionKey);

    /// Appends what became ready, without waiting; what the last
    /// [`wait`](Plane::wait) found comes without a call to the kernel. Returns
    /// whether more is ready than was taken.
    ///
    /// # Errors
    /// Only when the kernel interface itself is broken.
    fn turn(&mut self, ready: &mut Vec<Readiness>) -> io::Result<bool>;

    /// A cheap guess, without a system call where possible, whether a turn
    /// would find anything, or has yet to hand the kernel what was asked for
    /// since the last one. To be asked before waiting, and for busy polling.
    fn looks_ready(&mut self) -> bool;

    /// Waits until a turn may find something, the thread's event is notified, the
    /// guest calls or `limit` is over. It may also end for no reason.
    ///
    /// # Errors
    /// Only when the kernel interface itself is broken.
    fn wait(&mut self, limit: Option<Duration>) -> io::Result<()>;

    /// Notes, and ends a wait, when the thread's guest can be read: now, or at any
    /// time later. To be asked for again after each call that was taken; the guest
    /// must be the same as before.
    ///
    /// # Errors
    /// When the kernel has no memory for one more watch.
    fn await_call(&mut self, guest: BorrowedFd<'_>) -> io::Result<()>;

    /// Whether the guest has called, which is then forgotten.
    fn takes_call(&mut self) -> bool;
}

/// The driver a server will really use, once `auto` is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolvedDriver {
    /// io_uring.
    Uring,
    /// epoll.
    Epoll,
}

impl ResolvedDriver {
    /// The word used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ResolvedDriver::Uring => "uring",
            ResolvedDriver::Epoll => "epoll",
        }
    }
}

/// Decides between io_uring and epoll by really making a ring.
///
/// # Errors
/// When `uring` was asked for and cannot be had; the error names the likely
/// cause and the remedy.
pub fn resolve_driver(driver: Driver) -> Result<ResolvedDriver, uring::Unavailable> {
    match driver {
        Driver::Epoll => Ok(ResolvedDriver::Epoll),
        Driver::Uring => probe_apart().map(|()| ResolvedDriver::Uring),
        Driver::Auto => Ok(match probe_apart() {
            Ok(()) => ResolvedDriver::Uring,
            Err(unavailable) => {
                tracing::warn!("falling back to epoll: {unavailable}");
                ResolvedDriver::Epoll
            }
        }),
    }
}

/// Probes on a thread that ends, because taking a ring down interrupts the
/// next blocking call of the thread that made it.
fn probe_apart() -> Result<(), uring::Unavailable> {
    std::thread::Builder::new()
        .name("probe".to_owned())
        .spawn(uring::probe)
        .map_err(uring::Unavailable::no_thread)?
        .join()
        .expect("probing does not panic")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::runtime::make_plane;
    use crate::sys::{EventFd, Socket};

    /// Longer than any wait here should last.
    const LONG: Duration = Duration::from_secs(20);
    const KEY: SessionKey = SessionKey {
        index: 7,
        generation: 3,
    };

    /// Each on a thread of its own, because taking a ring down interrupts the next
    /// wait of the thread that made it.
    fn on_each(test: impl Fn(&mut dyn Plane, &EventFd) + Sync) {
        for driver in [Driver::Uring, Driver::Epoll] {
            let Ok(driver) = resolve_driver(driver) else {
                continue;
            };
            println!("{}", driver.as_str());
            let on_thread = || {
                let event = Arc::new(EventFd::new().unwrap());
                let mut plane = make_plane(driver, Arc::clone(&event)).unwrap();
                test(&mut *plane, &event);
            };
            std::thread::scope(|scope| scope.spawn(on_thread).join().unwrap());
        }
    }

    /// Two ends of a connection, the first as a link to be watched.
    fn pair() -> (Link, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Link::plain(Socket::new(OwnedFd::from(ours))), theirs)
    }

    fn turn(plane: &mut dyn Plane) -> Vec<Readiness> {
        let mut ready = Vec::new();
        assert!(!plane.turn(&mut ready).unwrap());
        ready
    }

    /// Waits and turns until nothing comes any more.
    fn settle(plane: &mut dyn Plane) {
        loop {
            let began = Instant::now();
            plane.wait(Some(Duration::from_millis(20))).unwrap();
            if turn(plane).is_empty() && began.elapsed() >= Duration::from_millis(20) {
                return;
            }
        }
    }

    #[test]
    fn a_wait_ends_when_its_time_is_over() {
        on_each(|plane, _| {
            for time in [0, 1, 30].map(Duration::from_millis) {
                let began = Instant::now();
                plane.wait(Some(time)).unwrap();
                assert!(turn(plane).is_empty());
                assert!(began.elapsed() >= time && began.elapsed() < LONG);
            }
        });
    }

    #[test]
    fn each_notification_ends_one_wait_though_nobody_empties_the_event() {
        on_each(|plane, event| {
            for _ in 0..3 {
                event.notify();
                let began = Instant::now();
                plane.wait(Some(LONG)).unwrap();
                assert!(began.elapsed() < LONG);
                assert!(turn(plane).is_empty() && !plane.takes_call());
                settle(plane);
            }
        });
    }

    #[test]
    fn what_a_wait_has_found_is_there_for_the_turn_and_only_once() {
        on_each(|plane, _| {
            use std::io::Write;
            let (socket, mut peer) = pair();
            plane.watch(&socket, KEY).unwrap();
            settle(plane);
            peer.write_all(b"x").unwrap();
            plane.wait(Some(LONG)).unwrap();
            let ready = turn(plane);
            assert!(ready.len() == 1 && ready[0].key == KEY && ready[0].readable);
            assert!(turn(plane).is_empty());
            // Without a wait a turn looks for itself.
            peer.write_all(b"x").unwrap();
            assert_eq!(turn(plane).len(), 1);
        });
    }

    #[test]
    fn a_guest_calls_once_for_each_time_it_is_waited_for() {
        on_each(|plane, _| {
            let guest = EventFd::new().unwrap();
            plane.await_call(guest.as_fd()).unwrap();
            plane.await_call(guest.as_fd()).unwrap();
            settle(plane);
            assert!(!plane.takes_call());
            for _ in 0..3 {
                guest.notify();
                plane.wait(Some(LONG)).unwrap();
                assert!(turn(plane).is_empty());
                assert!(plane.takes_call());
                guest.drain();
                plane.await_call(guest.as_fd()).unwrap();
                settle(plane);
                assert!(!plane.takes_call(), "it has been emptied");
            }
            // A call that comes while it is not awaited is not lost.
            guest.notify();
            plane.wait(Some(LONG)).unwrap();
            assert!(turn(plane).is_empty() && plane.takes_call());
            plane.await_call(guest.as_fd()).unwrap();
            plane.wait(Some(LONG)).unwrap();
            assert!(turn(plane).is_empty() && plane.takes_call());
        });
    }
}
