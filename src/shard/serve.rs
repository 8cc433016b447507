//! Reading, answering and delivering: the hot path.

use std::rc::Rc;

use super::core::Core;
use crate::config::SlowConsumerPolicy;
use crate::handler::Context;
use crate::metrics::{DropReason, EndReason};
use crate::plane::SessionKey;
use crate::publication::Run;
use crate::send_queue::SendQueue;
use crate::session::{Allowance, Flow, HeldInput, Outgoing, Received, Session, Stage, Wait};
use crate::sys::is_temporary;
use crate::ws::Input;

/// Full buffers read from one session before the others have their turn.
const READS_PER_TURN: usize = 4;

impl Core {
    /// Reads a session until nothing is left, but no more than its share.
    pub(super) fn read(&mut self, key: SessionKey, hung_up: bool) {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.read_into(key, hung_up, scratch.bytes());
        self.scratch = scratch;
    }

    fn read_into(&mut self, key: SessionKey, hung_up: bool, scratch: &mut [u8]) {
        for _ in 0..READS_PER_TURN {
            let now_ms = self.clock.now_ms();
            let high_water_mark_bytes = self.limits.high_water_mark_bytes;
            self.pause_over_rate(key);
            let Some(session) = self.session(key) else {
                return;
            };
            if session.is_paused(high_water_mark_bytes) {
                session.unread = true;
                return;
            }
            let received = match session.socket.recv(scratch) {
                Ok(0) => return self.end_of_stream(key),
                Ok(received) => received,
                Err(error) if is_temporary(&error) => return,
                Err(_) => return self.vanish(key),
            };
            session.pinged = false;
            match session.stage {
                Stage::Lingering(_) => {}
                stage => {
                    if stage == Stage::Open {
                        session.since = now_ms;
                        self.meter_bytes(key, received);
                    }
                    self.metrics.bytes_in.add(received as u64);
                    self.serve_received(key, &mut scratch[..received]);
                }
            }
            // A short read has emptied the socket, and the next byte will tell
            // of itself; only an end of stream that came with these bytes
            // would not.
            if received < scratch.len() && !hung_up {
                return;
            }
        }
        self.read_later(key);
    }

    /// Reads a session in the next turn, until the end of its stream or until
    /// nothing is left.
    pub(super) fn read_later(&mut self, key: SessionKey) {
        if let Some(session) = self.session(key)
            && !std::mem::replace(&mut session.queued, true)
        {
            self.again.push(key);
        }
    }

    /// Serves freshly received input, and keeps what has to wait of it.
    #[inline]
    pub(super) fn serve_received(&mut self, key: SessionKey, bytes: &mut [u8]) {
        if let Some(served) = self.serve(key, bytes)
            && served < bytes.len()
            && let Some(session) = self.session(key)
        {
            session.held = Some(Box::new(HeldInput {
                bytes: bytes[served..].to_vec(),
                served: 0,
            }));
        }
    }

    /// Serves input of a session: decodes it, calls its handler, answers.
    /// Returns how much of it was served if the rest has to wait.
    #[inline]
    fn serve(&mut self, key: SessionKey, bytes: &mut [u8]) -> Option<usize> {
        let Core {
            sessions,
            routes,
            hub,
            collected,
            metrics,
            rules,
            limits,
            clock,
            meters,
            ..
        } = self;
        let session = sessions
            .get_mut(key.index as usize)
            .filter(|session| session.generation == key.generation)?;
        let Session {
            socket,
            decoder,
            queue,
            subscriptions,
            slot,
            route,
            stage,
            ..
        } = session;
        let mut ctx = Context {
            shard: hub.mesh().id(),
            route: *route,
            session: key,
            hub,
            subscriptions,
            outgoing: Some(Outgoing::new(
                socket,
                queue,
                collected,
                metrics,
                clock.now_ms(),
            )),
            close: None,
            published: false,
        };
        let mut input = Input::new(bytes);
        let mut allowance = match meters {
            Some(meters) => meters.allowance(key.index, clock.elapsed_ms()),
            None => Allowance::UNLIMITED,
        };
        let flow = Received {
            decoder,
            rules,
            stage: *stage,
            route: &mut *routes[usize::from(*route)].route,
            slot: *slot,
            high_water_mark_bytes: limits.high_water_mark_bytes,
            allowance: &mut allowance,
            metrics,
            ctx: &mut ctx,
        }
        .serve(&mut input);
        if let Some(meters) = meters {
            meters.took_messages(key.index, allowance.used());
        }
        let broken = ctx.outgoing.take().is_some_and(Outgoing::finish);
        let unserved = input.remaining().len();
        let served = bytes.len() - unserved;
        if broken {
            self.vanish(key);
            return None;
        }
        match flow {
            Flow::Served => None,
            Flow::Hold => {
                decoder.release();
                self.wait_for_room(key);
                self.pause_over_rate(key);
                Some(served)
            }
            flow => {
                if unserved > 0
                    && let Some(session) = self.session(key)
                {
                    // Who says more than the last word may not have ended yet.
                    session.unread = true;
                }
                self.leave_open(key, flow);
                self.find_close_frame(key, &mut bytes[served..]);
                None
            }
        }
    }

    /// Looks through the input of a session that is closing, so that the
    /// peer's close frame is found and the next bytes are not misread.
    pub(super) fn find_close_frame(&mut self, key: SessionKey, bytes: &mut [u8]) {
        let closing = |session: &mut Session| matches!(session.stage, Stage::Closing(_));
        if !bytes.is_empty() && self.session(key).is_some_and(closing) {
            self.serve(key, bytes);
        }
    }

