//! What handlers are told apart from their sessions: time, and what their likes
//! on other shards say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::core::Core;
use crate::handler::{Context, NO_SESSION, Route};
use crate::hub::Subscriptions;

impl Core {
    /// The routes whose handlers want to be told of time, and how often.
    pub(super) fn tick_intervals(&self) -> Vec<(u16, Duration)> {
        let routes = self.routes.iter().zip(0..);
        routes
            .filter_map(|(route, index)| Some((index, route.tick_interval?)))
            .collect()
    }

    /// Tells a route's handler that its time has come. Returns whether that has
    /// made work.
    pub(super) fn tick_route(&mut self, route: u16) -> bool {
        // What it has to say would only add to what is backed up.
        if self.hub.is_congested() {
            return false;
        }
        self.call_route(route, |route, ctx| route.tick(ctx));
        self.hub.flush_mesh();
        self.hub.has_work()
    }

    /// Hands what other shards' handlers have said to those it is meant for.
    pub(super) fn deliver_notices(&mut self) {
        while let Some(notice) = self.hub.next_notice() {
            self.call_route(notice.route, |route, ctx| {
                route.notice(&*notice.content, ctx)
            });
        }
    }

    fn call_route(&mut self, index: u16, call: impl FnOnce(&mut dyn Route, &mut Context<'_>)) {
        let Core { routes, hub, .. } = self;
        let Some(route) = routes.get_mut(usize::from(index)) else {
            return;
        };
        let mut ctx = Context {
            shard: hub.mesh().id(),
            route: index,
            session: NO_SESSION,
            hub,
            subscriptions: &mut Subscriptions::default(),
            outgoing: None,
            close: None,
            published: false,
        };
        // There is no session that could be ended for it.
        if catch_unwind(AssertUnwindSafe(|| call(&mut *route.route, &mut ctx))).is_err() {
            tracing::error!("a handler has panicked outside of any session");
        }
    }
}
