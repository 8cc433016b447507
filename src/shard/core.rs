//! What a shard is made of, and its turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::config::SlowConsumerPolicy;
use crate::handler::Route;
use crate::hub::Hub;
use crate::metrics::{EndReason, ShardMetrics};
use crate::permits::Permits;
use crate::plane::{Plane, Readiness, SessionKey};
use crate::router::Router;
use crate::runtime::tasks;
use crate::session::Session;
use crate::shutdown::Lifecycle;
use crate::source::{AddressPolicy, Admission, Sources};
use crate::upgrade::OriginPolicy;
use crate::ws::{CloseCode, Rules};

use super::meter::Meters;
use super::sweep::{Drain, Sweep};
use super::turnstile::FanOutTurn;

/// A route as one shard runs it.
pub(crate) struct ShardRoute {
    pub(crate) route: Box<dyn Route>,
    pub(crate) slow_consumer: SlowConsumerPolicy,
    pub(crate) drain_code: CloseCode,
    pub(crate) server_pings: bool,
    pub(crate) tick_interval: Option<Duration>,
}

/// The settings a shard looks at while it runs. Times are milliseconds of its
/// clock, zero for 'never'.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) max_sessions: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) max_header_bytes: usize,
    pub(crate) max_read_bytes: usize,
    pub(crate) high_water_mark_bytes: usize,
    pub(crate) max_pending_bytes: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) idle_ms: u32,
    pub(crate) ping_ms: u32,
    pub(crate) write_stall_ms: u32,
    pub(crate) close_ms: u32,
    pub(crate) drain_ms: u32,
    pub(crate) fan_out_slice: usize,
}

/// The buffer received bytes are read into.
///
/// It begins in the middle of a page. Large allocations begin on one, and some
/// processors copy many times slower between two places that lie almost a
/// multiple of a page apart.
#[derive(Default)]
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    const OFFSET: usize = 2_048;

    fn new(max_read_bytes: usize) -> Self {
        Scratch(vec![0; Self::OFFSET + max_read_bytes])
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0[Self::OFFSET..]
    }
}

/// A shard's clock: read once per turn, good for 49 days between two readings
/// of one session.
pub(crate) struct Clock {
    epoch: Instant,
    elapsed_ms: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Clock {
            epoch: Instant::now(),
            elapsed_ms: 0,
        }
    }

    pub(super) fn refresh(&mut self, now: Instant) {
        self.elapsed_ms = now.duration_since(self.epoch).as_millis() as u64;
    }

    /// The short form that sessions keep.
    pub(crate) fn now_ms(&self) -> u32 {
        self.elapsed_ms as u32
    }

    /// Milliseconds since the shard began; never wraps around.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        self.elapsed_ms
    }

    pub(crate) fn since(&self, then_ms: u32) -> u32 {
        self.now_ms().wrapping_sub(then_ms)
    }
}

/// Everything of a shard but its runtime. Its methods are spread over this
/// folder: `turn` here, how sessions begin and end in `open` and `end`, reading,
/// answering and delivering in `serve`, deadlines and draining in `sweep`.
pub(crate) struct Core {
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    pub(crate) origins: OriginPolicy,
    pub(crate) addresses: AddressPolicy,
    pub(crate) metrics: Arc<ShardMetrics>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) permits: Arc<Permits>,
    /// What all shards know of the sources of connections, where those are limited.
    pub(crate) sources: Option<Arc<Sources>>,
    /// The places that sessions have among those of their sources, by their
    /// place in the table.
    pub(super) admissions: Vec<Option<Admission>>,
    pub(crate) router: Router<u16>,
    pub(crate) routes: Vec<ShardRoute>,
    pub(crate) plane: Box<dyn Plane>,
    pub(crate) hub: Hub,
    pub(crate) sessions: Slab<Session>,
    pub(crate) clock: Clock,
    /// What sessions may send per second, where that is limited.
    pub(crate) meters: Option<Meters>,
    /// When the shard may fan out, where it shares its core.
    pub(super) fan_out_turn: FanOutTurn,
    /// Rings when the shard drains, for those who accept.
    pub(crate) leaving: Rc<Bell>,
    /// Listeners that are still accepted from.
    pub(crate) doors: usize,
    /// The sockets of opening handshakes that have a task, which takes its
    /// entry out in the same step in which it lets go of the socket.
    pub(crate) handshakes: Slab<RawFd>,
    pub(super) next_generation: u32,
    /// One more than the highest place in the table that was ever taken.
    pub(super) highest_index: usize,
    pub(super) sweep: Sweep,
    pub(super) drain: Option<Drain>,
    /// Received bytes, for the one session being read.
    pub(super) scratch: Scratch,
    /// Encoded answers, for the one session being served.
    pub(super) collected: Vec<u8>,
    /// Buffers of a turn, kept for their memory.
    pub(super) ready: Vec<Readiness>,
    pub(super) doomed: Vec<(SessionKey, EndReason)>,
    /// Sessions that were ready in this turn.
    pub(super) served_sessions: usize,
    /// Sessions that were not read to the end, for the next turn.
    pub(super) again: Vec<SessionKey>,
    /// Sessions with held input, waiting until publications have room.
    pub(super) waiting: VecDeque<SessionKey>,
}

