//! Tables of descriptors, and descriptors that pass from one process to the next.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::FdFlags;
use rustix::thread::UnshareFlags;

/// Where the descriptors of a server's shards are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DescriptorTables {
    /// In the one table of the process.
    Shared,
    /// In a table of each shard's own. It is chosen only where the promise of
    /// [`unshare_files`] is made for all that runs on the shards' threads.
    OnePerShard,
}

impl DescriptorTables {
    /// On a shard's thread: takes possession of the copies of `mine` in a table of its
    /// own, if that was chosen, and closes those of `others`. All of them must be owned
    /// on other threads, and the calling thread must not use them any more, because on
    /// it their numbers may become other files.
    ///
    /// # Errors
    /// Where a sandbox forbids it; the table is still shared then.
    pub(crate) fn part(
        self,
        mine: &[BorrowedFd<'_>],
        others: &[BorrowedFd<'_>],
    ) -> io::Result<Option<Vec<OwnedFd>>> {
        if self == DescriptorTables::Shared {
            return Ok(None);
        }
        // SAFETY: it was promised when `OnePerShard` was chosen.
        unsafe { unshare_files() }?;
        let own = |fd: &BorrowedFd<'_>| {
            // SAFETY: a copy in this thread's table, to which only the parted thread
            // could refer, and the caller does not; the owner's is one of another table.
            unsafe { OwnedFd::from_raw_fd(fd.as_raw_fd()) }
        };
        others.iter().map(own).for_each(drop);
        Ok(Some(mine.iter().map(own).collect()))
    }
}

/// Gives the calling thread a file-descriptor table of its own, a copy of the
/// present one. `RLIMIT_NOFILE` bounds a table, not a process, so each shard
/// can then hold as many sockets as the limit says; and the kernel's lock on
/// the table is no longer shared.
///
/// # Errors
/// Where a sandbox forbids it.
///
/// # Safety
/// From now on a descriptor that another thread opens is no file of this thread,
/// or another one, and the other way round. So nothing that runs on this thread
/// may use a descriptor that was opened elsewhere later, nor give one away.
pub unsafe fn unshare_files() -> io::Result<()> {
    // SAFETY: every descriptor number of this thread stays valid. The consequences are
    // the caller's to handle.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FILES) }?;
    Ok(())
}

/// The number by which the kernel knows what is open behind a descriptor.
///
/// # Errors
/// Never for a descriptor that is open.
pub fn inode(file: &impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(file)?.st_ino)
}

/// Says whether a program that this process starts gets a descriptor too.
///
/// # Errors
/// Never for a descriptor that is open.
pub fn leave_to_child(file: &impl AsFd, leave: bool) -> io::Result<()> {
    let flags = match leave {
        true => FdFlags::empty(),
        false => FdFlags::CLOEXEC,
    };
    Ok(rustix::io::fcntl_setfd(file, flags)?)
}

/// Takes a descriptor that the program which started this one has left to it, and
/// leaves it to no other.
///
/// It is told from descriptors of this process by its mark: all that Rust's standard
/// library and this crate open is closed when another program begins, and what was
/// left is not. So one can be taken once, and the three standard ones not at all.
///
/// # Errors
/// When nothing is open under the number, or it was not left to this process.
pub fn take_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= libc::STDERR_FILENO {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: F_GETFD takes no pointers, and the kernel answers for any number.
    match unsafe { libc::fcntl(fd, libc::F_GETFD) } {
        -1 => return Err(io::Error::last_os_error()),
        flags if flags & libc::FD_CLOEXEC != 0 => return Err(io::ErrorKind::InvalidInput.into()),
        _ => {}
    }
    // SAFETY: it is open, and has no other owner in this process, whose own are marked.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    leave_to_child(&fd, false)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;
    use crate::sys::EventFd;

    #[test]
    fn only_what_was_left_can_be_taken_and_only_once() {
        let own = EventFd::new().unwrap();
        take_inherited(own.as_raw_fd()).unwrap_err();
        for standard in -1..=2 {
            take_inherited(standard).unwrap_err();
        }
        take_inherited(99_999).unwrap_err();

        let left = own.duplicate().unwrap();
        leave_to_child(&left, true).unwrap();
        let number = left.into_raw_fd();
        let taken = take_inherited(number).unwrap();
        assert_eq!(inode(&taken).unwrap(), inode(&own).unwrap());
        take_inherited(number).unwrap_err();
    }
}
