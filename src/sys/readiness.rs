//! Asking and waiting for the readiness of a few descriptors.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

const NOT_AT_ALL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Whether a read of this descriptor would not have to wait.
pub(crate) fn is_readable(fd: &impl AsFd) -> bool {
    is_ready(fd, PollFlags::IN)
}

/// Whether a write of one line would not have to wait. A descriptor that has failed for
/// good counts as yes: a write then says so at once.
pub fn takes_bytes(fd: &impl AsFd) -> bool {
    is_ready(fd, PollFlags::OUT)
}

fn is_ready(fd: &impl AsFd, events: PollFlags) -> bool {
    poll(&mut [PollFd::new(fd, events)], Some(&NOT_AT_ALL)).is_ok_and(|ready| ready > 0)
}

/// Waits until one of them can be read, for a while.
///
/// # Errors
/// `TimedOut` when none can in that time.
pub fn wait_until_readable(fds: &[impl AsFd], limit: Duration) -> io::Result<()> {
    let mut fds: Vec<_> = fds
        .iter()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    // A time that the kernel cannot be told is as good as none.
    let limit = Timespec::try_from(limit).ok();
    match poll(&mut fds, limit.as_ref())? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}
