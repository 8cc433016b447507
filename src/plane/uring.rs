//! The session plane on io_uring: a ring of the shard's own, on which every
//! established socket is armed once with a multishot poll.
//!
//! # Invariants worth naming
//!
//! - The ring has one issuer, the shard's thread, and runs its completions
//!   only when that thread asks (`DEFER_TASKRUN`), so that a whole turn's
//!   readiness arrives as one batch.
//! - The thread sleeps in the ring's own wait, which also submits what was collected.
//!   All else that may wake the thread has a poll on the ring: its event for as long as
//!   the ring lives, its guest until it calls.
//! - The event is never emptied: a multishot poll reports each notification, and
//!   one that lapsed reports the level when it is armed again.
//! - An armed poll keeps its socket open, so a session is only gone for its
//!   peer once the poll's removal was submitted, at the latest in the next turn.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::guest::Guest;
use super::{Plane, Readiness, SessionKey, WATCHED};
use crate::link::Link;
use crate::sys::EventFd;

/// Submissions that are collected before the kernel is entered.
const SUBMISSION_ENTRIES: u32 = 1_024;
/// Completions the ring holds; a turn takes at most this many.
const COMPLETION_ENTRIES: u32 = 8_192;
/// Calls in one turn that may find nothing although the kernel's flag promised something.
const MAX_FRUITLESS_CALLS: usize = 8;
/// Marks completions that are not waited for.
const IGNORED: u64 = u64::MAX;
/// Marks those of the guest's poll.
const GUEST: u64 = u64::MAX - 2;
/// Marks those of the poll of the thread's event.
const EVENT: u64 = u64::MAX - 3;
/// How long a probe waits for its own event.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

const ENTER_GETEVENTS: u32 = 1;
/// The readiness for which the event and the guest are watched.
const READABLE: u32 = libc::POLLIN as u32;

type SetFlags = fn(&mut io_uring::Builder);

/// The ring flags a shard asks for, best first. Older kernels refuse the
/// first ones; the ring works without them, only slower.
const FLAG_STEPS: &[(&str, SetFlags)] = &[
    ("single_issuer + defer_taskrun", |builder| {
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag();
    }),
    ("coop_taskrun", |builder| {
        builder.setup_coop_taskrun().setup_taskrun_flag();
    }),
    ("no flags", |_| ()),
];

/// Builds something on a ring with the best flags this kernel grants, and
/// says which they were.
///
/// # Errors
/// When no ring can be had, whatever the flags; see [`Unavailable`].
pub fn with_best_flags<T>(
    mut build: impl FnMut(&io_uring::Builder) -> io::Result<T>,
) -> Result<(T, &'static str), Unavailable> {
    let mut last = None;
    for (name, set) in FLAG_STEPS {
        let mut builder = IoUring::builder();
        builder.setup_clamp();
        set(&mut builder);
        match build(&builder) {
            Ok(built) => return Ok((built, name)),
            // EINVAL is how a kernel says that it does not know a flag.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = Some(error),
            Err(error) => return Err(Unavailable { error }),
        }
    }
    Err(Unavailable {
        error: last.unwrap_or_else(|| io::ErrorKind::Unsupported.into()),
    })
}

/// Makes a ring with everything the plane needs, is woken through it once, and
/// throws it away. A host may let a ring be set up and refuse to let it be entered.
///
/// # Errors
/// The reason why io_uring cannot be used.
pub fn probe() -> Result<(), Unavailable> {
    let wake = || {
        let event = Arc::new(EventFd::new()?);
        let mut plane = UringPlane::new(Arc::clone(&event)).map_err(|error| error.error)?;
        // As the runtime's ring needs it.
        Guest::uring(plane.ring.as_raw_fd())?;
        event.notify();
        let until = Instant::now() + PROBE_LIMIT;
        while plane.notifications == 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let text = "a ring was set up, and polls on it never complete";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            plane.wait(Some(left))?;
            plane.turn(&mut Vec::new())?;
        }
        Ok(())
    };
    wake().map_err(|error| Unavailable { error })
}

/// io_uring cannot be had on this host.
#[derive(Debug, thiserror::Error)]
#[error("io_uring is not available ({error}): {}", remedy(.error))]
pub struct Unavailable {
    #[source]
    error: io::Error,
}

impl Unavailable {
    /// There was no thread to find out on.
    pub(super) fn no_thread(error: io::Error) -> Self {
        Unavailable { error }
    }
}

