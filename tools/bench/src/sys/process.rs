//! The requests of a process to the kernel about itself and its children.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::FromRawFd;
use std::time::{Duration, SystemTime};

use super::check;

/// Open files a process may have: the hard limit.
pub fn open_files_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the write.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    Ok(limit.rlim_max)
}

/// Raises the limit of open files to the hard limit and returns it.
pub fn raise_open_files() -> io::Result<u64> {
    let hard = open_files_limit()?;
    let limit = libc::rlimit {
        rlim_cur: hard,
        rlim_max: hard,
    };
    // SAFETY: `limit` is valid for the read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(hard)
}

/// Pins the calling thread, and what it starts from now on, to some cores.
/// Allocates nothing, so it may run between fork and exec.
pub fn pin_to_cpus(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: a cpu_set_t is a plain bit set for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus {
        if cpu >= libc::CPU_SETSIZE as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: `cpu` was checked against the size of the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: `set` lives through the call and its true size is passed.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) })?;
    Ok(())
}

/// Has the kernel kill the calling process when the thread that started it
/// ends. Allocates nothing, so it may run between fork and exec.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: this prctl takes a signal number and no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    Ok(())
}

/// Has the calling process, and what it executes, use small pages only.
/// Allocates nothing, so it may run between fork and exec.
pub fn disable_huge_pages() -> io::Result<()> {
    // SAFETY: this prctl takes numbers and no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) })?;
    Ok(())
}

/// Asks the process `pid` to end.
pub fn terminate(pid: u32) {
    // SAFETY: kill takes no pointers. The caller has not yet reaped this child,
    // so the id cannot have passed to another process.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGTERM) };
}

/// The time the calling thread has spent on a core.
pub fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for the write, and this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A file without a name, in memory, for a child's output.
pub fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string.
    let raw = check(unsafe { libc::memfd_create(c"output".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the kernel just made this descriptor and nothing else owns it.
    Ok(unsafe { File::from_raw_fd(raw) })
}

/// Size of a page of memory.
pub fn page_bytes() -> usize {
    // SAFETY: sysconf takes no pointers, and the page size always exists.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// Date and time in UTC, as `2025-01-31 12:00 UTC`.
pub fn utc_date(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as libc::time_t);
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call; a `tm` of zeroes is a valid value.
    let parts = unsafe {
        libc::gmtime_r(&seconds, parts.as_mut_ptr());
        parts.assume_init()
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400);
        assert_eq!(utc_date(time), "2000-02-29 00:00 UTC");
    }
}
