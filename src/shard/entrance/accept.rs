//! Accepting connections.
//!
//! # Invariants worth naming
//!
//! - A host that has nothing for another connection, or forbids it, pauses
//!   accepting; that is logged once, and ends by itself.
//! - A shard that drains accepts what was connected to it already, unless its
//!   new process has the same listener.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::link::ListenSocket;
use crate::runtime::tasks::{give_way, spawn};
use crate::runtime::time::sleep;
use crate::shard::Shard;
use crate::shard::signal::Signal;
use crate::shutdown::{Lifecycle, TakenOverBy};
use crate::sys::is_temporary;

/// Connections accepted before the shard's other tasks have their turn.
const BATCH: usize = 64;
/// A turn that is longer holds up connections that come in it.
const LONG_TURN: Duration = Duration::from_micros(500);
/// Time without accepting after the host ran out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// Time for TCP handshakes that were begun with us when a neighbour takes over:
/// a slow round trip and a packet that was lost.
const LAST_HANDSHAKES: Duration = Duration::from_secs(2);

/// Accepts from a listener until the shard drains or is gone. `cpu` is the core the
/// shard is pinned to.
pub(in crate::shard) fn spawn_listener(
    shard: &Rc<RefCell<Shard>>,
    socket: ListenSocket,
    cpu: Option<usize>,
) {
    // Before the task begins, so that a drain in between waits for it.
    shard.borrow_mut().entrance.accepting += 1;
    let listener = Listener {
        // The runtime forgets tasks that still wait when it ends. They must not keep
        // the sessions, nor the ring that holds their sockets open.
        shard: Rc::downgrade(shard),
        socket,
        cpu,
        paused: false,
    };
    spawn(listener.run(Rc::clone(&shard.borrow().entrance.leaving)));
}

/// Whether a wait for a connection has let anything else run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Yes,
    No,
}

/// The outcome of accepting.
#[derive(PartialEq, Eq)]
enum Accepted {
    /// Nothing waits any more.
    All,
    /// More may wait.
    Some,
    /// The host refuses: it has nothing for another connection, or forbids it.
    Refused,
    /// There is nothing to accept from or for.
    Gone,
}

/// A listener, and the shard it is accepted for.
struct Listener {
    shard: Weak<RefCell<Shard>>,
    socket: ListenSocket,
    /// The core the shard is pinned to.
    cpu: Option<usize>,
    /// Whether the host refused at the last attempt.
    paused: bool,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(shard) = self.shard.upgrade() {
            shard.borrow_mut().entrance.accepting -= 1;
        }
    }
}

