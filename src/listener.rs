//! Accepting connections and answering their opening handshakes.
//!
//! This is the cold path: ordinary async code on the shard's monoio runtime.
//! A connection whose request has arrived by the time it is accepted becomes a
//! session at once; any other gets a task with a deadline, which ends when the
//! request is complete or refused.
//!
//! # Invariants worth naming
//!
//! - The number of tasks is bounded by `max_handshakes_per_shard`; at the
//!   bound the shard stops accepting, and the kernel's queue holds the rest.
//! - Running out of descriptors or memory pauses accepting, is said once, and
//!   ends by itself.
//! - A refused client gets its response: its connection is drained before it
//!   is closed.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use monoio::net::{TcpListener, TcpStream};

use crate::metrics::RefusalReason;
use crate::runtime::tasks::{give_way, spawn};
use crate::runtime::time::{sleep, timeout};
use crate::shard::{Answer, Arrival, Bell, Core};
use crate::shutdown::{Heir, Lifecycle};
use crate::sys::{self, Socket, is_temporary};
use crate::upgrade::HttpError;

/// Connections accepted before the shard's other tasks have their turn.
const BATCH: usize = 64;
/// Time without accepting after the host ran out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// Time for TCP handshakes that were begun with us when a neighbour takes over:
/// a slow round trip and a packet that was lost.
const LAST_HANDSHAKES: Duration = Duration::from_secs(2);
/// Reads of 4 KiB a refused client may still cause.
const MAX_DISCARDS: usize = 256;
/// Time a refused client has to read its response.
const LINGER: Duration = Duration::from_secs(2);

/// Accepts until the shard drains or is gone. `cpu` is the core the shard is
/// pinned to.
pub(crate) async fn accept_connections(
    core: Weak<RefCell<Core>>,
    listener: TcpListener,
    cpu: Option<usize>,
) {
    let Some(leaving) = core.upgrade().map(|core| Rc::clone(&core.borrow().leaving)) else {
        return;
    };
    let mut door = Door {
        core,
        listener,
        cpu,
        paused: false,
    };
    while !leaving.has_rung() {
        if door.is_full() {
            if let Some(core) = door.core.upgrade() {
                core.borrow().metrics.accept_pauses.add(1);
            }
            while door.is_full() && !leaving.has_rung() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        if door.wait(&leaving).await.is_err() {
            return;
        }
        if leaving.has_rung() {
            break;
        }
        match door.accept_some() {
            Accepted::Exhausted => sleep(PAUSE).await,
            // The sessions have a turn before the next batch.
            Accepted::All | Accepted::Some => give_way().await,
            Accepted::Gone => return,
        }
    }
    door.leave().await;
}

/// What came of accepting.
#[derive(PartialEq, Eq)]
enum Accepted {
    /// Nobody waits any more.
    All,
    /// More may wait.
    Some,
    /// The host has nothing for another connection.
    Exhausted,
    /// There is nothing to accept from or for.
    Gone,
}

/// A listener, and the shard it is accepted for.
struct Door {
    core: Weak<RefCell<Core>>,
    listener: TcpListener,
    /// The core the shard is pinned to.
    cpu: Option<usize>,
    /// Whether the host had nothing for another connection.
    paused: bool,
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            let mut core = core.borrow_mut();
            core.doors -= 1;
        }
    }
}

impl Door {
    /// Waits until somebody does, or the shard drains.
    async fn wait(&self, leaving: &Bell) -> io::Result<()> {
        let mut readable = pin!(self.listener.readable(false));
        poll_fn(|cx| {
            if leaving.listen(cx.waker()) {
                return Poll::Ready(Ok(()));
            }
            readable.as_mut().poll(cx)
        })
        .await
    }

