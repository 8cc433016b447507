//! `message` and `endurance`: messages that get no answer, a number of them or
//! for a time, as fast as they go or at a rate.

use corecast::ws::{Message, OpCode};

use super::schedule::Schedule;
use crate::dialect::{Dialect, Draft};
use crate::engine::{Context, Net, Scenario};

/// One thread's part.
pub struct Flood {
    opcode: OpCode,
    message: Draft,
    /// Messages left to send; endless for a run that ends with its time.
    left: u64,
    schedule: Option<Schedule>,
    next: usize,
}

impl Flood {
    /// Part `thread` of `threads`. `total` and `per_second` are those of all
    /// threads; without them, it sends until the time is over, or as fast as
    /// the sockets take it.
    pub fn new(
        dialect: Dialect,
        payload_bytes: usize,
        total: Option<u64>,
        per_second: Option<f64>,
        thread: usize,
        threads: usize,
    ) -> Self {
        let (opcode, message) = message(dialect, payload_bytes);
        let part = |total: u64| {
            total / threads as u64 + u64::from((thread as u64) < total % threads as u64)
        };
        Flood {
            opcode,
            message: Draft::from(message.as_slice()),
            left: total.map_or(u64::MAX, part),
            schedule: per_second.map(|rate| Schedule::new(rate, threads)),
            next: 0,
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) {
        cx.send(self.opcode, self.message.payload());
        self.left -= 1;
    }
}

/// A message that counts and is not answered, where the server has one.
fn message(dialect: Dialect, payload_bytes: usize) -> (OpCode, Vec<u8>) {
    let content = "x".repeat(payload_bytes);
    match dialect {
        Dialect::Raw => (OpCode::Binary, content.into_bytes()),
        Dialect::Text => (OpCode::Text, content.into_bytes()),
        Dialect::Chat => {
            let json = format!(r#"{{"type":"benchmark_test","content":"{content}"}}"#);
            (OpCode::Text, json.into_bytes())
        }
        Dialect::Phoenix => {
            let json = format!(r#"[null,"0","phoenix","heartbeat",{{"body":"{content}"}}]"#);
            (OpCode::Text, json.into_bytes())
        }
    }
}

impl Scenario for Flood {
    type State = ();

    fn connect(&mut self, _number: u32) {}

    fn start(&mut self, (): &mut (), cx: &mut Context<'_>) {
        if self.schedule.is_none() {
            cx.wake_when_writable();
        }
    }

    fn woken(&mut self, (): &mut (), cx: &mut Context<'_>) {
        if !cx.phase.is_running() || self.schedule.is_some() || self.left == 0 {
            return;
        }
        // One message; the next one after the other connections had their turn.
        self.send(cx);
        if self.left > 0 {
            cx.wake_when_writable();
        }
    }

    fn message(&mut self, (): &mut (), _message: Message<'_>, _cx: &mut Context<'_>) {}

    fn turn(&mut self, net: &mut Net<()>) -> Option<u64> {
        while self.left > 0 {
            let planned = self.schedule.as_mut()?.take_due(net);
            if planned.is_none() || net.open().is_empty() {
                return self.schedule.as_ref()?.next_time();
            }
            self.next = (self.next + 1) % net.open().len();
            let key = net.open()[self.next];
            net.visit(key, |(), cx| self.send(cx));
        }
        None
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }
}
