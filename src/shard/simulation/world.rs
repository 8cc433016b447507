//! The shards of a simulation, their peers, and the time.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handler::SimulatedHandler;
use super::oracle::Oracle;
use super::peer::Client;
use super::plane::{PlaneState, ScriptedPlane};
use super::random::Random;
use super::{Operation, Say};
use crate::config::{Config, SlowConsumerPolicy};
use crate::fan_out_semaphore::FanOutPermit;
use crate::handler::{Registered, Route};
use crate::hub::{Hub, ShardMessage};
use crate::latest::Latest;
use crate::link::{Link, scripted};
use crate::live::LiveSettings;
use crate::mesh::{self, ShardEnd, ShardWaker};
use crate::metrics::ShardMetrics;
use crate::permits::Permits;
use crate::router::Router;
use crate::session::{Clock, Publishing, Rates, Serving, ShardRoute};
use crate::shard::{Deadlines, Entrance, Shard};
use crate::shutdown::{Lifecycle, Phase, TakeOver};
use crate::sys::EventFd;
use crate::table::{Scratch, Table};
use crate::ws::{Role, Rules};

/// Rounds in which a settlement has to come to its end.
const ROUNDS: usize = 20_000;
/// Sessions the process may hold.
const PERMITS: usize = 10;

/// A shard and the state of its session loop.
struct Simulated {
    shard: Shard,
    plane: Rc<RefCell<PlaneState>>,
    waker: Arc<ShardWaker>,
    /// The last turn left work, or a task has run, after which there is a turn.
    more: bool,
    ticked: Instant,
    route_ticked: Instant,
}

pub(super) struct World {
    shards: Vec<Simulated>,
    clients: Vec<Client>,
    oracle: Rc<RefCell<Oracle>>,
    lifecycle: Arc<Lifecycle>,
    permits: Arc<Permits>,
    config: Config,
    live: Arc<Latest<LiveSettings>>,
    now: Instant,
    next_id: u64,
}

impl World {
    /// Some shards, with settings that make trouble likely.
    pub(super) fn new(random: &mut Random) -> World {
        let slow_consumer = random.pick(&[
            SlowConsumerPolicy::Close,
            SlowConsumerPolicy::Drop,
            SlowConsumerPolicy::Latest,
        ]);
        let config = Config {
            fan_out_slice: random.pick(&[1, 2, 5, 256]),
            ring_capacity: random.pick(&[1, 2, 8, 1_024]),
            high_water_mark_bytes: random.pick(&[0, 300, 64 * 1024]),
            max_pending_bytes: random.pick(&[1_000, 20_000, 1 << 30]),
            max_read_bytes: random.pick(&[16, 50, 400, 64 * 1024]),
            max_message_rate: random.pick(&[0, 0, 10]),
            max_byte_rate: random.pick(&[0, 0, 20_000]),
            ping_interval: Duration::from_secs(random.pick(&[0, 3])),
            idle_timeout: Duration::from_secs(8),
            slow_consumer,
            ..Config::default()
        };
        let mut oracle = Oracle::default();
        oracle.may_drop = slow_consumer != SlowConsumerPolicy::Close;
        oracle.keeps_latest = slow_consumer == SlowConsumerPolicy::Latest;
        let mut world = World {
            shards: Vec::new(),
            clients: Vec::new(),
            oracle: Rc::new(RefCell::new(oracle)),
            lifecycle: Arc::new(Lifecycle::new()),
            permits: Arc::new(Permits::new(PERMITS)),
            live: Latest::new(LiveSettings::new(&config).unwrap()),
            config: config.clone(),
            now: Instant::now(),
            next_id: 0,
        };
        world.lifecycle.set(Phase::Running);
        let shards = 1 + random.below(3) as usize;
        let wakers: Vec<_> = (0..shards)
            .map(|_| Arc::new(ShardWaker::new(Arc::new(EventFd::new().unwrap()))))
            .collect();
        let (ends, _) = mesh::connect(&wakers, 0, config.ring_capacity);
        for end in ends {
            let simulated = world.simulated(end, &config);
            world.shards.push(simulated);
        }
        world
    }

