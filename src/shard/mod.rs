//! One pinned core: its sessions, their hub, and everything else that a thread of
//! the server owns but its runtime.
//!
//! A [`Shard`] is made of owners, each in a file of its own:
//!
//! | owner | what it owns |
//! |---|---|
//! | [`Table`] | the sessions, their sockets in the session plane, which is served next |
//! | [`Serving`] | what a session is served with: handlers and hub, rates, clock, buffers |
//! | [`Entrance`] | connections that are no sessions yet: addresses, admission, opening handshakes |
//! | [`Deadlines`] | which session is looked at when, and what it is due; the drain |
//!
//! [`Shard::turn`] is one round of all of them; `run` is the loop that makes turns,
//! and `entrance::accept` and `entrance::handshake` are the tasks beside it.
//!
//! # Invariants worth naming
//!
//! - Everything a shard owns is made on its own thread, after the thread has
//!   parted with the process's descriptor table.
//! - Nothing mutable is shared with other shards but the rings, the wake flags
//!   and the counters.
//! - A session leaves the table in [`Shard::end`] and nowhere else, and only
//!   [`Shard::attend`] and [`Shard::open`] call it, when serving the session has
//!   returned that it is over.
//! - A shard sees time only as the `now` it is handed, so that it can be simulated.

mod deadlines;
mod entrance;
mod run;
mod signal;
#[cfg(all(test, not(any(loom, miri))))]
mod simulation;

pub(crate) use deadlines::Deadlines;
pub(crate) use entrance::Entrance;
pub(crate) use run::run;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::entrance::Opening;
use crate::latest::View;
use crate::link::Link;
use crate::live::LiveSettings;
use crate::metrics::EndReason;
use crate::plane::{Readiness, SessionKey};
use crate::session::{Over, Rates, Serving, Session, SessionMut, Wait};
use crate::shutdown::{Lifecycle, Phase};
use crate::table::Table;

/// Everything of a shard but its runtime.
pub(crate) struct Shard {
    pub(crate) table: Table<Session>,
    pub(crate) serving: Serving,
    pub(crate) entrance: Entrance,
    pub(crate) deadlines: Deadlines,
    pub(crate) lifecycle: Arc<Lifecycle>,
    live: View<LiveSettings>,
    /// Routes that want to be told of time since the settings have changed.
    new_ticks: Vec<(u16, Duration)>,
    /// How long the last turn took.
    last_turn: Duration,
}

impl Shard {
    pub(crate) fn new(
        table: Table<Session>,
        mut serving: Serving,
        entrance: Entrance,
        deadlines: Deadlines,
        lifecycle: Arc<Lifecycle>,
        live: View<LiveSettings>,
    ) -> Self {
        let hub = &mut serving.publishing.hub;
        hub.set_rates(live.topic_rates.clone());
        Shard {
            table,
            serving,
            entrance,
            deadlines,
            lifecycle,
            live,
            new_ticks: Vec::new(),
            last_turn: Duration::ZERO,
        }
    }

    /// One turn: everything that became ready is read and answered, publications of
    /// other shards are taken in, and a slice of the pending fan-outs is delivered.
    /// Returns whether work is left for another turn.
    ///
    /// # Errors
    /// When the kernel interface itself is broken.
    pub(crate) fn turn(&mut self, now: Instant) -> io::Result<bool> {
        self.serving.clock.set(now);
        self.begin_drain_if_asked();
        self.resume_paused();
        let more_ready = self.serve_ready()?;
        self.serving.publishing.receive();
        self.follow_orders();
        self.serving.publishing.hub.pass_due(now);
        self.fan_out(now);
        self.serving.publishing.hub.flush_mesh();
        self.resume_waiting();
        self.serving.publishing.hub.update_gauges();
        Ok(more_ready || self.table.has_due() || self.serving.publishing.may_go_on())
    }

    /// Reads and answers every session that became ready.
    fn serve_ready(&mut self) -> io::Result<bool> {
        let more = self.table.begin_turn()?;
        while let Some(readiness) = self.table.next_ready() {
            let lost = readiness.lapsed && self.table.watch_again(readiness.key).is_err();
            self.attend(readiness.key, |session| match lost {
                true => session.vanish(),
                false => serve(session, readiness),
            });
        }
        Ok(more)
    }

