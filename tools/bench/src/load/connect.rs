//! A fleet of established connections, opened some at a time.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use corecast_kit::sys::{self, Epoll, Interest, Source};

use super::opening::Opening;
use super::{Deadline, EVENT_BATCH, Exchange, Hello, NAP, PATIENCE, SCRATCH_BYTES};
use crate::During;
use crate::{Error, Result};

/// Openings in flight. The accept queue of any listener is longer.
const IN_FLIGHT: usize = 128;

/// Source addresses the connections are spread over, so that the ephemeral
/// ports of one never run out.
const SOURCES: usize = 8;

/// Established connections with the epoll instance that watches them; the
/// token of each is its index.
pub struct Fleet {
    /// Watches every socket, edge-triggered in both directions.
    pub epoll: Epoll,
    /// In the order of their tokens.
    pub sockets: Vec<OwnedFd>,
}

impl Fleet {
    /// Opens `count` connections, all of them or none, within `limit`, and as
    /// long as some come.
    pub fn open(
        address: SocketAddrV4,
        count: usize,
        hello: &mut Hello,
        limit: Duration,
    ) -> Result<Fleet> {
        let deadline = Deadline::after(limit);
        let mut epoll = Epoll::new(EVENT_BATCH).during("making an epoll instance")?;
        let mut scratch = vec![0; 16 * 1024];
        let mut openings: Vec<Option<Opening>> = Vec::with_capacity(count);
        let mut sockets: Vec<Option<OwnedFd>> = (0..count).map(|_| None).collect();
        let mut established = 0;
        let mut progress = Deadline::after(PATIENCE);
        while established < count {
            while openings.len() < count && openings.len() - established < IN_FLIGHT {
                let index = openings.len();
                let opening = Opening::begin(address, source(address, index), hello)?;
                epoll
                    .add(opening.socket(), Interest::EdgeBoth, index as u64)
                    .during("watching a connection")?;
                openings.push(Some(opening));
            }
            deadline.left(|| {
                format!("{established} of {count} connections established in {limit:?}")
            })?;
            progress.left(|| {
                format!(
                    "{established} of {count} connections established, and no other in {PATIENCE:?}"
                )
            })?;
            let ready = epoll.wait(Some(NAP)).during("waiting")?;
            for at in 0..ready {
                let event = epoll.event(at);
                let index = event.token as usize;
                let Some(opening) = &mut openings[index] else {
                    if event.hung_up() {
                        return Err(Error::Wrong(format!(
                            "connection {index} ended while others were being opened"
                        )));
                    }
                    continue;
                };
                if opening.advance(event, hello, &mut scratch)? {
                    sockets[index] = openings[index].take().map(Opening::into_socket);
                    established += 1;
                    progress = Deadline::after(PATIENCE);
                }
            }
        }
        let sockets = sockets.into_iter().flatten().collect();
        Ok(Fleet { epoll, sockets })
    }

    /// Sends `exchange` on one connection and compares every byte of the answer.
    pub fn check(&self, index: usize, exchange: &Exchange, deadline: Deadline) -> Result<()> {
        self.converse(index, &exchange.request, &exchange.response, deadline)
    }

    /// Compares what one connection receives next with `expected`.
    pub fn expect(&self, index: usize, expected: &[u8], deadline: Deadline) -> Result<()> {
        self.converse(index, &[], expected, deadline)
    }

    fn converse(
        &self,
        index: usize,
        request: &[u8],
        response: &[u8],
        deadline: Deadline,
    ) -> Result<()> {
        let socket = self.sockets[index].as_fd();
        let mut scratch = vec![0; SCRATCH_BYTES.min(response.len() + 1)];
        let (mut sent, mut heard) = (0, 0);
        let mut progress = Deadline::after(PATIENCE);
        while sent < request.len() || heard < response.len() {
            if sent < request.len() {
                sent += sys::send(socket, &request[sent..])
                    .during("sending during the check")?
                    .unwrap_or(0);
            }
            match sys::receive(socket, &mut scratch).during("receiving during the check")? {
                Some(0) => {
                    return Err(Error::Wrong(format!(
                        "connection {index} was closed during the check"
                    )));
                }
                Some(count) => {
                    compare(&scratch[..count], &response[heard..], index, heard)?;
                    heard += count;
                    progress = Deadline::after(PATIENCE);
                }
                None => {
                    let received = || {
                        format!(
                            "connection {index} received {heard} of {} bytes in the check",
                            response.len()
                        )
                    };
                    deadline.left(received)?;
                    progress.left(received)?;
                    sys::wait_for(&socket, sent < request.len(), NAP)
                        .during("waiting during the check")?;
                }
            }
        }
        Ok(())
    }

    /// Ends all connections by reset.
    pub fn close(self) {
        for socket in self.sockets {
            sys::close_with_reset(socket);
        }
    }
}

/// Another loopback address for each connection in turn; elsewhere, and where
/// the loopback device has one address and not a network of them, the kernel's
/// own choice.
fn source(target: SocketAddrV4, index: usize) -> Source {
    static HAS_NETWORK: OnceLock<bool> = OnceLock::new();
    let last = Ipv4Addr::new(127, 0, 0, 1 + SOURCES as u8);
    let has_network = || UdpSocket::bind((last, 0)).is_ok();
    if target.ip().is_loopback() && *HAS_NETWORK.get_or_init(has_network) {
        Source::Address(Ipv4Addr::new(127, 0, 0, 2 + (index % SOURCES) as u8))
    } else {
        Source::Any
    }
}

fn compare(heard: &[u8], due: &[u8], index: usize, at: usize) -> Result<()> {
    if due.starts_with(heard) {
        return Ok(());
    }
    let differs = heard
        .iter()
        .zip(due)
        .position(|(heard, due)| heard != due)
        .unwrap_or(due.len());
    let shown = |bytes: &[u8]| {
        let end = bytes.len().min(differs + 24);
        bytes[differs.min(end)..end].escape_ascii().to_string()
    };
    Err(Error::Wrong(format!(
        "connection {index}, byte {}: received '{}', due was '{}'{}",
        at + differs,
        shown(heard),
        shown(due),
        hint(&heard[differs.min(heard.len())..])
    )))
}

/// The probable meaning of the bytes that begin an unexpected frame.
fn hint(heard: &[u8]) -> String {
    match *heard {
        [0x88, _, high, low, ..] => {
            let code = u16::from_be_bytes([high, low]);
            format!(" (a close frame with code {code}?)")
        }
        [0x89, ..] => " (a ping? turn the server's pings off)".into(),
        [0x01 | 0x02, ..] => " (a fragment? answers must come whole)".into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comparison_names_the_first_byte_that_differs() {
        assert!(compare(b"ab", b"abc", 0, 0).is_ok());
        let wrong = compare(b"abX", b"abc", 4, 10).unwrap_err().to_string();
        assert!(wrong.contains("connection 4, byte 12"), "{wrong}");
        let long = compare(b"abc", b"ab", 0, 0).unwrap_err().to_string();
        assert!(long.contains("byte 2"), "{long}");
    }
}