/// The parts a shard is put together from.
pub(crate) struct Parts {
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    pub(crate) origins: OriginPolicy,
    pub(crate) addresses: AddressPolicy,
    pub(crate) metrics: Arc<ShardMetrics>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) permits: Arc<Permits>,
    pub(crate) sources: Option<Arc<Sources>>,
    pub(crate) router: Router<u16>,
    pub(crate) routes: Vec<ShardRoute>,
    pub(crate) plane: Box<dyn Plane>,
    pub(crate) hub: Hub,
    pub(crate) meters: Option<Meters>,
    pub(crate) fan_out_turn: FanOutTurn,
    /// Sessions to reserve room for; untouched room costs no memory.
    pub(crate) expected_sessions: usize,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let sweep = Sweep::new(&parts.limits);
        Core {
            sweep,
            scratch: Scratch::new(parts.limits.max_read_bytes),
            limits: parts.limits,
            rules: parts.rules,
            origins: parts.origins,
            addresses: parts.addresses,
            metrics: parts.metrics,
            lifecycle: parts.lifecycle,
            permits: parts.permits,
            admissions: match &parts.sources {
                Some(_) => Vec::with_capacity(parts.expected_sessions),
                None => Vec::new(),
            },
            sources: parts.sources,
            router: parts.router,
            routes: parts.routes,
            plane: parts.plane,
            hub: parts.hub,
            sessions: Slab::with_capacity(parts.expected_sessions),
            clock: Clock::new(),
            meters: parts.meters,
            fan_out_turn: parts.fan_out_turn,
            leaving: Rc::default(),
            doors: 0,
            handshakes: Slab::new(),
            next_generation: 0,
            highest_index: 0,
            drain: None,
            collected: Vec::new(),
            ready: Vec::new(),
            doomed: Vec::new(),
            served_sessions: 0,
            again: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// One turn: everything that became ready is read and answered, what other
    /// shards published is taken in, and a slice of the pending fan-outs is
    /// delivered. Returns whether work is left for another turn.
    ///
    /// # Errors
    /// When the kernel interface itself is broken.
    pub(crate) fn turn(&mut self) -> std::io::Result<bool> {
        let began = Instant::now();
        self.clock.refresh(began);
        self.begin_drain_if_asked();
        self.resume_paused();
        let more_ready = self.serve_ready()?;
        if self.hub.mesh().waker().begin() {
            self.hub.expect_incoming();
        }
        self.hub.receive();
        self.deliver_notices();
        self.fan_out_in_turn(began);
        self.hub.flush_mesh();
        self.resume_waiting();
        self.hub.publish_gauges();

        self.metrics.turns.add(1);
        self.metrics
            .busy_nanos
            .add(began.elapsed().as_nanos() as u64);
        Ok(more_ready || !self.again.is_empty() || self.may_publish_more())
    }

    /// Delivers a slice of the pending fan-outs, when it is the shard's turn.
    fn fan_out_in_turn(&mut self, now: Instant) {
        if self.hub.has_fan_out() && self.fan_out_turn.begin(now) {
            self.fan_out_slice();
        }
        self.fan_out_turn.end(self.hub.has_fan_out());
    }

    /// Whether publications can go on without anything new coming in.
    fn may_publish_more(&self) -> bool {
        (self.hub.has_work() && !self.fan_out_turn.is_waiting())
            || (!self.waiting.is_empty() && !self.hub.is_congested())
    }

    /// Reads and answers every session that became ready, and those that were
    /// not read to the end before.
    fn serve_ready(&mut self) -> std::io::Result<bool> {
        let mut again = std::mem::take(&mut self.again);
        for key in again.drain(..) {
            // What readiness came in between is forgotten, an end of stream too.
            if let Some(session) = self.session(key) {
                session.queued = false;
                self.read(key, true);
            }
        }
        // Keep the buffer unless reading has already begun a new list.
        if self.again.is_empty() {
            self.again = again;
        }

        let mut ready = std::mem::take(&mut self.ready);
        let more = self.plane.turn(&mut ready)?;
        self.served_sessions = ready.len();
        for readiness in ready.drain(..) {
            if readiness.lapsed {
                self.watch_again(readiness.key);
            }
            if readiness.writable {
                self.write(readiness.key);
            }
            // Who is queued for the next turn has had its share of this one.
            if readiness.readable
                && self
                    .session(readiness.key)
                    .is_some_and(|session| !session.queued)
            {
                self.read(readiness.key, readiness.hung_up);
            }
        }
        self.ready = ready;
        Ok(more)
    }

    /// Lets sessions go on whose input was held back for want of room.
    fn resume_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        for _ in 0..self.waiting.len() {
            if self.hub.is_congested() {
                break;
            }
            if let Some(key) = self.waiting.pop_front() {
                self.resume(key);
            }
        }
        // What they published has yet to reach the other shards.
        self.hub.flush_mesh();
    }

    /// Whether the shard can take no new connection for now.
    pub(crate) fn is_full(&self) -> bool {
        self.handshakes.len() >= self.limits.max_handshakes || self.hub.is_overloaded()
    }

    /// Whether the shard takes no new sessions any more.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether the shard has nothing left to do and may end.
    pub(crate) fn is_finished(&self) -> bool {
        let nobody = self.sessions.is_empty() && self.handshakes.is_empty();
        self.is_draining() && nobody && self.doors == 0
    }

    /// The session of this key, unless it is gone.
    #[inline]
    pub(super) fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions
            .get_mut(key.index as usize)
            .filter(|session| session.generation == key.generation)
    }
}

/// Rings once, for any number of tasks of the same shard.
#[derive(Default)]
pub(crate) struct Bell {
    has_rung: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        if !self.has_rung.replace(true) {
            tasks::expect();
            self.wakers.take().into_iter().for_each(Waker::wake);
        }
    }

    pub(crate) fn has_rung(&self) -> bool {
        self.has_rung.get()
    }

    /// Whether it has rung. If not, `waker` is woken when it does.
    pub(crate) fn listen(&self, waker: &Waker) -> bool {
        let mut wakers = self.wakers.borrow_mut();
        if !self.has_rung() && !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        self.has_rung()
    }
}
