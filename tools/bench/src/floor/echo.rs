//! One connection of an echo floor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use corecast_kit::outgoing::Outgoing;
use corecast_kit::sys;

/// The outcome of the peer's connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It lives on.
    Open,
    /// It ended or was reset.
    Closed,
}

/// A socket whose bytes go back to where they came from.
pub struct EchoConnection {
    socket: OwnedFd,
    outgoing: Outgoing,
}

impl EchoConnection {
    /// Takes over an accepted socket.
    pub fn new(socket: OwnedFd) -> EchoConnection {
        EchoConnection {
            socket,
            outgoing: Outgoing::default(),
        }
    }

    /// Sends the bytes that wait. True when nothing waits any more.
    fn flush(&mut self) -> io::Result<bool> {
        if !self.outgoing.is_empty() {
            self.outgoing.flush(self.socket.as_fd())?;
        }
        Ok(self.outgoing.is_empty())
    }

    /// Reads and answers until the socket is drained. Stops reading while its
    /// own bytes find no room, so that a peer that does not read is not read.
    #[inline]
    pub fn turn(&mut self, scratch: &mut [u8]) -> io::Result<Outcome> {
        while self.flush()? {
            match sys::receive(self.socket.as_fd(), scratch)? {
                Some(0) => return Ok(Outcome::Closed),
                Some(count) => {
                    self.outgoing.send(self.socket.as_fd(), &scratch[..count])?;
                    if count < scratch.len() {
                        // A short read drained it; the next bytes are a new edge.
                        return Ok(Outcome::Open);
                    }
                }
                None => return Ok(Outcome::Open),
            }
        }
        Ok(Outcome::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn an_end_closes() {
        let (mut peer, socket) = UnixStream::pair().unwrap();
        let mut connection = EchoConnection::new(socket.into());
        peer.write_all(b"x").unwrap();
        drop(peer);
        let mut scratch = [0; 64];
        // The answer may already fail because the peer is gone; both are an end.
        match connection.turn(&mut scratch) {
            Ok(Outcome::Open) => {
                assert_eq!(connection.turn(&mut scratch).unwrap(), Outcome::Closed);
            }
            Ok(Outcome::Closed) | Err(_) => {}
        }
    }
}
