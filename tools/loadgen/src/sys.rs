//! The system calls of the generator, each behind a safe function.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use corecast::link::Link;
use corecast::sys::Socket;
use corecast_kit::sys::{choose_port_at_connect, thread_cpu_time};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use socket2::{Domain, Protocol, SockRef, Type};

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
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
        Err(error) if is_blackhole(&error) => {
            return Err(Errno::NETUNREACH.into());
        }
        Err(error) => return Err(error),
    }
    Ok(Link::plain(Socket::new(socket.into())))
}

/// Whether a connection could not begin because its route is a blackhole. The
/// kernel calls that an invalid argument, of which there is none here.
pub fn is_blackhole(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::INVAL)
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
    thread_cpu_time().as_nanos() as u64
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
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Timer(Link::plain(Socket::new(timer))))
    }

    /// The descriptor that the plane watches.
    pub fn watched(&self) -> &Link {
        &self.0
    }

    /// Lets the timer become readable after `delay`, once. Setting it again
    /// forgets the earlier setting.
    pub fn set(&self, delay: Duration) {
        // A time of nothing would unset it.
        let delay = delay.max(Duration::from_nanos(1));
        let spec = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(delay).unwrap_or_default(),
        };
        // The descriptor is that of a timer and the time is not negative.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec);
    }

    /// Takes note that the timer has fired, so that it can fire again.
    pub fn clear(&self) {
        // Nothing to read: it has not fired.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}