    /// Delivers a slice of what is published, and ends the sessions that a delivery
    /// has failed for.
    fn fan_out(&mut self, now: Instant) {
        let Serving {
            publishing,
            clock,
            metrics,
            ..
        } = &mut self.serving;
        publishing.fan_out(&mut self.table, now, clock, metrics);
        while let Some((key, reason)) = self.serving.publishing.failed.pop() {
            self.attend(key, |session| match reason {
                EndReason::SlowConsumer => session.close_slow_consumer(),
                _ => session.vanish(),
            });
        }
    }

    /// Does what was ordered for sessions, of which some may be gone. What that orders in
    /// turn is for the next turn.
    fn follow_orders(&mut self) {
        for _ in 0..self.serving.publishing.hub.orders() {
            if let Some((key, order)) = self.serving.publishing.hub.next_order() {
                self.attend(key, |session| session.run_errand(&order.errand));
            }
        }
    }

    /// Lets sessions go on whose input was held back for want of room.
    fn resume_waiting(&mut self) {
        if self.serving.publishing.waiting.is_empty() {
            return;
        }
        for _ in 0..self.serving.publishing.waiting.len() {
            if self.serving.publishing.hub.is_congested() {
                break;
            }
            if let Some(key) = self.serving.publishing.waiting.pop_front() {
                self.attend(key, |session| session.resume());
            }
        }
        // Their publications have yet to reach the other shards.
        self.serving.publishing.hub.flush_mesh();
    }

    /// Lets sessions go on whose rate allows it again.
    fn resume_paused(&mut self) {
        let now_ms = self.serving.clock.elapsed_ms();
        while let Some(key) = self
            .serving
            .rates
            .as_mut()
            .and_then(|rates| rates.next_resumed(now_ms))
        {
            self.resume_for_rate(key);
        }
    }

    fn resume_for_rate(&mut self, key: SessionKey) {
        self.attend(key, |session| {
            if session.session().wait() == Wait::ForRate {
                session.resume()?;
            }
            Over::Continue(())
        });
    }

    /// Takes up the settings that have changed in the running server.
    fn take_up_settings(&mut self) {
        if !self.live.refresh() {
            return;
        }
        self.entrance.take_up(&self.live);
        let hub = &mut self.serving.publishing.hub;
        hub.set_rates(self.live.topic_rates.clone());
        self.new_ticks = self.serving.publishing.new_tick_intervals();
        let limits = self.live.rates;
        let before = self.serving.rates.as_ref().map(Rates::limits);
        if before == Some(limits) {
            return;
        }
        let now_ms = self.serving.clock.elapsed_ms();
        let after = Rates::anew(limits, self.table.places(), now_ms);
        let Some(before) = std::mem::replace(&mut self.serving.rates, after) else {
            return;
        };
        // No session waits for a rate that does not count any more.
        for key in before.into_paused() {
            self.resume_for_rate(key);
        }
    }

    /// Time until something is to be done although nothing comes in: a paused session may
    /// go on, or a topic passes on what it has held.
    pub(crate) fn until_due(&self) -> Option<Duration> {
        let tick = self.serving.publishing.hub.next_tick();
        let until_tick = tick.map(|tick| tick.saturating_duration_since(Instant::now()));
        self.until_resume().into_iter().chain(until_tick).min()
    }

    /// Time until the first of the paused sessions may go on.
    pub(crate) fn until_resume(&self) -> Option<Duration> {
        let rates = self.serving.rates.as_ref()?;
        rates.until_resume(self.serving.clock.elapsed_ms())
    }

