//! What is done for a session that no message of its own has caused.

use std::rc::Rc;

use super::{Delivery, LIVES, Over, SessionMut};
use crate::config::SlowConsumerPolicy;
use crate::hub::Errand;
use crate::metrics::{DropReason, EndReason};
use crate::publication::Run;
use crate::ws::PreparedFrame;

impl SessionMut<'_> {
    /// Does what was ordered, unless the session is closing.
    pub(crate) fn run_errand(&mut self, errand: &Errand) -> Over {
        if !self.session().is_open() {
            return LIVES;
        }
        match errand {
            Errand::Send(frame) => self.send_from_elsewhere(frame),
            Errand::Close(code, reason) => self.close(*code, reason, EndReason::HandlerClosed),
            Errand::Visit(content) => {
                self.call(|route, slot, ctx| route.visit(slot, &**content, ctx))
            }
        }
    }

    /// Sends a message as if it were a publication: what waits for a slow consumer is
    /// limited, because nothing holds back the sender.
    fn send_from_elsewhere(&mut self, frame: &PreparedFrame) -> Over {
        let max_pending_bytes = self.serving.publishing.max_pending_bytes;
        let now_ms = self.serving.clock.now_ms();
        let run = Rc::new(Run::from(frame.clone()));
        let slow_consumer = self.route().slow_consumer;
        let metrics = &self.serving.metrics;
        match self.at.entry.deliver(&run, max_pending_bytes, now_ms) {
            Delivery::Taken(bytes) => {
                metrics.deliveries.add(1);
                metrics.bytes_out.add(bytes as u64);
                LIVES
            }
            Delivery::TooMuch if slow_consumer == SlowConsumerPolicy::Drop => {
                metrics.drop_deliveries(DropReason::SlowConsumer, 1);
                LIVES
            }
            Delivery::TooMuch => {
                metrics.drop_deliveries(DropReason::Closed, 1);
                self.close_slow_consumer()
            }
            Delivery::Lost => {
                metrics.drop_deliveries(DropReason::Closed, 1);
                self.vanish()
            }
        }
    }
}
