//! The system calls the server makes itself, each behind a safe function.
//!
//! `unsafe` of the data plane lives here and in [`crate::plane`]; everything
//! above sees a [`Socket`] or an [`EventFd`] and never a number.

mod signals;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

pub use signals::{Signal, StopSignals, ignore_stray_signals, send_signal};

/// Turns a system call's −1 into the error it stands for.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Makes a transfer, and turns its −1 into the error it stands for. One that
/// was interrupted is made again at once: readiness comes as edges, so nothing
/// would tell of what is left.
#[inline]
fn transfer(mut call: impl FnMut() -> libc::ssize_t) -> io::Result<usize> {
    loop {
        if let Ok(len) = usize::try_from(call()) {
            return Ok(len);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Whether an error only says 'not now'.
pub fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// A connected TCP socket that is only ever used without waiting.
///
/// The descriptor itself is left in blocking mode: every call says
/// `MSG_DONTWAIT`, which saves one `fcntl` per connection.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Takes over a connected stream socket.
    pub fn new(fd: OwnedFd) -> Self {
        Socket(fd)
    }

    /// Reads what has arrived; see [`recv`].
    ///
    /// # Errors
    /// As [`recv`].
    #[inline]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        recv(self.0.as_fd(), buffer)
    }

    /// Sends one run of bytes; see [`send`].
    ///
    /// # Errors
    /// As [`send`].
    #[inline]
    pub fn send_bytes(&self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0.as_fd(), bytes)
    }

    /// Sends several runs of bytes in one call; see [`send`].
    ///
    /// # Errors
    /// As [`send`].
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // SAFETY: an all-zero msghdr is a valid empty one.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        // `IoSlice` is guaranteed to have the layout of `iovec`, and sendmsg does not write through it.
        message.msg_iov = parts.as_ptr().cast_mut().cast();
        message.msg_iovlen = parts.len();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: `message` points at `parts`, which outlive the call.
        transfer(|| unsafe { libc::sendmsg(self.0.as_raw_fd(), &message, flags) })
    }

    /// Whether bytes have arrived that were not read, the end of the stream aside.
    pub fn has_unread(&self) -> bool {
        let mut unread: libc::c_int = 0;
        // SAFETY: FIONREAD writes one int, to which the pointer points.
        let asked = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::FIONREAD, &mut unread) };
        asked == 0 && unread > 0
    }

    /// The core that handled the last packet from the peer, if the kernel says.
    pub fn incoming_cpu(&self) -> Option<usize> {
        socket2::SockRef::from(self).cpu_affinity().ok()
    }

    /// The address of the other end, as long as the connection stands.
    pub fn peer(&self) -> Option<SocketAddr> {
        socket2::SockRef::from(self).peer_addr().ok()?.as_socket()
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shutdown_write(&self) {
        shutdown_write(self.0.as_fd());
    }

    /// Gives the descriptor back.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

/// Reads what has arrived at a socket, without waiting; `Ok(0)` is the peer's
/// end of stream.
///
/// # Errors
/// `WouldBlock` when nothing has arrived; otherwise the error that ended the
/// connection.
#[inline]
pub fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    transfer(|| {
        // SAFETY: the pointer and length describe `buffer`, which is writable
        // for the whole call.
        unsafe {
            libc::recv(
                fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
            )
        }
    })
}

/// Sends one run of bytes, or as much of it as the socket takes, without waiting.
///
/// # Errors
/// `WouldBlock` when the socket takes nothing now.
#[inline]
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    transfer(|| {
        // SAFETY: the pointer and length describe `bytes`, which outlives the call.
        unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) }
    })
}

