//! A network namespace of one's own.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread, and what it starts from now on, into a new network
/// namespace (`unshare(2)`, `CLONE_NEWNET`).
///
/// # Errors
/// If this process may not, or the kernel has no memory for it.
pub fn leave_network() -> io::Result<()> {
    // SAFETY: only the network is left; descriptors stay shared, and sockets that
    // are open stay where they are.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// Switches the loopback device of this thread's network namespace on; a new
/// namespace has it switched off (`netdevice(7)`, `SIOCSIFFLAGS`).
///
/// # Errors
/// If this process may not.
pub fn switch_loopback_on() -> io::Result<()> {
    // Any socket of the namespace takes the request.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: an ifreq is plain memory for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request lives through the call and has the form this one reads.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
