//! Reading, answering and writing one session: the hot path.

use std::ops::ControlFlow;
use std::rc::Rc;

use super::receive::{Allowance, Flow};
use super::{HeldInput, LIVES, Over, Publishing, Reading, SessionMut, Stage, Wait};
use crate::link::Read;
use crate::metrics::EndReason;
use crate::table::READS_PER_TURN;
use crate::ws::{CloseCode, Input};

impl SessionMut<'_> {
    /// Reads until nothing is left, but no more than a session's share of a turn.
    /// `hung_up` says that the peer may have ended its stream, of which nothing
    /// would tell again.
    pub(crate) fn read(&mut self, hung_up: bool) -> Over {
        let mut scratch = std::mem::take(&mut self.serving.scratch);
        let over = self.read_into(hung_up, scratch.bytes());
        self.serving.scratch = scratch;
        over
    }

    #[inline]
    fn read_into(&mut self, hung_up: bool, scratch: &mut [u8]) -> Over {
        for _ in 0..READS_PER_TURN {
            self.pause_over_rate();
            let session = &mut *self.at.entry;
            if session.is_paused(self.serving.high_water_mark_bytes) {
                session.owe_read();
                return LIVES;
            }
            let (len, drained) = match session.outlet.link().read(scratch) {
                Ok(Read::Bytes { len, drained }) => (len, drained),
                Ok(Read::Nothing) => return LIVES,
                Ok(Read::End) => return self.end_of_stream(),
                Err(_) => return self.vanish(),
            };
            session.heard(self.serving.clock.now_ms());
            if !matches!(session.stage, Stage::Lingering(_)) {
                self.serving.metrics.bytes_in.add(len as u64);
                self.meter_bytes(len)?;
                self.serve_received(&mut scratch[..len])?;
            }
            // The next byte will tell of itself; only an end of stream that came
            // with these would not.
            if drained && !hung_up {
                return LIVES;
            }
        }
        self.at.read_later();
        LIVES
    }

    /// Serves freshly received input, and keeps what has to wait of it.
    #[inline]
    pub(super) fn serve_received(&mut self, bytes: &mut [u8]) -> Over {
        if let Some(served) = self.serve(bytes)?
            && served < bytes.len()
        {
            self.at.entry.held = Some(Box::new(HeldInput {
                bytes: bytes[served..].to_vec(),
                served: 0,
            }));
        }
        LIVES
    }

    /// Serves input: decodes it, calls the handler, answers. Returns how much of it
    /// was served if the rest has to wait.
    #[inline]
    fn serve(&mut self, bytes: &mut [u8]) -> Over<Option<usize>> {
        let mut allowance = self.allowance();
        let is_open = self.at.entry.is_open();
        let high_water_mark_bytes = self.serving.high_water_mark_bytes;
        let len = bytes.len();
        let mut input = Input::new(bytes);
        let mut handler = self.handler();
        let flow = handler.receive(&mut input, is_open, high_water_mark_bytes, &mut allowance);
        let (_, broken) = handler.ctx.finish();
        let served = len - input.remaining().len();
        if let Some(rates) = &mut self.serving.rates {
            rates.took_messages(self.at.key.index, allowance.used());
        }
        if broken {
            self.vanish()?;
        }
        match flow {
            Flow::Served => ControlFlow::Continue(None),
            Flow::Hold => {
                self.at.entry.decoder.release();
                self.wait_for_room();
                self.pause_over_rate();
                ControlFlow::Continue(Some(served))
            }
            flow => {
                let rest = &mut bytes[served..];
                if !rest.is_empty() {
                    // The peer sent more after its last word, so more may follow.
                    self.at.entry.owe_read();
                }
                self.leave_open(flow)?;
                self.find_close_frame(rest)?;
                ControlFlow::Continue(None)
            }
        }
    }

    /// Looks through the input of a session that is closing, so that the peer's
    /// close frame is found and the next bytes are not misread.
    pub(super) fn find_close_frame(&mut self, bytes: &mut [u8]) -> Over {
        if !bytes.is_empty() && matches!(self.at.entry.stage, Stage::Closing(_)) {
            self.serve(bytes)?;
        }
        LIVES
    }

    /// Lets the session go on: serves what was held back, then what waits in its
    /// socket.
    pub(crate) fn resume(&mut self) -> Over {
        self.at.entry.set_wait(Wait::No);
        let high_water_mark_bytes = self.serving.high_water_mark_bytes;
        // Until its own queue has room it waits for that; see `write`.
        if self.pause_over_rate() || self.at.entry.outlet.pending_bytes() > high_water_mark_bytes {
            return LIVES;
        }
        if let Some(mut held) = self.at.entry.held.take()
            && let Some(served) = self.serve(&mut held.bytes[held.served..])?
        {
            held.served += served;
            if held.served < held.bytes.len() {
                self.at.entry.held = Some(held);
            }
        }
        if !self.at.entry.is_paused(high_water_mark_bytes) {
            self.read_what_is_owed();
        }
        LIVES
    }

    /// Has the socket read in the next turn if nothing else would.
    pub(super) fn read_what_is_owed(&mut self) {
        if self.at.entry.reading == Reading::Owed {
            self.at.read_later();
        }
    }

    /// Sends what waits, now that the socket has room again.
    pub(crate) fn write(&mut self) -> Over {
        let session = &mut *self.at.entry;
        if !session.outlet.is_pending() {
            return LIVES;
        }
        let now_ms = self.serving.clock.now_ms();
        let Ok(flushed) = session.outlet.flush(now_ms) else {
            return self.vanish();
        };
        if flushed.emptied {
            session.emptied(now_ms);
        }
        self.serving.metrics.bytes_out.add(flushed.sent as u64);
        if flushed.emptied && !self.serving.publishing.latest.is_empty() {
            self.send_latest()?;
        }
        let session = &mut *self.at.entry;
        let may_go_on = session.wait() == Wait::No
            && session.outlet.pending_bytes() <= self.serving.high_water_mark_bytes;
        if may_go_on { self.resume() } else { LIVES }
    }

    /// Sends what was kept while its queue was not empty, as far as the socket takes it.
    #[cold]
    fn send_latest(&mut self) -> Over {
        let now_ms = self.serving.clock.now_ms();
        let Publishing { latest, hub, .. } = &mut self.serving.publishing;
        let session = &mut *self.at.entry;
        while !session.outlet.is_pending() {
            let is_in = |topic| hub.is_in(&session.subscriptions, topic);
            let Some(run) = latest.take(self.at.key.index, is_in) else {
                break;
            };
            let run = Rc::new(run);
            let Ok(sent) = session.outlet.push_shared(&run, now_ms) else {
                return self.vanish();
            };
            self.serving.metrics.deliveries.add(run.messages().into());
            self.serving.metrics.bytes_out.add(sent as u64);
        }
        LIVES
    }

    /// Remembers a session that must not publish until there is room.
    pub(super) fn wait_for_room(&mut self) {
        let publishing = &mut self.serving.publishing;
        let session = &mut *self.at.entry;
        if session.is_open() && session.wait() == Wait::No && publishing.hub.is_congested() {
            session.set_wait(Wait::ForRoom);
            publishing.waiting.push_back(self.at.key);
        }
    }

    /// How many messages may be served now.
    #[inline]
    fn allowance(&mut self) -> Allowance {
        match &mut self.serving.rates {
            Some(rates) => rates.allowance(self.at.key.index, self.serving.clock.elapsed_ms()),
            None => Allowance::UNLIMITED,
        }
    }

    /// Notes bytes read from an open session, and closes it if they are too many.
    #[inline]
    pub(super) fn meter_bytes(&mut self, bytes: usize) -> Over {
        let now_ms = self.serving.clock.elapsed_ms();
        if let Some(rates) = &mut self.serving.rates
            && self.at.entry.is_open()
            && rates.took_bytes(self.at.key.index, bytes, now_ms)
        {
            return self.close_over_rate();
        }
        LIVES
    }

    /// Closes a session that sends more than its rate.
    pub(super) fn close_over_rate(&mut self) -> Over {
        let text = "more is sent per second than allowed";
        self.close(CloseCode::POLICY, text, EndReason::OverRate)
    }

    /// Stops reading an open session that has used up its rate. Returns whether it
    /// has.
    #[inline]
    pub(super) fn pause_over_rate(&mut self) -> bool {
        let Some(rates) = &mut self.serving.rates else {
            return false;
        };
        let session = &mut *self.at.entry;
        if !session.is_open() || session.wait() != Wait::No {
            return false;
        }
        let paused = rates.pause(self.at.key, self.serving.clock.elapsed_ms());
        if paused {
            session.set_wait(Wait::ForRate);
            self.serving.metrics.rate_pauses.add(1);
        }
        paused
    }
}
