//! The system calls the driver makes, behind safe functions.
//!
//! All `unsafe` of the load side is in this module; the io_uring floor keeps
//! its own beside its ring.

mod epoll;
mod network;
mod process;
mod socket;

pub use epoll::{Epoll, Event, Interest};
pub use network::{leave_network, switch_loopback_on};
pub use process::{
    die_with_parent, disable_huge_pages, memory_file, open_files_limit, page_bytes, pin_to_cpus,
    raise_open_files, terminate, thread_cpu_time, utc_date,
};
pub use socket::{Source, accept, close_with_reset, connect, listen, receive, send, wait_for};

use std::io;

/// Turns the C convention (−1 and `errno`) into a `Result`.
fn check(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(status)
    }
}