/// Tells a socket's peer that nothing more will be sent. That the peer may
/// already be gone is no fault worth reporting.
pub fn shutdown_write(fd: BorrowedFd<'_>) {
    // SAFETY: shutdown takes no pointers.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) };
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Whether a write of one line would not have to wait. A descriptor that has failed for
/// good counts as yes: a write then says so at once.
pub fn takes_bytes(fd: &impl AsFd) -> bool {
    let mut poll = libc::pollfd {
        fd: fd.as_fd().as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: `poll` is one valid pollfd.
    unsafe { libc::poll(&mut poll, 1, 0) > 0 }
}

/// Waits until one of them can be read, for a while.
///
/// # Errors
/// `TimedOut` when none can in that time.
pub fn wait_until_readable(fds: &[impl AsFd], limit: Duration) -> io::Result<()> {
    let mut polls: Vec<_> = fds
        .iter()
        .map(|fd| libc::pollfd {
            fd: fd.as_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the pointer and length describe `polls`.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as _, limit_ms) })? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

/// A counter in the kernel that wakes the threads that wait for it to be non-zero.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Makes one whose count is zero.
    ///
    /// # Errors
    /// When descriptors or memory run out.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the descriptor is new and has no other owner.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Wakes the waiter, now or when it next waits.
    pub fn notify(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the pointer and length describe `one`. A full counter
        // (`WouldBlock`) means that the waiter is woken already.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Sets the count back to zero.
    pub fn drain(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the pointer and length describe `count`. `WouldBlock` means
        // that it was zero already.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    /// A second descriptor of the same counter.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
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
    // SAFETY: unshare takes no pointers; CLONE_FILES leaves every descriptor number of
    // this thread valid. The consequences are the caller's to handle.
    check(unsafe { libc::unshare(libc::CLONE_FILES) }).map(drop)
}

/// Gives the calling thread a table of its own, as [`unshare_files`] does, takes
/// possession of the copies of `mine` in it and closes those of `others`.
///
/// # Errors
/// Where a sandbox forbids it; the table is still shared then.
///
/// # Safety
/// As [`unshare_files`]. The descriptors must be owned on other threads, and the
/// calling thread must not use them any more, because on it their numbers may
/// become other files.
pub unsafe fn part_with(
    mine: &[BorrowedFd<'_>],
    others: &[BorrowedFd<'_>],
) -> io::Result<Vec<OwnedFd>> {
    // SAFETY: the caller keeps the promise.
    unsafe { unshare_files() }?;
    for other in others {
        // SAFETY: it is a copy in this thread's table, and it is not used here.
        unsafe { libc::close(other.as_raw_fd()) };
    }
    let copies = mine.iter().map(|fd| {
        // SAFETY: as above; the owner's descriptor is one of another table.
        unsafe { OwnedFd::from_raw_fd(fd.as_raw_fd()) }
    });
    Ok(copies.collect())
}

/// Raises the soft limit on descriptors to the hard one and returns it.
///
/// # Errors
/// When the limit cannot be read.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit to write to.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit to read from. Keeping the soft limit
    // when the kernel refuses is the best that can be done.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    // SAFETY: as above.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    Ok(limit.rlim_cur)
}

/// Asks the kernel for pages of the ordinary size in this process.
///
/// With huge pages each shard's heap is rounded up by megabytes: 150,000 sessions on 8
/// shards took 397 bytes each instead of 105. The saving in address translation is not
/// measurable, since a session's own code is a few hundredths of what the kernel does
/// for it.
pub fn use_small_pages() {
    // SAFETY: PR_SET_THP_DISABLE takes no pointers. Kernels that do not know
    // it leave things as they are.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

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
    Ok((Socket(socket.into()), peer))
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

/// The number by which the kernel knows what is open behind a descriptor.
///
/// # Errors
/// Never for a descriptor that is open.
pub fn inode(file: &impl AsFd) -> io::Result<u64> {
    // SAFETY: an all-zero stat is valid, and is written by fstat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is borrowed and `stat` is valid to write to.
    check(unsafe { libc::fstat(file.as_fd().as_raw_fd(), &mut stat) })?;
    Ok(stat.st_ino)
}

/// Says whether a program that this process starts gets a descriptor too.
///
/// # Errors
/// Never for a descriptor that is open.
pub fn leave_to_child(file: &impl AsFd, leave: bool) -> io::Result<()> {
    let flags = if leave { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: F_SETFD takes no pointers.
    check(unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_SETFD, flags) }).map(drop)
}

/// Takes a descriptor that the program which started this one has left to it.
///
/// # Errors
/// When nothing is open under the number.
///
/// # Safety
/// No other part of this process may own the number.
pub unsafe fn take_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD takes no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, and by the caller's word has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
