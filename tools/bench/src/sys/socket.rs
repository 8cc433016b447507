//! Non-blocking IPv4 sockets.
//!
//! 'It would block' is a normal result here, not an error: `None`.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::check;

/// The source address of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Whatever address the kernel chooses.
    Any,
    /// This address, with a port the kernel chooses for the whole 4-tuple.
    Address(Ipv4Addr),
}

fn set_option(
    socket: &OwnedFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: `value` lives through the call and its true size is passed.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            mem::size_of_val(&value) as libc::socklen_t,
        )
    })?;
    Ok(())
}

fn stream_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket takes no pointers.
    let raw = check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    // SAFETY: the kernel just made this descriptor and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn kernel_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

const ADDRESS_BYTES: libc::socklen_t = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;

/// A listener with the longest accept queue the kernel allows.
pub fn listen(address: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = stream_socket()?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    // Accepted sockets inherit it, which saves a call for each.
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    let address = kernel_address(address);
    // SAFETY: `address` is a sockaddr_in and its size is passed.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            ADDRESS_BYTES,
        )
    })?;
    // SAFETY: listen takes no pointers.
    check(unsafe { libc::listen(socket.as_raw_fd(), 65_535) })?;
    Ok(socket)
}

/// The next connection of a listener, `None` when there is none now.
pub fn accept(listener: &impl AsRawFd) -> io::Result<Option<OwnedFd>> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: null pointers mean that the peer's address is not wanted.
    let outcome = check(unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            flags,
        )
    });
    match outcome {
        // SAFETY: the kernel just made this descriptor and nothing else owns it.
        Ok(raw) => Ok(Some(unsafe { OwnedFd::from_raw_fd(raw) })),
        Err(error) => match error.raw_os_error() {
            // A connection that died in the queue is no reason to stop accepting.
            Some(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Begins a connection and does not wait for it.
pub fn connect(target: SocketAddrV4, source: Source) -> io::Result<OwnedFd> {
    let socket = stream_socket()?;
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    if let Source::Address(address) = source {
        // Without it the bind would take the port for all targets at once.
        set_option(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
        let address = kernel_address(SocketAddrV4::new(address, 0));
        // SAFETY: `address` is a sockaddr_in and its size is passed.
        check(unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                ADDRESS_BYTES,
            )
        })?;
    }
    let target = kernel_address(target);
    // SAFETY: `target` is a sockaddr_in and its size is passed.
    let outcome = check(unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const target).cast(),
            ADDRESS_BYTES,
        )
    });
    match outcome {
        Ok(_) => Ok(socket),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Closes with a reset, so that neither side is left with a TIME_WAIT that
/// would hold the port into the next round.
pub fn close_with_reset(socket: OwnedFd) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: `linger` lives through the call and its true size is passed.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            mem::size_of_val(&linger) as libc::socklen_t,
        );
    }
    drop(socket);
}

/// Reads what is there into `buffer`: `Some(0)` at the end, `None` when there
/// is nothing now.
#[inline]
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: the buffer is valid for writes of the length that is passed.
    let count = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_DONTWAIT,
        )
    };
    transferred(count)
}

/// Writes as much of `bytes` as there is room for, `None` when there is none.
#[inline]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Option<usize>> {
    // SAFETY: the buffer is valid for reads of the length that is passed.
    let count = unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    transferred(count)
}

#[inline]
fn transferred(count: libc::ssize_t) -> io::Result<Option<usize>> {
    if count >= 0 {
        return Ok(Some(count as usize));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // A connect still under way answers ENOTCONN: nothing to transfer yet.
        Some(libc::EAGAIN | libc::EINTR | libc::ENOTCONN) => Ok(None),
        _ => Err(error),
    }
}

/// Waits until `socket` can be read, or also written if `writable`, at most `limit`.
pub fn wait_for(socket: &impl AsFd, writable: bool, limit: Duration) -> io::Result<()> {
    let mut poll = libc::pollfd {
        fd: socket.as_fd().as_raw_fd(),
        events: libc::POLLIN | if writable { libc::POLLOUT } else { 0 },
        revents: 0,
    };
    let millis = limit.as_millis().min(60_000) as i32;
    // SAFETY: one pollfd is passed and it lives through the call.
    match check(unsafe { libc::poll(&mut poll, 1, millis) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}
