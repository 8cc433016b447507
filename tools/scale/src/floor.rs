//! The floor of a broadcast to more sockets than one descriptor table holds: a
//! plain loop of sends on each of many threads.
//!
//! It opens WebSocket connections, so that the same load drives it and the
//! server, and does nothing else of the protocol: a publisher's message is
//! unmasked once and sent to everybody on every thread. A connection that does
//! not take it at once gets the rest when there is room.
//!
//! # Invariants worth naming
//!
//! - A thread has a descriptor table, a listener and connections of its own.
//! - Publications reach each thread in the order in which they were read, as
//!   long as there is one publisher.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use corecast::sys::{EventFd, bind_shared, listen, unshare_files};
use corecast_kit::outgoing::Outgoing;
use corecast_kit::sys::{self, Epoll, Interest};
use corecast_kit::websocket::accept_for;

const EVENT_BATCH: usize = 1_024;
const SCRATCH_BYTES: usize = 64 * 1_024;
const BACKLOG: u32 = 65_535;
/// Tokens that are no connection.
const LISTENER: u64 = u64::MAX;
const MAIL: u64 = u64::MAX - 1;

/// The frames that a thread is to send to all its connections.
struct Mailbox {
    event: EventFd,
    frames: Mutex<VecDeque<Arc<[u8]>>>,
}

impl Mailbox {
    fn frames(&self) -> MutexGuard<'_, VecDeque<Arc<[u8]>>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves on `address` with so many threads, on `cpus` in turn, until the
/// process ends.
///
/// # Errors
/// When a thread cannot listen, or an established connection misbehaves.
pub fn serve(address: SocketAddr, threads: usize, cpus: &[usize]) -> io::Result<Infallible> {
    let mailboxes: Arc<[Mailbox]> = (0..threads)
        .map(|_| {
            Ok(Mailbox {
                event: EventFd::new()?,
                frames: Mutex::default(),
            })
        })
        .collect::<io::Result<_>>()?;
    let (ended, ends) = mpsc::channel();
    for number in 0..threads {
        let (mailboxes, ended) = (Arc::clone(&mailboxes), ended.clone());
        let cpu = cpus.get(number % cpus.len().max(1)).copied();
        thread::Builder::new()
            .name(format!("floor-{number}"))
            .spawn(move || {
                let outcome = Floor::new(address, number, cpu, mailboxes).and_then(Floor::run);
                // The receiver is gone when another thread has ended first.
                let _ = ended.send(outcome);
            })?;
    }
    drop(ended);
    match ends.recv() {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::other("all threads have ended")),
    }
}

/// One thread.
struct Floor {
    listener: TcpListener,
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    number: usize,
    mailboxes: Arc<[Mailbox]>,
    scratch: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    outgoing: Outgoing,
    /// It has its answer to the opening handshake.
    subscribed: bool,
    /// The bytes that have arrived of a request or a frame that is not whole.
    partial: Vec<u8>,
}