    /// Accepts a batch of those who wait.
    fn accept_some(&mut self) -> Accepted {
        let Some(core) = self.core.upgrade() else {
            return Accepted::Gone;
        };
        for _ in 0..BATCH {
            // The one before may have taken the last place.
            if core.borrow().is_full() {
                break;
            }
            match sys::accept(&fd(&self.listener)) {
                Ok((socket, peer)) => {
                    if std::mem::take(&mut self.paused) {
                        tracing::info!("accepting again");
                    }
                    if self.cpu.is_some() && socket.incoming_cpu() == self.cpu {
                        core.borrow().metrics.accepted_on_own_core.add(1);
                    }
                    begin(&core, socket, peer);
                }
                Err(error) if is_temporary(&error) => return Accepted::All,
                Err(error) if is_exhaustion(&error) => {
                    if !std::mem::replace(&mut self.paused, true) {
                        tracing::warn!(
                            "accepting pauses: {error}; raise the limit on descriptors \
                             (LimitNOFILE= in a unit, ulimit -n in a shell), add --shards, \
                             or lower --max-sessions"
                        );
                    }
                    core.borrow().metrics.accept_pauses.add(1);
                    return Accepted::Exhausted;
                }
                // Somebody else has made it refuse.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Accepted::Gone,
                // A connection that died in the queue; the next may live.
                Err(_) => {}
            }
        }
        Accepted::Some
    }

    /// Stops accepting, as fits who comes after us.
    async fn leave(mut self) {
        let heir = self.lifecycle().map_or(Heir::Nobody, |life| life.heir());
        match heir {
            // The listener is the successor's too, with all that waits in it.
            Heir::Successor => return,
            Heir::Neighbour => self.make_room_for_neighbour().await,
            Heir::Nobody => {}
        }
        // Those in the queue have been told that they are connected.
        while self.accept_some() == Accepted::Some && !self.is_full() {
            give_way().await;
        }
        sys::stop_listening(&fd(&self.listener));
    }

    /// The kernel goes on dealing connections to us as long as we listen, and
    /// would reset those whose handshake it has begun for us. So those are let
    /// finish; then nothing more gets in, and what was on its way is sent again
    /// when we are gone, to our neighbour.
    async fn make_room_for_neighbour(&mut self) {
        let until = Instant::now() + LAST_HANDSHAKES;
        while Instant::now() < until && self.lifecycle().is_some_and(|life| !life.is_hurried()) {
            if self.accept_some() == Accepted::Gone {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        // Where that fails, what arrives between the last accept and the end is reset.
        let _ = sys::shut_out(&fd(&self.listener));
        // Packets that had passed before are through by then.
        sleep(Duration::from_millis(10)).await;
    }

    fn is_full(&self) -> bool {
        let core = self.core.upgrade();
        core.is_some_and(|core| core.borrow().is_full())
    }

    fn lifecycle(&self) -> Option<Arc<Lifecycle>> {
        let core = self.core.upgrade()?;
        let lifecycle = Arc::clone(&core.borrow().lifecycle);
        Some(lifecycle)
    }
}

/// A descriptor of the runtime's, for calls that do not go through it.
fn fd(owner: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: `owner` keeps the descriptor open while it is borrowed.
    unsafe { BorrowedFd::borrow_raw(owner.as_raw_fd()) }
}

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// The fast path of a handshake: the request has arrived already.
fn begin(core: &Rc<RefCell<Core>>, socket: Socket, peer: SocketAddr) {
    let mut shard = core.borrow_mut();
    shard.metrics.accepted.add(1);
    let mut buffer = Vec::new();
    let mut arrival = match shard.arrive(peer) {
        Ok(arrival) => arrival,
        Err(response) => return dismiss(&socket, &response),
    };
    match shard.first_bytes(&socket, &mut arrival, &mut buffer) {
        Ok(Answer::Open(opening)) => shard.open(*opening, socket, &mut buffer),
        Ok(answer) => {
            let place = shard.handshakes.insert(socket.as_raw_fd());
            shard.metrics.handshakes.set(shard.handshakes.len() as u64);
            let task = Handshake {
                core: Rc::clone(core),
                arrival,
                place,
                buffer,
            };
            spawn(task.run(socket, answer));
        }
        Err(_) => shard.metrics.refuse(RefusalReason::Vanished),
    }
}

/// Answers a connection that must not cost anything more. What it has sent is
/// read, because closing over unread bytes would destroy the answer on its way.
fn dismiss(socket: &Socket, response: &[u8]) {
    let _ = socket.recv(&mut [0; 2_048]);
    let _ = socket.send_bytes(response);
}

/// A handshake that needs more than one look.
struct Handshake {
    core: Rc<RefCell<Core>>,
    arrival: Arrival,
    /// Its place among the shard's handshakes.
    place: usize,
    /// What has arrived of the request.
    buffer: Vec<u8>,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut core = self.core.borrow_mut();
        core.handshakes.remove(self.place);
        core.metrics.handshakes.set(core.handshakes.len() as u64);
    }
}

impl Handshake {
    async fn run(mut self, socket: Socket, answer: Answer) {
        let limit = self.core.borrow().limits.handshake_timeout;
        let deadline = Instant::now() + limit;
        let Ok(stream) = TcpStream::from_std(socket.into_fd().into()) else {
            return;
        };
        let answer = match answer {
            Answer::Wait => self.complete(&stream, deadline).await,
            answer => Ok(answer),
        };
        match answer {
            Ok(Answer::Open(opening)) => {
                let consumed = opening.consumed;
                // SAFETY: the runtime has just given up the descriptor.
                let socket = Socket::new(unsafe { OwnedFd::from_raw_fd(stream.into_raw_fd()) });
                let mut core = self.core.borrow_mut();
                core.open(*opening, socket, &mut self.buffer[consumed..]);
            }
            Ok(Answer::Respond(response)) => self.respond(stream, &response).await,
            Ok(Answer::Wait) | Err(_) => {
                self.core.borrow().metrics.refuse(RefusalReason::Vanished);
            }
        }
    }