/// The likely cause of an error, and what to do about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
                .is_ok_and(|value| value.trim() != "0");
            if disabled {
                "the host has switched it off; run 'sysctl -w kernel.io_uring_disabled=0' or use --driver epoll"
            } else {
                FILTERED
            }
        }
        // Podman's profile answers so to each call that it does not allow.
        Some(libc::ENOSYS) if is_filtered() => FILTERED,
        Some(libc::ENOSYS) => {
            "the kernel was built without it or is older than 5.1; use --driver epoll"
        }
        Some(libc::EINVAL) => {
            "the kernel is too old for the rings this server needs (6.1 or newer is best, 5.17 the \
                 oldest that works); use --driver epoll"
        }
        Some(libc::ENOMEM) => {
            "no memory for its rings; on kernels before 5.12 they count against the limit on locked \
                 memory: raise it with 'ulimit -l unlimited' (LimitMEMLOCK=infinity in a unit), or use \
                 fewer --shards, or --driver epoll"
        }
        Some(libc::EAGAIN) => {
            "no thread could be started to try it; raise the limit on threads with 'ulimit -u' \
                 (TasksMax= in a unit, pids.max of a container)"
        }
        Some(libc::EMFILE | libc::ENFILE) => {
            "descriptors ran out; raise the limit with 'ulimit -n' (LimitNOFILE= in a unit)"
        }
        _ => "use --driver epoll",
    }
}

/// A container's own profile is the likely cause.
const FILTERED: &str = "a seccomp profile forbids it, as containers do by default; run the container with \
    '--security-opt seccomp=FILE', where FILE is tools/deploy/seccomp-io-uring.json or another profile that allows \
    io_uring_setup, io_uring_enter and io_uring_register, or use --driver epoll";

/// Whether a seccomp filter stands between this process and the kernel.
fn is_filtered() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let mode = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"));
        mode.is_some_and(|mode| mode.trim() == "2")
    })
}

/// The io_uring implementation of [`Plane`].
pub struct UringPlane {
    ring: IoUring,
    event: Arc<EventFd>,
    flags: &'static str,
    /// Whether the kernel was asked for completions since the last turn.
    waited: bool,
    /// Whether the guest has a poll that has not completed.
    guest_is_watched: bool,
    guest_called: bool,
    /// Completions of the event's poll, so far.
    notifications: u64,
}

impl UringPlane {
    /// Makes the shard's ring. Call it on the shard's own thread. A wait ends when
    /// `event` is notified.
    ///
    /// # Errors
    /// When the host gives no ring; see [`Unavailable`].
    pub fn new(event: Arc<EventFd>) -> Result<Self, Unavailable> {
        let (ring, flags) = with_best_flags(|builder| {
            builder
                .clone()
                .setup_cqsize(COMPLETION_ENTRIES)
                .build(SUBMISSION_ENTRIES)
        })?;
        // Without the first, cancelling a poll fails and its socket stays open for
        // ever; without the second, which is older, a wait could have no limit.
        let params = ring.params();
        if !params.is_feature_skip_cqe_on_success() || !params.is_feature_ext_arg() {
            let error = io::Error::from_raw_os_error(libc::EINVAL);
            return Err(Unavailable { error });
        }
        let mut plane = UringPlane {
            ring,
            event,
            flags,
            waited: false,
            guest_is_watched: false,
            guest_called: false,
            notifications: 0,
        };
        plane.watch_event().map_err(|error| Unavailable { error })?;
        Ok(plane)
    }