    /// Remembers a session that must not publish until there is room.
    fn wait_for_room(&mut self, key: SessionKey) {
        let congested = self.hub.is_congested();
        if let Some(session) = self
            .session(key)
            .filter(|session| congested && session.wait == Wait::No)
        {
            session.wait = Wait::ForRoom;
            self.waiting.push_back(key);
        }
    }

    /// Serves what was held back of a session, then what waits in its socket.
    pub(super) fn resume(&mut self, key: SessionKey) {
        let Some(session) = self.session(key) else {
            return;
        };
        session.wait = Wait::No;
        if self.pause_over_rate(key) {
            return;
        }
        let high_water_mark_bytes = self.limits.high_water_mark_bytes;
        let Some(session) = self
            .session(key)
            // Until its own queue has room it waits for that; see `write`.
            .filter(|session| session.pending_bytes() <= high_water_mark_bytes)
        else {
            return;
        };
        if let Some(mut held) = session.held.take()
            && let Some(served) = self.serve(key, &mut held.bytes[held.served..])
        {
            held.served += served;
            if held.served < held.bytes.len()
                && let Some(session) = self.session(key)
            {
                session.held = Some(held);
            }
        }
        if let Some(session) = self.session(key)
            && !session.is_paused(high_water_mark_bytes)
            && std::mem::take(&mut session.unread)
        {
            self.read_later(key);
        }
    }

    /// Sends what is queued, now that the socket has room again.
    pub(super) fn write(&mut self, key: SessionKey) {
        let now_ms = self.clock.now_ms();
        let Some(session) = self.session(key) else {
            return;
        };
        let Some(queue) = &mut session.queue else {
            return;
        };
        let sent = match queue.flush(&session.socket) {
            Ok(sent) => sent,
            Err(_) => return self.vanish(key),
        };
        if sent > 0 {
            queue.moved_at = now_ms;
        }
        let drained = queue.is_empty();
        if drained {
            session.queue = None;
            if !session.is_open() {
                // The close frame has left; the time to answer it begins.
                session.since = now_ms;
            }
            if matches!(session.stage, Stage::Lingering(_)) {
                session.socket.shutdown_write();
            }
        }
        self.metrics.bytes_out.add(sent as u64);
        let high_water_mark_bytes = self.limits.high_water_mark_bytes;
        let may_go_on = self.session(key).is_some_and(|session| {
            session.wait == Wait::No && session.pending_bytes() <= high_water_mark_bytes
        });
        if may_go_on {
            self.resume(key);
        }
    }

    /// Delivers a slice of the pending publications.
    pub(super) fn fan_out_slice(&mut self) {
        let Core {
            hub,
            sessions,
            routes,
            metrics,
            doomed,
            limits,
            clock,
            served_sessions,
            ..
        } = self;
        let mut deliveries = 0;
        let mut bytes_out = 0;
        // A turn that had many sessions to serve owes the fan-out as much.
        let budget = limits.fan_out_slice.max(*served_sessions);
        hub.run_slice(budget, |index, run| {
            let Some(session) = sessions.get_mut(index as usize) else {
                return;
            };
            if !session.is_open() {
                return metrics.drop_deliveries(DropReason::Closed, u64::from(run.messages()));
            }
            let policy = routes[usize::from(session.route)].slow_consumer;
            match deliver(
                session,
                run,
                limits.max_pending_bytes,
                policy,
                clock.now_ms(),
            ) {
                Delivery::Sent(bytes) => {
                    deliveries += u64::from(run.messages());
                    bytes_out += bytes;
                }
                Delivery::Dropped => {
                    metrics.drop_deliveries(DropReason::SlowConsumer, u64::from(run.messages()));
                }
                Delivery::Failed(reason) => {
                    metrics.drop_deliveries(DropReason::Closed, u64::from(run.messages()));
                    doomed.push((
                        SessionKey {
                            index,
                            generation: session.generation,
                        },
                        reason,
                    ));
                }
            }
        });
        metrics.deliveries.add(deliveries);
        metrics.bytes_out.add(bytes_out as u64);
        while let Some((key, reason)) = self.doomed.pop() {
            match reason {
                EndReason::SlowConsumer => self.close_slow_consumer(key),
                _ => self.vanish(key),
            }
        }
    }
}

/// What became of one delivery.
enum Delivery {
    /// It left, or waits in the session's queue; so many bytes left now.
    Sent(usize),
    /// The subscriber is too slow, and its route says drop.
    Dropped,
    /// The session must end.
    Failed(EndReason),
}

/// Sends frames to one subscriber: directly if nothing is queued before them,
/// else behind what is.
#[inline]
fn deliver(
    session: &mut Session,
    run: &Rc<Run>,
    max_pending_bytes: usize,
    policy: SlowConsumerPolicy,
    now_ms: u32,
) -> Delivery {
    if let Some(queue) = &mut session.queue {
        if queue.pending_bytes() + run.len() > max_pending_bytes {
            return match policy {
                SlowConsumerPolicy::Close => Delivery::Failed(EndReason::SlowConsumer),
                SlowConsumerPolicy::Drop => Delivery::Dropped,
            };
        }
        queue.push_shared(run, 0);
        return Delivery::Sent(0);
    }
    match session.socket.send_bytes(run.as_bytes()) {
        Ok(sent) if sent == run.len() => Delivery::Sent(sent),
        Ok(sent) => {
            queue_rest(session, run, sent, now_ms);
            Delivery::Sent(sent)
        }
        Err(error) if is_temporary(&error) => {
            queue_rest(session, run, 0, now_ms);
            Delivery::Sent(0)
        }
        Err(_) => Delivery::Failed(EndReason::Vanished),
    }
}

#[cold]
fn queue_rest(session: &mut Session, run: &Rc<Run>, sent: usize, now_ms: u32) {
    let queue = session.queue.get_or_insert_with(|| SendQueue::new(now_ms));
    queue.push_shared(run, sent);
}
