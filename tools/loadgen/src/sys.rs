//! The system calls of the generator, each behind a safe function.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use corecast::link::Link;
use corecast::sys::Socket;
use socket2::{Domain, Protocol, SockRef, Type};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Begins to connect without waiting; from `source`, if there is one, and any
/// port that is free for this very pair of addresses.
///
/// # Errors
/// The kernel's error; a connection that is not there yet is none.
pub fn connect(target: SocketAddr, source: Option<IpAddr>) -> io::Result<Link> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = socket2::Socket::new(Domain::for_address(target), kind, Some(Protocol::TCP))?;
    socket.set_nodelay(true)?;
    if let Some(source) = source {
        choose_port_at_connect(&socket)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&target.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) if is_blackhole(&error) => {
            return Err(io::Error::from_raw_os_error(libc::ENETUNREACH));
        }
        Err(error) => return Err(error),
    }
    Ok(Link::plain(Socket::new(socket.into())))
}

/// Whether a connection could not begin because its route is a blackhole. The
/// kernel calls that an invalid argument, of which there is none here.
pub fn is_blackhole(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// `IP_BIND_ADDRESS_NO_PORT`: the port is chosen when the target is known, so
/// that one port serves a connection to each of several targets, and from each
/// of several sources.
fn choose_port_at_connect(socket: &socket2::Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and length describe `on`.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    })
    .map(drop)
}

/// The error a socket has come to, such as a refused connection.
pub fn pending_error(socket: &impl AsFd) -> Option<io::Error> {
    SockRef::from(socket).take_error().ok().flatten()
}

/// Makes the next close of this socket a reset, which leaves no TIME_WAIT:
/// thousands of those would keep the next run from its ports.
pub fn reset_on_close(socket: &impl AsFd) {
    // A socket whose connection is gone leaves no TIME_WAIT anyway.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Processor time the calling thread has used, in nanoseconds.
pub fn thread_cpu_nanos() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid to write to, and the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A timer that a session plane can watch like a socket. It is exact to some
/// ten microseconds, which the runtime's own timers, in steps of a
/// millisecond, are not.
pub struct Timer(Link);

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn new() -> io::Result<Self> {
        // SAFETY: timerfd_create takes no pointers.
        let fd = check(unsafe {
            libc::timerfd_create(
                libc::CLOCK_MONOTONIC,
                libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
            )
        })?;
        // SAFETY: the descriptor is new and nothing else owns it.
        let timer = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Timer(Link::plain(Socket::new(timer))))
    }

    /// The descriptor that the plane watches.
    pub fn watched(&self) -> &Link {
        &self.0
    }

    /// Lets the timer become readable after `delay`, once. Setting it again
    /// forgets the earlier setting.
    pub fn set(&self, delay: Duration) {
        let nanos = delay.as_nanos().max(1);
        let spec = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: (nanos / 1_000_000_000) as libc::time_t,
                tv_nsec: (nanos % 1_000_000_000) as libc::c_long,
            },
        };
        // SAFETY: `spec` is a valid itimerspec; the old value is not asked for.
        unsafe {
            libc::timerfd_settime(self.0.as_fd().as_raw_fd(), 0, &spec, std::ptr::null_mut())
        };
    }

    /// Takes note that the timer has fired, so that it can fire again.
    pub fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the pointer and length describe `count`.
        unsafe {
            libc::read(
                self.0.as_fd().as_raw_fd(),
                count.as_mut_ptr().cast(),
                count.len(),
            )
        };
    }
}
