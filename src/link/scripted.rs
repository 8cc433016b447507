//! A socket that a test plays: the bytes that arrive, the room there is and the way the
//! connection breaks are scripted, and the bytes sent can be read.
//!
//! A session's end of it is a number, as a descriptor is, so that sessions are as
//! small in tests as elsewhere.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use slab::Slab;

thread_local! {
    static WIRES: RefCell<Slab<Wire>> = const { RefCell::new(Slab::new()) };
}

/// Names a scripted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WireId(u32);

impl WireId {
    /// Whether a read would give anything but 'nothing has arrived'.
    pub(crate) fn is_readable(self) -> bool {
        with_wire(self.0, |wire| {
            wire.reset || wire.ended || !wire.arrived.is_empty()
        })
    }

    /// Whether the peer will send nothing more.
    pub(crate) fn has_ended(self) -> bool {
        with_wire(self.0, |wire| wire.reset || wire.ended)
    }

    /// Whether a send would take anything.
    pub(crate) fn has_room(self) -> bool {
        with_wire(self.0, |wire| wire.reset || wire.room > 0)
    }
}

/// The wire between the two ends.
#[derive(Debug, Default)]
struct Wire {
    arrived: VecDeque<u8>,
    /// The peer will send nothing after what has arrived.
    ended: bool,
    /// The connection is lost; both ends see an error.
    reset: bool,
    /// Bytes the socket takes before it is full.
    room: usize,
    /// A send was refused since room was last made.
    refused: bool,
    sent: Vec<u8>,
    /// Nothing more may be sent.
    shut: bool,
    /// Ends that exist.
    ends: u8,
}

fn with_wire<R>(index: u32, act: impl FnOnce(&mut Wire) -> R) -> R {
    WIRES.with_borrow_mut(|wires| act(&mut wires[index as usize]))
}

/// Lets go of one end; the wire goes with the last.
fn drop_end(index: u32) {
    // A thread that ends may have dropped all wires before its sessions.
    let _ = WIRES.try_with(|wires| {
        let mut wires = wires.borrow_mut();
        let wire = &mut wires[index as usize];
        wire.ends -= 1;
        if wire.ends == 0 {
            wires.remove(index as usize);
        }
    });
}

/// A new connection: the session's end and the peer's.
pub(crate) fn connection(room: usize) -> (ScriptedSocket, Peer) {
    let wire = Wire {
        room,
        ends: 2,
        ..Wire::default()
    };
    let index = WIRES.with_borrow_mut(|wires| wires.insert(wire)) as u32;
    (ScriptedSocket(index), Peer(index))
}

/// Connections of this thread of which an end is still held.
pub(crate) fn open_connections() -> usize {
    WIRES.with_borrow(Slab::len)
}

/// The session's end.
#[derive(Debug)]
pub struct ScriptedSocket(u32);

impl ScriptedSocket {
    /// Its connection.
    pub(crate) fn id(&self) -> WireId {
        WireId(self.0)
    }

    pub(super) fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        with_wire(self.0, |wire| {
            if wire.reset {
                return Err(ErrorKind::ConnectionReset.into());
            }
            if wire.arrived.is_empty() {
                return if wire.ended {
                    Ok(0)
                } else {
                    Err(ErrorKind::WouldBlock.into())
                };
            }
            let len = wire.arrived.len().min(buffer.len());
            for (to, byte) in buffer.iter_mut().zip(wire.arrived.drain(..len)) {
                *to = byte;
            }
            Ok(len)
        })
    }

    pub(super) fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        with_wire(self.0, |wire| {
            if wire.reset || wire.shut {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let offered: usize = parts.iter().map(|part| part.len()).sum();
            let mut left = offered.min(wire.room);
            let sent = left;
            for part in parts {
                let taken = part.len().min(left);
                wire.sent.extend_from_slice(&part[..taken]);
                left -= taken;
            }
            wire.room -= sent;
            wire.refused |= sent < offered;
            if sent == 0 && offered > 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(sent)
        })
    }

    pub(super) fn shut_write(&self) {
        with_wire(self.0, |wire| wire.shut = true);
    }

    pub(super) fn has_unread(&self) -> bool {
        with_wire(self.0, |wire| !wire.arrived.is_empty())
    }
}

/// Only a plane of the kernel would use it, and a scripted one does not.
impl AsFd for ScriptedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        const NO_PLANE: &str =
            "a scripted socket has no descriptor; watch it with a scripted plane";
        unreachable!("{NO_PLANE}")
    }
}

impl Drop for ScriptedSocket {
    fn drop(&mut self) {
        drop_end(self.0);
    }
}

/// The peer's end.
#[derive(Debug)]
pub(crate) struct Peer(u32);

impl Peer {
    /// Its connection.
    pub(crate) fn id(&self) -> WireId {
        WireId(self.0)
    }

    /// Sends bytes to the session.
    pub(crate) fn send(&self, bytes: &[u8]) {
        with_wire(self.0, |wire| wire.arrived.extend(bytes));
    }

    /// Ends the stream to the session.
    pub(crate) fn end(&self) {
        with_wire(self.0, |wire| wire.ended = true);
    }

    /// Breaks the connection: the bytes that have arrived are lost.
    pub(crate) fn reset(&self) {
        with_wire(self.0, |wire| wire.reset = true);
    }

    /// Makes room for so many bytes more. Returns whether that is an edge: a send
    /// was refused before.
    pub(crate) fn make_room(&self, bytes: usize) -> bool {
        with_wire(self.0, |wire| {
            wire.room = wire.room.saturating_add(bytes);
            bytes > 0 && std::mem::take(&mut wire.refused)
        })
    }

    /// Takes what the session has sent.
    pub(crate) fn take_sent(&self) -> Vec<u8> {
        with_wire(self.0, |wire| std::mem::take(&mut wire.sent))
    }

    /// Whether the session has let go of its end.
    pub(crate) fn is_closed(&self) -> bool {
        with_wire(self.0, |wire| wire.ends == 1)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop_end(self.0);
    }
}
