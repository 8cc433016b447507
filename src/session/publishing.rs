//! The publications of a shard's sessions, and the deliveries to them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::latest::LatestOnly;
use super::{Clock, Delivery, Session};
use crate::config::{Config, SlowConsumerPolicy};
use crate::fan_out_semaphore::FanOutPermit;
use crate::handler::{Context, NO_SESSION, Route, RouteFactory, RoutePolicy, guarded};
use crate::hub::{Hub, Subscriptions};
use crate::metrics::{DropReason, EndReason, ShardMetrics};
use crate::plane::SessionKey;
use crate::table::Table;

/// A route as one shard runs it.
pub(crate) struct ShardRoute {
    pub(crate) route: Box<dyn Route>,
    /// The policy that its handler asks of the shard.
    pub(crate) policy: RoutePolicy,
    /// The policy for its slow consumers: that of the route's setting, or of its
    /// handler, or of the server's setting.
    pub(crate) slow_consumer: SlowConsumerPolicy,
}

impl ShardRoute {
    /// Makes the route of one shard.
    pub(crate) fn new(factory: &RouteFactory, config: &Config) -> Self {
        let route = factory.make();
        let policy = route.policy();
        ShardRoute {
            policy,
            slow_consumer: factory
                .slow_consumer
                .or(policy.slow_consumer)
                .unwrap_or(config.slow_consumer),
            route,
        }
    }
}

/// The handlers of a shard and the hub they publish to.
///
/// # Invariants worth naming
///
/// - A session in `waiting` waits for room, or is over; each waits there once.
/// - A session that a delivery has failed for is in `failed` until the shard has
///   ended it, in the same turn.
pub(crate) struct Publishing {
    pub(crate) hub: Hub,
    pub(crate) routes: Vec<ShardRoute>,
    /// When the shard may fan out, where it shares its core.
    pub(crate) permit: FanOutPermit,
    /// Sessions with held input, waiting until publications have room.
    pub(crate) waiting: VecDeque<SessionKey>,
    /// What is kept for slow consumers on routes that send them the newest only.
    pub(crate) latest: LatestOnly,
    /// Sessions that have to end because of a delivery, and why.
    pub(crate) failed: Vec<(SessionKey, EndReason)>,
    /// Deliveries of one slice.
    pub(crate) slice: usize,
    /// Bytes waiting for a session above which it is a slow consumer.
    pub(crate) max_pending_bytes: usize,
}

impl Publishing {
    /// The handlers and the hub of a shard.
    pub(crate) fn new(
        hub: Hub,
        routes: Vec<ShardRoute>,
        permit: FanOutPermit,
        config: &Config,
    ) -> Self {
        Publishing {
            hub,
            routes,
            permit,
            waiting: VecDeque::new(),
            latest: LatestOnly::default(),
            failed: Vec::new(),
            slice: config.fan_out_slice,
            max_pending_bytes: config.max_pending_bytes,
        }
    }

    /// Delivers a slice of the pending publications, if the shard may at this moment.
    pub(crate) fn fan_out(
        &mut self,
        table: &mut Table<Session>,
        now: Instant,
        clock: &Clock,
        metrics: &ShardMetrics,
    ) {
        if self.hub.has_fan_out() && self.permit.begin(now) {
            self.fan_out_slice(table, clock.now_ms(), metrics);
        }
        self.permit.end(self.hub.has_fan_out());
    }

