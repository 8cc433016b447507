//! The broadcast floor: each unit that arrives goes to every connection, by
//! one plain non-blocking send each, and the next unit waits its turn.
//!
//! Servers that put several publications into one send can be faster than
//! this; that is their merit, and the ratio shows it.
//!
//! # Invariants worth naming
//!
//! - A subscriber that does not read holds up no other one: its bytes wait in
//!   its own queue, which the load bounds by what it has outstanding.
//! - Bytes that wait are sent when the kernel reports room, and tried again
//!   after [`RETRY`] in any case. A kernel that is short of TCP memory refuses
//!   a send on a socket that has nothing under way, and then never reports room.
//! - A subscriber that leaves is forgotten, and the others stay.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use corecast_kit::outgoing::Outgoing;
use corecast_kit::sys::{self, Epoll, Event, Interest};

use super::{EVENT_BATCH, LISTENER, SCRATCH_BYTES};

/// The greeting, sent first on each connection: a subscriber counts once it has it.
pub const GREETING: u8 = b'+';

/// Time after which bytes that wait are tried again without a report of room.
const RETRY: Duration = Duration::from_millis(20);

/// Serves `listener` until the process ends; a publication has `unit_bytes`.
pub fn serve(listener: OwnedFd, unit_bytes: usize) -> io::Result<Infallible> {
    let mut floor = Sendloop::new(listener, unit_bytes)?;
    loop {
        floor.turn()?;
    }
}

struct Subscriber {
    socket: OwnedFd,
    outgoing: Outgoing,
}

impl Subscriber {
    /// Sends the bytes that wait. True when nothing waits any more.
    #[cold]
    fn flush(&mut self) -> io::Result<bool> {
        self.outgoing.flush(self.socket.as_fd())?;
        Ok(self.outgoing.is_empty())
    }
}

struct Sendloop {
    listener: OwnedFd,
    epoll: Epoll,
    unit_bytes: usize,
    subscribers: Vec<Option<Subscriber>>,
    /// Places of subscribers that have left.
    free: Vec<usize>,
    scratch: Vec<u8>,
    /// Bytes of a unit that is not yet whole.
    partial: Vec<u8>,
    /// When to try again, if bytes wait on any subscriber.
    retry_at: Option<Instant>,
}

impl Sendloop {
    fn new(listener: OwnedFd, unit_bytes: usize) -> io::Result<Sendloop> {
        assert!((1..=SCRATCH_BYTES).contains(&unit_bytes));
        let epoll = Epoll::new(EVENT_BATCH)?;
        epoll.add(&listener, Interest::Level, LISTENER)?;
        Ok(Sendloop {
            listener,
            epoll,
            unit_bytes,
            subscribers: Vec::new(),
            free: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            partial: Vec::new(),
            retry_at: None,
        })
    }

    /// Waits for events and does what they ask for.
    fn turn(&mut self) -> io::Result<()> {
        let ready = self.epoll.wait(self.retry_at.map(|_| RETRY))?;
        for at in 0..ready {
            let event = self.epoll.event(at);
            if event.token == LISTENER {
                self.accept_all()?;
                continue;
            }
            let slot = event.token as usize;
            // An error of one subscriber is that subscriber's end.
            if self.serve_one(slot, event).is_err() {
                self.forget(slot);
            }
        }
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry();
        }
        Ok(())
    }

    fn accept_all(&mut self) -> io::Result<()> {
        while let Some(socket) = sys::accept(&self.listener)? {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.subscribers.push(None);
                self.subscribers.len() - 1
            });
            self.epoll.add(&socket, Interest::EdgeBoth, slot as u64)?;
            let mut outgoing = Outgoing::default();
            // A connection that is already gone is reported as an event too.
            let _ = outgoing.send(socket.as_fd(), &[GREETING]);
            self.subscribers[slot] = Some(Subscriber { socket, outgoing });
        }
        Ok(())
    }

    /// Sends the bytes that wait for this subscriber, then publishes all that
    /// it has sent.
    fn serve_one(&mut self, slot: usize, event: Event) -> io::Result<()> {
        if let Some(subscriber) = &mut self.subscribers[slot]
            && event.writable()
            && !subscriber.outgoing.is_empty()
        {
            subscriber.flush()?;
        }
        if !event.readable() {
            return Ok(());
        }
        while let Some(subscriber) = &self.subscribers[slot] {
            match sys::receive(subscriber.socket.as_fd(), &mut self.scratch)? {
                None => break,
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(count) => self.publish_all(count),
            }
        }
        Ok(())
    }

    /// Publishes every whole unit, the first `count` bytes of `scratch` being new.
    fn publish_all(&mut self, count: usize) {
        let mut units = std::mem::take(&mut self.partial);
        units.extend_from_slice(&self.scratch[..count]);
        let whole = units.len() - units.len() % self.unit_bytes;
        for unit in units[..whole].chunks_exact(self.unit_bytes) {
            self.publish(unit);
        }
        units.drain(..whole);
        self.partial = units;
    }

    fn publish(&mut self, unit: &[u8]) {
        let mut waits = false;
        for slot in 0..self.subscribers.len() {
            let Some(Subscriber { socket, outgoing }) = &mut self.subscribers[slot] else {
                continue;
            };
            match outgoing.send(socket.as_fd(), unit) {
                Ok(()) => waits |= !outgoing.is_empty(),
                Err(_) => self.forget(slot),
            }
        }
        if waits && self.retry_at.is_none() {
            self.retry_at = Some(Instant::now() + RETRY);
        }
    }

    /// Tries to send all that waits.
    #[cold]
    fn retry(&mut self) {
        let mut waits = false;
        for slot in 0..self.subscribers.len() {
            match &mut self.subscribers[slot] {
                Some(subscriber) if !subscriber.outgoing.is_empty() => match subscriber.flush() {
                    Ok(empty) => waits |= !empty,
                    Err(_) => self.forget(slot),
                },
                _ => {}
            }
        }
        self.retry_at = waits.then(|| Instant::now() + RETRY);
    }

    #[cold]
    fn forget(&mut self, slot: usize) {
        if self.subscribers[slot].take().is_some() {
            self.free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpStream;

    use crate::floor::Floor;
    use corecast_kit::address::free_address;

    /// A kernel that is short of memory refuses a send on an idle socket and
    /// never reports room. Here: bytes wait although nothing was ever refused.
    #[test]
    fn bytes_that_wait_leave_without_a_report_of_room() {
        let address = free_address().unwrap();
        let mut floor = Sendloop::new(Floor::listen(address).unwrap(), 4).unwrap();
        let mut peer = TcpStream::connect(address).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        while floor.subscribers.is_empty() {
            floor.turn().unwrap();
        }
        // The first report, that a new socket has room, is out of the way.
        floor.retry_at = Some(Instant::now() + RETRY);
        floor.turn().unwrap();
        let subscriber = floor.subscribers[0].as_mut().unwrap();
        subscriber.outgoing.keep(b"late");
        floor.retry_at = Some(Instant::now());
        while floor.retry_at.is_some() {
            floor.turn().unwrap();
        }
        let mut heard = [0; 5];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"+late");
    }
}
