//! System calls behind safe functions: sockets, epoll, and what a process asks of
//! the kernel about itself.

mod epoll;
mod network;
mod process;
mod socket;

pub use epoll::{Epoll, Event, Interest};
pub use network::{leave_network, switch_loopback_on};
pub use process::{
    die_with_parent, disable_huge_pages, limit_open_files, memory_file, open_files_limit,
    pin_to_cpus, raise_open_files, thread_cpu_time,
};
pub use socket::{
    Source, accept, choose_port_at_connect, close_with_reset, connect, listen, receive, send,
    wait_for,
};