    /// Reads until there is an answer.
    async fn complete(&mut self, stream: &TcpStream, deadline: Instant) -> io::Result<Answer> {
        let mut chunk = [0; 2_048];
        let most = self.core.borrow().limits.max_read_bytes.min(chunk.len());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(readable) = timeout(left, stream.readable(false)).await else {
                let core = self.core.borrow();
                return Ok(core.refuse(&self.buffer, &self.arrival, HttpError::Timeout));
            };
            readable?;
            match sys::recv(fd(stream), &mut chunk[..most]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(received) => self.buffer.extend_from_slice(&chunk[..received]),
                Err(error) if is_temporary(&error) => continue,
                Err(error) => return Err(error),
            }
            let answer = self
                .core
                .borrow_mut()
                .answer(&self.buffer, &mut self.arrival);
            match answer {
                Answer::Wait => {}
                answer => return Ok(answer),
            }
        }
    }

    /// Sends a response and waits until the client has it.
    async fn respond(&self, stream: TcpStream, mut response: &[u8]) {
        let deadline = Instant::now() + LINGER;
        while !response.is_empty() {
            match sys::send(fd(&stream), response) {
                Ok(sent) => response = &response[sent..],
                Err(error) if is_temporary(&error) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if timeout(left, stream.writable(false)).await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
        sys::shutdown_write(fd(&stream));
        // Whatever is still on its way here is read and thrown away; a client
        // that never stops sending is cut off.
        for _ in 0..MAX_DISCARDS {
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = timeout(left, stream.readable(false)).await;
            let mut discarded = [0; 4_096];
            match (waited, sys::recv(fd(&stream), &mut discarded)) {
                (Err(_), _) | (_, Ok(0)) => return,
                (_, Err(error)) if !is_temporary(&error) => return,
                _ => {}
            }
        }
    }
}
