//! Listening sockets: bound, marked, accepted from and stopped.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::Socket;

/// Makes a bound socket listen, without ever waiting; one that listens already
/// gets another backlog. `TCP_NODELAY` is set here because accepted sockets
/// inherit it, which saves a system call per connection.
///
/// # Errors
/// When the port is taken by a listener without `SO_REUSEPORT`.
pub fn listen(socket: &socket2::Socket, backlog: u32) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// The same for a Unix socket, which has no segments to delay.
///
/// # Errors
/// When the kernel refuses.
pub fn listen_unix(socket: &socket2::Socket, backlog: u32) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// Marks a listener as the one for what a core receives, whether it listens
/// already or not; with `None` takes the mark off.
///
/// # Errors
/// When a mark is to be set and the kernel knows of none.
pub fn prefer_core(listener: &impl AsFd, core: Option<usize>) -> io::Result<()> {
    // The kernel takes −1 for no core.
    let marked = socket2::SockRef::from(listener).set_cpu_affinity(core.unwrap_or(usize::MAX));
    match core {
        Some(_) => marked,
        // Where there are no marks there is none to take off.
        None => Ok(()),
    }
}

/// Binds a socket whose port others may share, without listening on it.
///
/// # Errors
/// When the address is not ours or taken by a listener without `SO_REUSEPORT`.
pub fn bind_shared(address: SocketAddr) -> io::Result<socket2::Socket> {
    bind(address, false)
}

/// Binds a socket for IPv6 as [`bind_shared`] does, and leaves IPv4 to another one
/// on the same port.
///
/// # Errors
/// As [`bind_shared`].
pub fn bind_shared_v6_only(address: SocketAddr) -> io::Result<socket2::Socket> {
    bind(address, true)
}

fn bind(address: SocketAddr, only_v6: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if only_v6 {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whether the host makes sockets for IPv6 that do not take IPv4 too
/// (`net.ipv6.bindv6only`).
pub fn is_v6_only_by_default() -> bool {
    socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None)
        .and_then(|socket| socket.only_v6())
        .unwrap_or(false)
}

/// Accepts one connection from a non-blocking listener.
///
/// # Errors
/// `WouldBlock` when none is waiting; `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`
/// when the host is out of what a connection needs.
pub fn accept(listener: &impl AsFd) -> io::Result<(Socket, SocketAddr)> {
    let (socket, address) = socket2::SockRef::from(listener).accept()?;
    // A program on this host, which has no address of its own.
    let is_unix = || address.domain() == socket2::Domain::UNIX;
    let local = || is_unix().then_some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let peer = address.as_socket().or_else(local).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "a peer without an IP address")
    })?;
    Ok((Socket::new(socket.into()), peer))
}

/// Makes a listener refuse, in whichever tables it is open, and lets the kernel
/// reset what waits in its queue.
pub fn stop_listening(listener: &impl AsFd) {
    // That it may be closed already is no fault.
    let _ = socket2::SockRef::from(listener).shutdown(std::net::Shutdown::Both);
}

/// Lets nothing more arrive at a listener: a packet that comes is dropped as if the
/// network had lost it, and is sent again by its sender. Connections that are
/// established, or wait in the queue, are not concerned.
///
/// # Errors
/// When the kernel has no memory for the filter.
pub fn shut_out(listener: &impl AsFd) -> io::Result<()> {
    /// `BPF_RET | BPF_K`: how many bytes of the packet pass. None.
    const DROP: libc::sock_filter = libc::sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: 0,
    };
    socket2::SockRef::from(listener).attach_filter(&[DROP])
}