impl Listener {
    async fn run(mut self, leaving: Rc<Signal>) {
        while !leaving.is_set() {
            if self.is_full() {
                if let Some(shard) = self.shard.upgrade() {
                    shard.borrow().entrance.metrics.accept_pauses.add(1);
                }
                while self.is_full() && !leaving.is_set() {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            match self.wait(&leaving).await {
                Ok(Waited::Yes) => {}
                // The sessions have a turn before the next batch.
                Ok(Waited::No) => give_way().await,
                Err(_) => return,
            }
            if leaving.is_set() {
                break;
            }
            match self.accept_some() {
                Accepted::Refused => sleep(PAUSE).await,
                Accepted::Some => give_way().await,
                // Others that come meanwhile are accepted together, which is cheaper.
                // But a long turn would hold them up: then the next connection is
                // waited for at once, and taken after the turn in which it comes.
                Accepted::All if !self.turns_are_long() => give_way().await,
                Accepted::All => {}
                Accepted::Gone => return,
            }
        }
        self.leave().await;
    }

    /// Waits until a connection does, or the shard drains. On monoio's epoll driver
    /// a readiness from before may end the wait before it has begun.
    async fn wait(&self, leaving: &Signal) -> io::Result<Waited> {
        let mut readable = pin!(self.socket.readable());
        let mut waited = Waited::No;
        poll_fn(|cx| {
            if leaving.poll(cx.waker()) {
                return Poll::Ready(Ok(waited));
            }
            let ready = readable.as_mut().poll(cx).map_ok(|()| waited);
            waited = Waited::Yes;
            ready
        })
        .await
    }

    /// Accepts a batch of those that wait.
    fn accept_some(&mut self) -> Accepted {
        let Some(shard) = self.shard.upgrade() else {
            return Accepted::Gone;
        };
        for _ in 0..BATCH {
            // The one before may have taken the last place.
            if shard.borrow_mut().is_full() {
                break;
            }
            match self.socket.accept(self.cpu.is_some()) {
                Ok(accepted) => {
                    if std::mem::take(&mut self.paused) {
                        tracing::info!("accepting again");
                    }
                    if self.cpu.is_some() && accepted.incoming_cpu == self.cpu {
                        shard.borrow().entrance.metrics.accepted_on_own_core.add(1);
                    }
                    let handshake = shard.borrow_mut().arrive(
                        accepted.link,
                        accepted.peer,
                        self.socket.place(),
                    );
                    if let Some(handshake) = handshake {
                        handshake.spawn(&shard);
                    }
                }
                Err(error) if is_temporary(&error) => return Accepted::All,
                // Another process has made it refuse.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Accepted::Gone,
                // A connection that was lost in the queue; the next may be good.
                Err(error) if has_died(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.paused, true) {
                        tracing::warn!("accepting pauses: {error}; {}", remedy(&error));
                    }
                    shard.borrow().entrance.metrics.accept_pauses.add(1);
                    return Accepted::Refused;
                }
            }
        }
        Accepted::Some
    }

    /// Stops accepting, as fits the server that comes after us.
    async fn leave(mut self) {
        let place = self.socket.place();
        let taken_over_by = self
            .lifecycle()
            .map_or(TakenOverBy::Nobody, |life| life.take_over().at(place));
        match taken_over_by {
            // The listener is the new process's too, with all that waits in it.
            TakenOverBy::NewProcess => return,
            TakenOverBy::Neighbour => self.make_room_for_neighbour().await,
            TakenOverBy::Nobody => {}
        }
        // Those in the queue have been told that they are connected.
        while self.accept_some() == Accepted::Some && !self.is_full() {
            give_way().await;
        }
        self.socket.stop();
    }

    /// The kernel goes on dealing connections to us as long as we listen, and would
    /// reset those whose handshake it has begun for us. So those are let finish; then
    /// nothing more gets in, and packets that were on their way are sent again when we
    /// are gone, to our neighbour.
    async fn make_room_for_neighbour(&mut self) {
        let until = Instant::now() + LAST_HANDSHAKES;
        while Instant::now() < until && self.lifecycle().is_some_and(|life| !life.is_hurried()) {
            if self.accept_some() == Accepted::Gone {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        // If that fails, connections that arrive between the last accept and the end
        // are reset.
        let _ = self.socket.shut_out();
        // Packets that had passed before are through by then.
        sleep(Duration::from_millis(10)).await;
    }

    fn is_full(&self) -> bool {
        let shard = self.shard.upgrade();
        shard.is_some_and(|shard| shard.borrow_mut().is_full())
    }

    fn turns_are_long(&self) -> bool {
        let shard = self.shard.upgrade();
        shard.is_some_and(|shard| shard.borrow().last_turn > LONG_TURN)
    }

    fn lifecycle(&self) -> Option<Arc<Lifecycle>> {
        let shard = self.shard.upgrade()?;
        let lifecycle = Arc::clone(&shard.borrow().lifecycle);
        Some(lifecycle)
    }
}

/// Whether an error of accepting concerns the one connection only: Linux passes on
/// what its network has reported.
fn has_died(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ETIMEDOUT
        )
    ) || error.kind() == io::ErrorKind::InvalidData
}

/// The remedy for a host that refuses.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::ENOSYS) => {
            "a seccomp profile, a security module or a firewall forbids it; allow accept4 and incoming connections"
        }
        _ => {
            "raise the limit on descriptors (LimitNOFILE= in a unit, ulimit -n in a shell), add --shards, \
             or lower --max-sessions"
        }
    }
}