    /// Takes up what has changed, and looks at the next part of the table for sessions
    /// that are late.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.serving.clock.set(now);
        self.take_up_settings();
        for place in self.deadlines.part(self.table.places(), now) {
            let Some(at) = self.table.at(place as u32) else {
                continue;
            };
            let key = at.key;
            let mut session = SessionMut::new(at, &mut self.serving);
            if let Over::Break(reason) = self.deadlines.look_after(&mut session) {
                self.end(key, reason);
            }
        }
        self.drain_some();
    }

    /// Begins to drain if the server does.
    fn begin_drain_if_asked(&mut self) {
        if self.lifecycle.phase() < Phase::Draining {
            return;
        }
        let now_ms = self.serving.clock.now_ms();
        if self.deadlines.begin_drain(now_ms) {
            self.drain_some();
        }
        let is_hurried = self.lifecycle.is_hurried();
        if is_hurried {
            self.drain_sessions(usize::MAX);
        }
        // Connections that are accepted after the drain time, while a neighbour takes
        // over, have just come.
        let is_over = self.deadlines.drain_time_is_over(now_ms) && !self.entrance.is_accepting();
        if is_hurried || is_over {
            self.entrance.handshakes.give_up();
        }
    }

    /// Closes as many sessions as this tick's share of the drain time asks for.
    fn drain_some(&mut self) {
        let now_ms = self.serving.clock.now_ms();
        let quota = self.deadlines.drain_quota(self.table.len(), now_ms);
        self.drain_sessions(quota);
    }

    fn drain_sessions(&mut self, mut quota: usize) {
        while quota > 0
            && let Some(place) = self.deadlines.next_to_drain(self.table.places())
        {
            let at = self.table.at(place as u32);
            let Some(key) = at.filter(|at| at.entry.is_open()).map(|at| at.key) else {
                continue;
            };
            quota -= 1;
            self.attend(key, |session| {
                let code = session.route().policy.drain_code;
                session.close(code, "the server is shutting down", EndReason::Drained)
            });
        }
    }

    /// Whether the shard takes no new sessions any more.
    pub(crate) fn is_draining(&self) -> bool {
        self.deadlines.is_draining()
    }

    /// Whether the shard has nothing left to do and may end.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_draining() && self.table.is_empty() && self.entrance.is_deserted()
    }

    /// Whether the shard can take no new connection for now, not even in the place of
    /// a handshake that was silent for long.
    pub(crate) fn is_full(&mut self) -> bool {
        self.serving.publishing.hub.is_overloaded()
            || !self.entrance.handshakes.have_room(Instant::now)
    }

    /// Does something for one session, unless it is gone, and ends it if that says
    /// so.
    #[inline]
    fn attend(&mut self, key: SessionKey, act: impl FnOnce(&mut SessionMut<'_>) -> Over) {
        if let Some(at) = self.table.get(key)
            && let Over::Break(reason) = act(&mut SessionMut::new(at, &mut self.serving))
        {
            self.end(key, reason);
        }
    }

    /// Makes a session of a connection whose handshake is accepted. `early` is what
    /// came after the handshake.
    fn open(&mut self, opening: Opening, link: Link, early: &mut [u8]) {
        let Opening {
            request,
            route,
            response,
            admission,
            ..
        } = opening;
        let now_ms = self.serving.clock.now_ms();
        let inserted = self
            .table
            .insert(|generation| Session::new(link, generation, route, now_ms));
        let at = match inserted {
            Ok(at) => at,
            Err((session, error)) => {
                tracing::warn!("a session could not be watched and is refused: {error}");
                let refusal = self.entrance.refuse_unwatched();
                // The kernel has no memory for a watch; it may have none for this.
                let _ = session.into_outlet().link().send_bytes(&refusal);
                return;
            }
        };
        let key = at.key;
        self.entrance.settle(key.index, admission);
        self.deadlines.opened(key.index);
        self.serving.metrics.opened.add(1);
        let over = SessionMut::new(at, &mut self.serving).open(&request, &response, early);
        self.serving.metrics.sessions.set(self.table.len() as u64);
        if let Over::Break(reason) = over {
            self.end(key, reason);
        }
    }

    /// Takes a session that is over out of the table and closes its socket.
    fn end(&mut self, key: SessionKey, reason: EndReason) {
        if self.table.remove(key).is_none() {
            return;
        }
        self.entrance.forget(key.index);
        self.serving.metrics.end(reason);
        self.serving.metrics.sessions.set(self.table.len() as u64);
    }
}

/// Serves a session that has become ready.
#[inline]
fn serve(session: &mut SessionMut<'_>, readiness: Readiness) -> Over {
    if readiness.writable {
        session.write()?;
    }
    if readiness.lost && session.session().wait() == Wait::ForRate {
        // It would be read, and its end found, only when its rate allows it.
        return session.vanish();
    }
    // A session that is due in the next turn has had its share of this one.
    if readiness.readable && !session.session().is_due() {
        session.read(readiness.hung_up)?;
    }
    Over::Continue(())
}
