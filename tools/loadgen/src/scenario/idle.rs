//! `connect`: connections that are opened and held.

use std::time::Duration;

use corecast::ws::{Message, OpCode};

use crate::engine::{Context, Scenario, Timed};

/// Connections that say nothing, or only a ping from time to time.
pub struct Idle {
    ping_interval: Option<u64>,
}

impl Idle {
    /// Pings each connection at this interval, if there is one.
    pub fn new(ping_interval: Option<Duration>) -> Self {
        Idle {
            ping_interval: ping_interval.map(|interval| interval.as_nanos() as u64),
        }
    }
}

impl Scenario for Idle {
    type State = ();

    fn connect(&mut self, _number: u32) {}

    fn opened(&mut self, (): &mut (), cx: &mut Context<'_>) {
        if let Some(interval) = self.ping_interval {
            // The first ones are spread, so that they do not all come at once.
            let after = (cx.random.unit() * interval as f64) as u64;
            cx.wake_at(cx.now + after);
        }
    }

    fn woken(&mut self, (): &mut (), cx: &mut Context<'_>) {
        if let Some(interval) = self.ping_interval {
            cx.send(OpCode::Ping, &cx.now.to_le_bytes());
            cx.wake_at(cx.now + interval);
        }
    }

    fn pong(&mut self, (): &mut (), payload: &[u8], cx: &mut Context<'_>) {
        if let Some(sent) = payload.first_chunk() {
            let sent = u64::from_le_bytes(*sent);
            cx.tally
                .record(Timed::Heartbeat, cx.now.saturating_sub(sent));
        }
    }

    fn message(&mut self, (): &mut (), _message: Message<'_>, _cx: &mut Context<'_>) {}
}
