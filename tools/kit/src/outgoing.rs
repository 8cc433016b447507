//! Bytes that found no room in a socket and wait for it.

use std::io;
use std::os::fd::BorrowedFd;

use crate::sys;

/// A connection's unsent bytes, in order. Empty almost always, and then it
/// holds no memory.
#[derive(Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    /// No byte waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sends `bytes` after those that wait already, and keeps those that find
    /// no room.
    #[inline]
    pub fn send(&mut self, socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
        if !self.is_empty() {
            self.bytes.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = sys::send(socket, bytes)?.unwrap_or(0);
        if sent < bytes.len() {
            self.bytes.extend_from_slice(&bytes[sent..]);
        }
        Ok(())
    }

    /// Keeps `bytes` as if there had been no room for them.
    pub fn keep(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Sends the bytes that wait, as far as there is room.
    #[cold]
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            match sys::send(socket, &self.bytes[self.sent..])? {
                Some(sent) => self.sent += sent,
                None => return Ok(()),
            }
        }
        *self = Outgoing::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn more_than_the_socket_holds_is_kept_and_sent_in_order() {
        let (mut peer, socket) = UnixStream::pair().unwrap();
        let mut outgoing = Outgoing::default();
        let bytes: Vec<u8> = (0..2_000_000u32).map(|n| (n % 251) as u8).collect();
        outgoing.send(socket.as_fd(), &bytes).unwrap();
        outgoing.send(socket.as_fd(), b"last").unwrap();
        assert!(!outgoing.is_empty());

        let mut received = vec![0; bytes.len() + 4];
        let mut at = 0;
        while at < received.len() {
            at += peer.read(&mut received[at..]).unwrap();
            outgoing.flush(socket.as_fd()).unwrap();
        }
        assert!(outgoing.is_empty());
        assert_eq!(received[..bytes.len()], bytes);
        assert_eq!(&received[bytes.len()..], b"last");
    }
}