    fn fan_out_slice(&mut self, table: &mut Table<Session>, now_ms: u32, metrics: &ShardMetrics) {
        let Publishing {
            hub,
            routes,
            latest,
            failed,
            slice,
            max_pending_bytes,
            ..
        } = self;
        let mut deliveries = 0;
        let mut bytes_out = 0;
        // A turn that had many sessions to serve owes the fan-out as much.
        let budget = (*slice).max(table.ready());
        hub.run_slice(budget, |index, run| {
            let Some(subscriber) = table.at(index) else {
                return;
            };
            let frames = u64::from(run.messages());
            let session = subscriber.entry;
            if !session.is_open() {
                return metrics.drop_deliveries(DropReason::Closed, frames);
            }
            // What waits already, for a session that would rather have the newest.
            if session.outlet().is_pending()
                && routes[session.route()].slow_consumer == SlowConsumerPolicy::Latest
            {
                let conflated = latest.keep(index, run);
                metrics.drop_deliveries(DropReason::Conflated, conflated);
                if latest.bytes(index) > *max_pending_bytes {
                    failed.push((subscriber.key, EndReason::SlowConsumer));
                }
                return;
            }
            let reason = match session.deliver(run, *max_pending_bytes, now_ms) {
                Delivery::Taken(bytes) => {
                    deliveries += frames;
                    bytes_out += bytes;
                    return;
                }
                Delivery::TooMuch => match routes[session.route()].slow_consumer {
                    SlowConsumerPolicy::Drop => {
                        return metrics.drop_deliveries(DropReason::SlowConsumer, frames);
                    }
                    SlowConsumerPolicy::Close | SlowConsumerPolicy::Latest => {
                        EndReason::SlowConsumer
                    }
                },
                Delivery::Lost => EndReason::Vanished,
            };
            metrics.drop_deliveries(DropReason::Closed, frames);
            failed.push((subscriber.key, reason));
        });
        metrics.deliveries.add(deliveries);
        metrics.bytes_out.add(bytes_out as u64);
    }

    /// Whether publications can go on without anything new coming in.
    pub(crate) fn may_go_on(&self) -> bool {
        (self.hub.has_work() && !self.permit.is_waiting())
            || (!self.waiting.is_empty() && !self.hub.is_congested())
    }

    /// The routes whose handlers want to be told of time, and how often.
    pub(crate) fn tick_intervals(&self) -> Vec<(u16, Duration)> {
        let routes = self.routes.iter().zip(0..);
        routes
            .filter_map(|(route, index)| Some((index, route.policy.tick_interval?)))
            .collect()
    }

    /// The routes whose handlers have come to want to be told of time.
    pub(crate) fn new_tick_intervals(&mut self) -> Vec<(u16, Duration)> {
        let routes = self.routes.iter_mut().zip(0..);
        routes
            .filter(|(route, _)| route.policy.tick_interval.is_none())
            .filter_map(|(route, index)| {
                route.policy.tick_interval = route.route.policy().tick_interval;
                Some((index, route.policy.tick_interval?))
            })
            .collect()
    }

    /// Tells a route's handler that its time has come.
    pub(crate) fn tick(&mut self, route: u16) {
        // Its publications would only add to the congestion.
        if !self.hub.is_congested() {
            self.call(route, |route, ctx| route.tick(ctx));
            self.hub.flush_mesh();
        }
    }

    /// Takes in what other shards have published, and hands what their handlers
    /// have told to ours.
    pub(crate) fn receive(&mut self) {
        if self.hub.mesh().waker().begin() {
            self.hub.expect_incoming();
        }
        self.hub.receive();
        while let Some(notice) = self.hub.next_notice() {
            let routes = match notice.route {
                Some(route) => route..route + 1,
                None => 0..self.routes.len() as u16,
            };
            for route in routes {
                self.call(route, |route, ctx| route.notice(&*notice.content, ctx));
            }
        }
    }

    /// Calls a handler for no session.
    fn call(&mut self, index: u16, call: impl FnOnce(&mut dyn Route, &mut Context<'_>)) {
        let Publishing { hub, routes, .. } = self;
        let Some(route) = routes.get_mut(usize::from(index)) else {
            return;
        };
        let mut subscriptions = Subscriptions::default();
        let mut ctx = Context::new(NO_SESSION, index, hub, &mut subscriptions, None);
        // There is no session that could be ended for it.
        if guarded(|| call(&mut *route.route, &mut ctx)).is_err() {
            tracing::error!("a handler has panicked outside of any session");
        }
    }
}
