//! The requests of a process to the kernel about itself and its children.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::fs::MemfdFlags;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustix::thread::{ClockId, CpuSet};

/// Open files a process may have: the hard limit.
pub fn open_files_limit() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Raises the limit of open files to the hard limit and returns it.
///
/// # Errors
/// If this process may not.
pub fn raise_open_files() -> io::Result<u64> {
    let limit = open_files_limit();
    limit_open_files(limit)?;
    Ok(limit)
}

/// Sets the limit of open files, the hard one too. Allocates nothing, so it may run
/// between fork and exec.
///
/// # Errors
/// If it is above the hard limit and this process may not raise that.
pub fn limit_open_files(count: u64) -> io::Result<()> {
    // The kernel's way to write that there is no limit.
    let limit = (count != u64::MAX).then_some(count);
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Pins the calling thread, and what it starts from now on, to some cores.
/// Allocates nothing, so it may run between fork and exec.
///
/// # Errors
/// If there is no such core, or this process may not use it.
pub fn pin_to_cpus(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        set.set(cpu);
    }
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Has the kernel kill the calling process when the thread that started it
/// ends. Allocates nothing, so it may run between fork and exec.
///
/// # Errors
/// None that a Linux kernel gives for this request.
pub fn die_with_parent() -> io::Result<()> {
    let signal = Some(Signal::KILL);
    Ok(rustix::process::set_parent_process_death_signal(signal)?)
}

/// Has the calling process, and what it executes, use small pages only.
/// Allocates nothing, so it may run between fork and exec.
///
/// # Errors
/// If the kernel was built without huge pages.
pub fn disable_huge_pages() -> io::Result<()> {
    Ok(rustix::thread::disable_transparent_huge_pages(true)?)
}

/// The time the calling thread has spent on a core.
pub fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A file without a name, in memory, for a child's output.
///
/// # Errors
/// When descriptors run out.
pub fn memory_file() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("output", MemfdFlags::CLOEXEC)?.into())
}