    /// The ring flags that this kernel granted.
    pub fn flags(&self) -> &'static str {
        self.flags
    }

    fn submit(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: neither polls nor their cancellations point at memory of ours.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.enter()?;
        }
        Ok(())
    }

    /// Hands the kernel what was collected and lets it run its deferred work.
    fn enter(&mut self) -> io::Result<()> {
        let to_submit = self.ring.submission().len() as u32;
        // SAFETY: no argument is passed, and every submission is free of pointers.
        match unsafe {
            self.ring
                .submitter()
                .enter::<()>(to_submit, 0, ENTER_GETEVENTS, None)
        } {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // An interrupted call or a full completion queue: entries that were not
                // taken are still there for the next call.
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Watches the thread's event from now on.
    fn watch_event(&mut self) -> io::Result<()> {
        let poll = opcode::PollAdd::new(types::Fd(self.event.as_raw_fd()), READABLE)
            .multi(true)
            .build()
            .user_data(EVENT);
        self.submit(&poll)
    }

    /// Returns how many there were, those that report nothing included.
    fn take_completions(&mut self, ready: &mut Vec<Readiness>) -> io::Result<usize> {
        let mut event_lapsed = false;
        let completions = self.ring.completion();
        let taken = completions.len();
        for completion in completions {
            match completion.user_data() {
                IGNORED => continue,
                GUEST => {
                    self.guest_is_watched = false;
                    self.guest_called = true;
                    continue;
                }
                EVENT => {
                    self.notifications += 1;
                    event_lapsed |= !cqueue::more(completion.flags());
                    continue;
                }
                _ => {}
            }
            let key = SessionKey::from_bits(completion.user_data());
            let lapsed = !cqueue::more(completion.flags());
            match completion.result() {
                // The removal we asked for.
                error if error == -libc::ECANCELED => {}
                // The kernel could not arm the poll: let a read find out what is wrong.
                error if error < 0 => ready.push(Readiness {
                    key,
                    readable: true,
                    writable: true,
                    hung_up: true,
                    lost: false,
                    lapsed: true,
                }),
                events => {
                    ready.push(Readiness {
                        lapsed,
                        ..Readiness::from_events(key, events as u32)
                    });
                }
            }
        }
        if event_lapsed {
            // Otherwise the new poll would report at once what this one did.
            self.event.drain();
            self.watch_event()?;
        }
        Ok(taken)
    }
}

impl Plane for UringPlane {
    fn watch(&mut self, link: &Link, key: SessionKey) -> io::Result<()> {
        let poll = opcode::PollAdd::new(types::Fd(link.as_fd().as_raw_fd()), WATCHED)
            .multi(true)
            .build()
            .user_data(key.to_bits());
        self.submit(&poll)
    }

    fn unwatch(&mut self, _link: &Link, key: SessionKey) {
        // Not a `PollRemove`: that fails while a wake-up of the poll is still to
        // be run, and the poll would keep the socket open for ever.
        let removal = opcode::AsyncCancel::new(key.to_bits())
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(IGNORED);
        // A ring that takes no more submissions shows itself in the next turn.
        let _ = self.submit(&removal);
    }

    fn turn(&mut self, ready: &mut Vec<Readiness>) -> io::Result<bool> {
        // Completions that a wait has found are taken without another call, unless
        // there is something to submit.
        let mut enter = !std::mem::take(&mut self.waited) || !self.ring.submission().is_empty();
        // The kernel runs only some of its deferred work per call, so go on
        // while its flag says that there is more. The flag may lie: it is set
        // after the work was added, perhaps after we have run that work. Only
        // a few calls in a row may therefore find nothing.
        let mut fruitless = 0;
        while fruitless < MAX_FRUITLESS_CALLS {
            if std::mem::replace(&mut enter, true) {
                self.enter()?;
            }
            if self.take_completions(ready)? == 0 {
                fruitless += 1;
            }
            let submission = self.ring.submission();
            let more = submission.taskrun() || submission.cq_overflow();
            if !more || ready.len() >= COMPLETION_ENTRIES as usize {
                return Ok(more);
            }
        }
        Ok(false)
    }

    fn looks_ready(&mut self) -> bool {
        let submission = self.ring.submission();
        // A watch that the kernel does not know of yet would never tell anything.
        let waits = !submission.is_empty();
        let taskrun = submission.taskrun();
        drop(submission);
        // An error will be met by the next turn, which reports it.
        if waits || (taskrun && self.enter().is_err()) {
            return true;
        }
        !self.ring.completion().is_empty()
    }

    fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.waited = true;
        // The kernel would not wait either, but take a call to find that out.
        if !self.ring.completion().is_empty() {
            return Ok(());
        }
        let waited = match limit {
            None => self.ring.submitter().submit_and_wait(1),
            Some(limit) => {
                let limit = types::Timespec::from(limit);
                let limited = types::SubmitArgs::new().timespec(&limit);
                self.ring.submitter().submit_with_args(1, &limited)
            }
        };
        match waited.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) => Ok(()),
            // The time is over, or a call that had to be given up: entries that were
            // not taken are still there for the next one.
            Err((Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY), _)) => Ok(()),
            Err((_, error)) => Err(error),
        }
    }

    fn await_call(&mut self, guest: BorrowedFd<'_>) -> io::Result<()> {
        if !self.guest_is_watched {
            // One report at a time: what the guest completes while it is visited
            // signals its event too, and must not wake the thread.
            let poll = opcode::PollAdd::new(types::Fd(guest.as_raw_fd()), READABLE)
                .build()
                .user_data(GUEST);
            self.submit(&poll)?;
            self.guest_is_watched = true;
        }
        Ok(())
    }

    fn takes_call(&mut self) -> bool {
        std::mem::take(&mut self.guest_called)
    }
}
