//! Non-blocking IPv4 sockets.
//!
//! 'It would block' is a normal result here, not an error: `None`.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

/// The source address of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Whatever address the kernel chooses.
    Any,
    /// This address, with a port the kernel chooses for the whole 4-tuple.
    Address(Ipv4Addr),
}

fn stream_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket)
}

/// `IP_BIND_ADDRESS_NO_PORT`: the port is chosen when the target is known, so
/// that one port serves a connection to each of several targets, and from each
/// of several sources.
///
/// # Errors
/// The kernel's, if the socket is none of TCP.
pub fn choose_port_at_connect(socket: &impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and length describe `on`, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A listener with the longest accept queue the kernel allows.
///
/// # Errors
/// The kernel's, such as an address that another process listens on.
pub fn listen(address: SocketAddrV4) -> io::Result<OwnedFd> {
    // Accepted sockets inherit TCP_NODELAY, which saves a call for each.
    let socket = stream_socket()?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, 65_535)?;
    Ok(socket)
}

/// The next connection of a listener, `None` when there is none now.
///
/// # Errors
/// The kernel's, such as that descriptors run out.
pub fn accept(listener: &impl AsFd) -> io::Result<Option<OwnedFd>> {
    match net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        Ok(socket) => Ok(Some(socket)),
        // A connection that died in the queue is no reason to stop accepting.
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Begins a connection and does not wait for it.
///
/// # Errors
/// The kernel's; a connection that is not there yet is none.
pub fn connect(target: SocketAddrV4, source: Source) -> io::Result<OwnedFd> {
    let socket = stream_socket()?;
    if let Source::Address(address) = source {
        choose_port_at_connect(&socket)?;
        net::bind(&socket, &SocketAddrV4::new(address, 0))?;
    }
    match net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Closes with a reset, so that neither side is left with a TIME_WAIT that
/// would hold the port into the next round.
pub fn close_with_reset(socket: OwnedFd) {
    // A socket whose connection is gone leaves no TIME_WAIT anyway.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
}

/// Reads what is there into `buffer`: `Some(0)` at the end, `None` when there
/// is nothing now.
///
/// # Errors
/// The connection's end, if it was no good one.
#[inline]
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    transferred(net::recv(socket, buffer, RecvFlags::DONTWAIT).map(|(count, _)| count))
}

/// Writes as much of `bytes` as there is room for, `None` when there is none.
///
/// # Errors
/// The connection's end.
#[inline]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Option<usize>> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    transferred(net::send(socket, bytes, flags))
}

#[inline]
fn transferred(outcome: rustix::io::Result<usize>) -> io::Result<Option<usize>> {
    match outcome {
        Ok(count) => Ok(Some(count)),
        // A connect still under way answers ENOTCONN: nothing to transfer yet.
        Err(Errno::AGAIN | Errno::INTR | Errno::NOTCONN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits until `socket` can be read, or also written if `writable`, at most `limit`.
///
/// # Errors
/// When the kernel has no memory for it.
pub fn wait_for(socket: &impl AsFd, writable: bool, limit: Duration) -> io::Result<()> {
    let flags = match writable {
        true => PollFlags::IN | PollFlags::OUT,
        false => PollFlags::IN,
    };
    let limit = limit.min(Duration::from_secs(60));
    let limit = Timespec::try_from(limit).expect("a minute is not too long");
    match poll(&mut [PollFd::new(socket, flags)], Some(&limit)) {
        Err(error) if error != Errno::INTR => Err(error.into()),
        _ => Ok(()),
    }
}