impl Floor {
    fn new(
        address: SocketAddr,
        number: usize,
        cpu: Option<usize>,
        mailboxes: Arc<[Mailbox]>,
    ) -> io::Result<Self> {
        if let Some(cpu) = cpu {
            sys::pin_to_cpus(&[cpu])?;
        }
        // SAFETY: the thread uses only descriptors that it opens itself, and the mail
        // events, which were made before.
        unsafe { unshare_files() }?;
        let socket = bind_shared(address)?;
        listen(&socket, BACKLOG)?;
        let listener = TcpListener::from(socket);
        let epoll = Epoll::new(EVENT_BATCH)?;
        epoll.add(&listener, Interest::Level, LISTENER)?;
        epoll.add(&mailboxes[number].event.duplicate()?, Interest::Level, MAIL)?;
        Ok(Floor {
            listener,
            epoll,
            connections: Vec::new(),
            free: Vec::new(),
            number,
            mailboxes,
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    fn run(mut self) -> io::Result<Infallible> {
        loop {
            for index in 0..self.epoll.wait(None)? {
                let event = self.epoll.event(index);
                match event.token {
                    LISTENER => self.accept_all()?,
                    MAIL => self.deliver(),
                    place => {
                        let place = place as usize;
                        let lives = self.connections[place].as_mut().is_some_and(|connection| {
                            let Connection {
                                socket, outgoing, ..
                            } = connection;
                            !event.writable()
                                || outgoing.is_empty()
                                || outgoing.flush(socket.as_fd()).is_ok()
                        });
                        if !lives || (event.readable() && self.read(place).is_err()) {
                            self.connections[place] = None;
                            self.free.push(place);
                        }
                    }
                }
            }
        }
    }

    fn accept_all(&mut self) -> io::Result<()> {
        while let Some(socket) = sys::accept(&self.listener)? {
            let place = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.epoll.add(&socket, Interest::EdgeBoth, place as u64)?;
            self.connections[place] = Some(Connection {
                socket,
                outgoing: Outgoing::default(),
                subscribed: false,
                partial: Vec::new(),
            });
        }
        Ok(())
    }

    /// Reads until nothing is left; an error ends the connection.
    fn read(&mut self, place: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[place] else {
            return Ok(());
        };
        while let Some(count) = sys::receive(connection.socket.as_fd(), &mut self.scratch)? {
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            connection.partial.extend_from_slice(&self.scratch[..count]);
        }
        if !connection.subscribed {
            let Some(response) = answer(&connection.partial)? else {
                return Ok(());
            };
            connection.partial = Vec::new();
            connection.subscribed = true;
            let Connection {
                socket, outgoing, ..
            } = connection;
            return outgoing.send(socket.as_fd(), response.as_bytes());
        }
        while let Some((frame, length)) = publication(&connection.partial)? {
            connection.partial.drain(..length);
            for mailbox in &*self.mailboxes {
                mailbox.frames().push_back(Arc::clone(&frame));
                mailbox.event.notify();
            }
        }
        Ok(())
    }

    /// The loop of sends.
    fn deliver(&mut self) {
        let mailbox = &self.mailboxes[self.number];
        mailbox.event.drain();
        let frames = std::mem::take(&mut *mailbox.frames());
        for frame in frames {
            for connection in self.connections.iter_mut().flatten() {
                let Connection {
                    socket,
                    outgoing,
                    subscribed,
                    ..
                } = connection;
                if *subscribed {
                    // A broken socket is found when its end is read.
                    let _ = outgoing.send(socket.as_fd(), &frame);
                }
            }
        }
    }
}

/// The answer to a request, once that is whole (RFC 6455, section 4.2.2).
fn answer(request: &[u8]) -> io::Result<Option<String>> {
    if !request.ends_with(b"\r\n\r\n") {
        return Ok(None);
    }
    let text = std::str::from_utf8(request).map_err(io::Error::other)?;
    let key = text
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map(|(_, key)| key.trim())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_for(key)
    )))
}

/// The first of the masked frames in `bytes`, as it goes to everybody, and its
/// length there; `None` if it is not whole.
fn publication(bytes: &[u8]) -> io::Result<Option<(Arc<[u8]>, usize)>> {
    const LARGE: usize = 126;
    let &[first, second, ..] = bytes else {
        return Ok(None);
    };
    let (header, length) = match usize::from(second & 0x7f) {
        small @ 0..LARGE => (2, small),
        LARGE => match bytes.get(2..4) {
            Some(length) => (4, usize::from(u16::from_be_bytes([length[0], length[1]]))),
            None => return Ok(None),
        },
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    if first & 0x80 == 0 || first & 0x08 != 0 || second & 0x80 == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let whole = header + 4 + length;
    let Some(frame) = bytes.get(..whole) else {
        return Ok(None);
    };
    let (mask, payload) = frame[header..].split_at(4);
    let mut unmasked = frame[..header].to_vec();
    unmasked[1] &= 0x7f;
    unmasked.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    Ok(Some((unmasked.into(), whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_unmasked_once_it_is_whole() {
        let mut bytes = vec![0x82, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3];
        for short in 0..bytes.len() {
            assert!(publication(&bytes[..short]).unwrap().is_none());
        }
        bytes.push(0x82);
        let (frame, length) = publication(&bytes).unwrap().unwrap();
        assert_eq!((&*frame, length), (&b"\x82\x03abc"[..], 9));

        let mut large = vec![0x81, 0xfe, 0x01, 0x00, 0, 0, 0, 0];
        large.extend([b'x'; 256]);
        let (frame, length) = publication(&large).unwrap().unwrap();
        assert_eq!((frame.len(), length), (260, 264));
    }

    #[test]
    fn what_is_no_publication_ends_the_connection() {
        for bytes in [[0x88, 0x80], [0x02, 0x80], [0x82, 0x00], [0x82, 0xff]] {
            assert!(publication(&bytes).is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_answered() {
        let request = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert_eq!(answer(&request[..20]).unwrap(), None);
        let response = answer(request).unwrap().unwrap();
        assert!(response.contains("Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer(b"GET / HTTP/1.1\r\n\r\n").is_err());
    }
}
