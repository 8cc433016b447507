//! Settings of the whole process.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Raises the soft limit on descriptors to the hard one and returns it.
///
/// # Errors
/// When the limit cannot be read.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let hard = descriptor_limit()?.rlim_max;
    let raised = Rlimit {
        current: Some(hard),
        maximum: Some(hard),
    };
    // Keeping the soft limit when the kernel refuses is the best that can be done.
    let _ = setrlimit(Resource::Nofile, raised);
    Ok(descriptor_limit()?.rlim_cur)
}

/// The limits on descriptors. By libc, because rustix takes it for granted that they
/// can be read, and a seccomp profile may refuse it.
fn descriptor_limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit to write to.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the kernel for pages of the ordinary size in this process.
///
/// With huge pages each shard's heap is rounded up by megabytes: 150,000 sessions on 8
/// shards took 397 bytes each instead of 105. The saving in address translation is not
/// measurable, since a session's own code is a few hundredths of what the kernel does
/// for it.
pub fn use_small_pages() {
    // Kernels that do not know it leave things as they are.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