    fn simulated(&self, end: ShardEnd<ShardMessage>, config: &Config) -> Simulated {
        let metrics: Arc<ShardMetrics> = Arc::default();
        let plane: Rc<RefCell<PlaneState>> = Rc::default();
        let waker = end.waker_handle();
        let handler = SimulatedHandler {
            shard: end.id().index(),
            oracle: Rc::clone(&self.oracle),
        };
        let route: Box<dyn Route> = Box::new(Registered::new(handler));
        let route = ShardRoute {
            policy: route.policy(),
            slow_consumer: config.slow_consumer,
            route,
        };
        let mut router = Router::new();
        router.insert("/simulation/{id}", 0).unwrap();
        let hub = Hub::new(end, config.ring_capacity, Arc::clone(&metrics));
        let permit = FanOutPermit::new(None, 0);
        let live = self.live.view();
        let serving = Serving {
            publishing: Publishing::new(hub, vec![route], permit, config),
            rates: Rates::new(live.rates, 0),
            rules: Rules {
                role: Role::Server,
                max_frame_bytes: config.max_frame_bytes,
                max_message_bytes: config.max_message_bytes,
            },
            high_water_mark_bytes: config.high_water_mark_bytes,
            clock: Clock::new(self.now),
            metrics: Arc::clone(&metrics),
            scratch: Scratch::new(config.max_read_bytes),
            answers: Vec::new(),
        };
        let pages = Arc::default();
        let permits = Arc::clone(&self.permits);
        let entrance = Entrance::new(config, &live, router, pages, permits, metrics, 0);
        Simulated {
            shard: Shard::new(
                Table::new(Box::new(ScriptedPlane(Rc::clone(&plane))), 0),
                serving,
                entrance,
                Deadlines::new(config, self.now),
                Arc::clone(&self.lifecycle),
                live,
            ),
            plane,
            waker,
            more: false,
            ticked: self.now,
            route_ticked: self.now,
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn carry_out(&mut self, operation: Operation, random: &mut Random) {
        match operation {
            Operation::Connect { shard, room, early } => self.connect(shard, room, &early, random),
            Operation::Turn { shard } => {
                let shard = shard % self.shards.len();
                self.turn(shard);
            }
            Operation::Pass { ms } => self.pass(ms),
            Operation::Reload { messages, bytes } => {
                self.config.max_message_rate = messages;
                self.config.max_byte_rate = bytes;
                let renewed = self.live.get().renewed(&self.config);
                self.live.replace(renewed.unwrap());
            }
            Operation::Drain => {
                self.lifecycle.drain(TakeOver::NONE);
                for shard in &self.shards {
                    shard.waker.notify();
                }
            }
            Operation::Send { peer, .. }
            | Operation::Deliver { peer }
            | Operation::Read { peer, .. }
            | Operation::Close { peer }
            | Operation::End { peer }
            | Operation::Reset { peer }
            | Operation::Spurious { peer, .. } => {
                if !self.clients.is_empty() {
                    let client = peer % self.clients.len();
                    self.act(client, operation, random);
                }
            }
        }
    }

    fn connect(&mut self, shard: usize, room: usize, early: &[Say], random: &mut Random) {
        let shard = shard % self.shards.len();
        self.next_id += 1;
        let (socket, wire) = scripted::connection(room);
        let mut client = Client::new(self.next_id, shard, wire);
        let mut bytes = client.request();
        bytes.extend(client.frames(early, random));
        // A handshake that comes in pieces needs a runtime; the bytes after it may not.
        let whole = client.request().len();
        let most = self.shards[shard].shard.serving.scratch.bytes().len();
        let at_once = bytes.len().min(most.max(whole));
        client.wire.send(&bytes[..at_once]);
        if at_once < bytes.len() {
            client.outbox.push_back(bytes.split_off(at_once));
        }
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let simulated = &mut self.shards[shard];
        // Requests are read into the scratch, which is small in some runs.
        let small = std::mem::replace(
            &mut simulated.shard.serving.scratch,
            Scratch::new(most.max(whole)),
        );
        drop(simulated.shard.arrive(Link::Scripted(socket), peer, 0));
        simulated.shard.serving.scratch = small;
        simulated.more = true;
        self.clients.push(client);
    }

    /// Something that one client does, or the network for it.
    fn act(&mut self, client: usize, operation: Operation, random: &mut Random) {
        let client = &mut self.clients[client];
        let plane = &self.shards[client.shard].plane;
        let edge = |change: &dyn Fn(&mut crate::plane::Readiness)| {
            plane
                .borrow_mut()
                .edge(client.wire.id(), |readiness| change(readiness));
        };
        match operation {
            Operation::Send { say, pieces, .. } if client.may_send() => {
                let bytes = client.frames(&say, random);
                let mut rest = &bytes[..];
                for left in (1..=pieces).rev() {
                    let cut = match left {
                        1 => rest.len(),
                        _ => random.below(rest.len() as u64 + 1) as usize,
                    };
                    client.outbox.push_back(rest[..cut].to_vec());
                    rest = &rest[cut..];
                }
            }
            Operation::Deliver { .. } if !client.has_ended => {
                if let Some(piece) = client.outbox.pop_front().filter(|piece| !piece.is_empty()) {
                    client.wire.send(&piece);
                    edge(&|readiness| readiness.readable = true);
                }
            }
            Operation::Read { bytes, .. } => {
                let has_room = client.wire.make_room(bytes);
                if has_room {
                    edge(&|readiness| readiness.writable = true);
                }
            }
            Operation::Close { .. } => client.close(random),
            Operation::End { .. } => {
                client.has_ended = true;
                client.wire.end();
                edge(&|readiness| {
                    readiness.readable = true;
                    readiness.hung_up = true;
                });
            }
            Operation::Reset { .. } => {
                client.has_ended = true;
                client.is_bad = true;
                client.wire.reset();
                edge(&|readiness| {
                    readiness.readable = true;
                    readiness.writable = true;
                    readiness.hung_up = true;
                    readiness.lost = true;
                });
            }
            Operation::Spurious { lapsed, .. } => edge(&|readiness| {
                readiness.readable = true;
                readiness.writable = true;
                readiness.lapsed |= lapsed;
            }),
            _ => {}
        }
    }

    /// Makes a turn of a shard, if its loop would. Returns whether it did.
    fn turn(&mut self, shard: usize) -> bool {
        let simulated = &mut self.shards[shard];
        let shard = &mut simulated.shard;
        shard.serving.clock.set(self.now);
        let is_due = simulated.more
            || simulated.plane.borrow().has_pending()
            || simulated.waker.is_notified()
            || shard.until_resume().is_some_and(|left| left.is_zero());
        if is_due {
            let more = shard.turn(self.now).expect("a scripted plane works");
            // As the loop: it parks unless it was notified in between.
            simulated.more = more || !simulated.waker.try_park();
        }
        is_due
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        for simulated in &mut self.shards {
            let shard = &mut simulated.shard;
            if self.now - simulated.ticked >= shard.deadlines.tick_interval() {
                simulated.ticked = self.now;
                shard.tick(self.now);
                simulated.more = true;
            }
            if self.now - simulated.route_ticked >= Duration::from_secs(1) {
                simulated.route_ticked = self.now;
                shard.serving.publishing.tick(0);
                simulated.more = true;
            }
        }
    }

    /// The invariants that must hold after every step.
    pub(super) fn check(&mut self) {
        let is_draining = self.lifecycle.phase() >= Phase::Draining;
        let oracle = self.oracle.borrow();
        for client in &self.clients {
            if let Some(reason) = oracle.end_of(client.id) {
                let may = client.may_end_for(reason, is_draining);
                assert!(may, "{} has ended for {reason:?}", client.id);
            }
        }
        drop(oracle);
        for simulated in &self.shards {
            let shard = &simulated.shard;
            for (_, session) in shard.table.iter() {
                session.check_invariants();
            }
            let metrics = &shard.serving.metrics;
            let ended: u64 = metrics.ended.iter().map(|count| count.value()).sum();
            assert_eq!(
                metrics.opened.value() - ended,
                shard.table.len() as u64,
                "each end is counted once"
            );
            assert_eq!(simulated.plane.borrow().watches(), shard.table.len());
        }
    }

    /// Lets everything that is on its way arrive, until nothing is left to do.
    fn settle_down(&mut self, random: &mut Random) {
        for round in 0.. {
            assert!(round < ROUNDS, "it does not come to an end");
            let mut progress = false;
            for client in 0..self.clients.len() {
                let room = Operation::Read {
                    peer: 0,
                    bytes: 1 << 30,
                };
                self.act(client, room, random);
                let had_more = !self.clients[client].outbox.is_empty();
                self.act(client, Operation::Deliver { peer: 0 }, random);
                let client = &mut self.clients[client];
                progress |= had_more && !client.has_ended;
                client.read(&mut self.oracle.borrow_mut(), random);
            }
            for shard in 0..self.shards.len() {
                progress |= self.turn(shard);
            }
            self.check();
            // Sessions that wait for their rate go on in time.
            let waits = |simulated: &Simulated| simulated.shard.until_resume().is_some();
            if !progress && !self.shards.iter().any(waits) {
                return;
            }
            if !progress {
                self.now += Duration::from_millis(500);
            }
        }
    }

    /// Lets everything that is on its way arrive, and checks that all of it has.
    pub(super) fn settle(&mut self, random: &mut Random) {
        self.settle_down(random);
        let oracle = self.oracle.borrow();
        for client in self
            .clients
            .iter()
            .filter(|client| oracle.is_open(client.id))
        {
            assert!(
                !client.has_ended,
                "{} was forgotten after its end",
                client.id
            );
            if client.may_send() {
                oracle.assert_complete(client.id);
                assert!(
                    !client.wire.id().is_readable(),
                    "{} is not read any more",
                    client.id
                );
            }
        }
        oracle.assert_all_told(self.shards.len());
    }

    /// Lets all peers go, each in its way, and checks that nothing is left.
    pub(super) fn part(mut self, random: &mut Random) {
        for client in 0..self.clients.len() {
            let how = match random.below(4) {
                0 => Operation::End { peer: 0 },
                1 => Operation::Reset { peer: 0 },
                _ => Operation::Close { peer: 0 },
            };
            self.act(client, how, random);
        }
        // Longer than any limit, in steps that leave time for answers.
        for _ in 0..80 {
            self.settle_down(random);
            for client in &mut self.clients {
                if client.got_close {
                    client.close(random);
                }
            }
            self.pass(2_000);
        }
        self.settle_down(random);
        for simulated in &self.shards {
            let shard = &simulated.shard;
            assert!(shard.table.is_empty(), "a session is left");
            let metrics = &shard.serving.metrics;
            assert_eq!(metrics.subscriptions.value(), 0);
            assert_eq!(metrics.topics.value(), 0);
            assert!(!shard.serving.publishing.hub.has_work());
        }
        self.oracle.borrow().assert_all_closed();
        for _ in 0..PERMITS {
            assert!(self.permits.take(), "a permit is lost");
        }
        assert!(!self.permits.take(), "a permit was given back twice");
        for client in &self.clients {
            assert!(
                client.wire.is_closed(),
                "the socket of {} is open",
                client.id
            );
        }
        drop(self);
        assert_eq!(scripted::open_connections(), 0);
    }
}
