//! The handshake floor: the same system calls as an opening handshake, with a
//! response that is always the same.
//!
//! Like a server it waits for the peer to end the connection.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use corecast_kit::sys::{self, Epoll, Interest};

use super::{EVENT_BATCH, LISTENER};

/// The key of the example in RFC 6455, section 1.3.
pub const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The accept value that RFC 6455 gives for [`SAMPLE_KEY`].
pub const SAMPLE_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The shortest response a WebSocket client accepts for [`SAMPLE_KEY`].
pub const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Serves `listener` until the process ends.
pub fn serve(listener: OwnedFd) -> io::Result<Infallible> {
    let mut epoll = Epoll::new(EVENT_BATCH)?;
    epoll.add(&listener, Interest::Level, LISTENER)?;
    let mut connections: Vec<Option<OwnedFd>> = Vec::new();
    let mut free = Vec::new();
    let mut scratch = vec![0; 4096];
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
                    epoll.add(&socket, Interest::Edge, slot as u64)?;
                    connections[slot] = Some(socket);
                }
                continue;
            }
            let slot = token as usize;
            let Some(socket) = &connections[slot] else {
                continue;
            };
            if answer(socket, &mut scratch).is_err() {
                connections[slot] = None;
                free.push(slot);
            }
        }
    }
}

/// Reads once and answers a request that came whole; any end is an error.
fn answer(socket: &OwnedFd, scratch: &mut [u8]) -> io::Result<()> {
    match sys::receive(socket.as_fd(), scratch)? {
        None => Ok(()),
        Some(count) if scratch[..count].ends_with(b"\r\n\r\n") => {
            sys::send(socket.as_fd(), RESPONSE).map(drop)
        }
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_carries_the_sample_accept_and_has_129_bytes() {
        assert!(String::from_utf8_lossy(RESPONSE).contains(SAMPLE_ACCEPT));
        assert_eq!(RESPONSE.len(), 129);
    }
}
