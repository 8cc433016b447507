//! The broadcast floor: each unit that arrives goes to every connection, by
//! one plain non-blocking send each, and the next unit waits its turn.
//!
//! Servers that put several publications into one send can be faster than
//! this; that is their merit, and the ratio shows it.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::outgoing::Outgoing;
use super::{EVENT_BATCH, LISTENER, SCRATCH_BYTES};
use crate::sys::{self, Epoll, Interest};

/// What each connection is sent first: a subscriber counts once it has it.
pub const GREETING: u8 = b'+';

struct Subscriber {
    socket: OwnedFd,
    outgoing: Outgoing,
}

/// Serves `listener` until the process ends; a publication has `unit_bytes`.
pub fn serve(listener: OwnedFd, unit_bytes: usize) -> io::Result<Infallible> {
    assert!((1..=SCRATCH_BYTES).contains(&unit_bytes));
    let mut epoll = Epoll::new(EVENT_BATCH)?;
    epoll.add(&listener, Interest::Level, LISTENER)?;
    let mut subscribers = Vec::new();
    let mut scratch = vec![0; SCRATCH_BYTES];
    // Bytes of a unit that is not yet whole.
    let mut partial = Vec::new();
    loop {
        let ready = epoll.wait(None)?;
        for index in 0..ready {
            let event = epoll.event(index);
            if event.token == LISTENER {
                accept_all(&listener, &epoll, &mut subscribers)?;
                continue;
            }
            let slot = event.token as usize;
            if event.writable() {
                let Subscriber { socket, outgoing } = &mut subscribers[slot];
                if !outgoing.is_empty() {
                    outgoing.flush(socket.as_fd())?;
                }
            }
            if event.readable() {
                while let Some(count) =
                    sys::receive(subscribers[slot].socket.as_fd(), &mut scratch)?
                {
                    if count == 0 {
                        // The first that leaves ends the measurement and this floor.
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    partial.extend_from_slice(&scratch[..count]);
                    let whole = partial.len() - partial.len() % unit_bytes;
                    for unit in partial[..whole].chunks_exact(unit_bytes) {
                        publish(&mut subscribers, unit)?;
                    }
                    partial.drain(..whole);
                }
            }
        }
    }
}

fn accept_all(
    listener: &OwnedFd,
    epoll: &Epoll,
    subscribers: &mut Vec<Subscriber>,
) -> io::Result<()> {
    while let Some(socket) = sys::accept(listener)? {
        epoll.add(&socket, Interest::EdgeBoth, subscribers.len() as u64)?;
        let mut outgoing = Outgoing::default();
        outgoing.send(socket.as_fd(), &[GREETING])?;
        subscribers.push(Subscriber { socket, outgoing });
    }
    Ok(())
}

fn publish(subscribers: &mut [Subscriber], unit: &[u8]) -> io::Result<()> {
    for Subscriber { socket, outgoing } in subscribers {
        outgoing.send(socket.as_fd(), unit)?;
    }
    Ok(())
}
