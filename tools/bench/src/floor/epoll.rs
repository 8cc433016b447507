//! TCP echo on edge-triggered epoll: the conventional floor.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;

use corecast_kit::sys::{self, Epoll, Interest};

use super::echo::{EchoConnection, Outcome};
use super::{EVENT_BATCH, LISTENER, SCRATCH_BYTES};

/// Serves `listener` until the process ends.
pub fn serve(listener: OwnedFd) -> io::Result<Infallible> {
    let mut epoll = Epoll::new(EVENT_BATCH)?;
    epoll.add(&listener, Interest::Level, LISTENER)?;
    let mut connections: Vec<Option<EchoConnection>> = Vec::new();
    let mut free = Vec::new();
    let mut scratch = vec![0; SCRATCH_BYTES];
    loop {
        let ready = epoll.wait(None)?;
        for index in 0..ready {
            let token = epoll.event(index).token;
            if token == LISTENER {
                while let Some(socket) = sys::accept(&listener)? {
                    let slot = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    epoll.add(&socket, Interest::EdgeBoth, slot as u64)?;
                    connections[slot] = Some(EchoConnection::new(socket));
                }
                continue;
            }
            let slot = token as usize;
            let Some(connection) = &mut connections[slot] else {
                continue;
            };
            // An error of one connection is that connection's end.
            let outcome = connection.turn(&mut scratch).unwrap_or(Outcome::Closed);
            if outcome == Outcome::Closed {
                connections[slot] = None;
                free.push(slot);
            }
        }
    }
}
