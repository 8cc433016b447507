//! `churn`: connect, exchange, leave, and again.

use corecast::ws::{CloseCode, Message};

use crate::dialect::{Content, Draft, Wording};
use crate::engine::{Context, End, Scenario, Shared, Timed};
use crate::stamp::Stamp;

/// How long a user whose connection has failed waits before the next attempt,
/// in nanoseconds.
const RETRY_AFTER: u64 = 100_000_000;

/// One thread's part.
pub struct Churn {
    wording: Wording,
    /// Messages that are sent and must come back before a connection ends.
    exchanges: u32,
    /// A connection that ends comes back at once; otherwise others arrive at a
    /// rate.
    returns: bool,
    outstanding: u64,
    draft: Draft,
}

/// How many messages of a connection were answered.
#[derive(Debug, Default)]
pub struct Visit {
    answered: u32,
    waiting: bool,
}

impl Churn {
    /// Each connection exchanges `exchanges` messages.
    pub fn new(wording: Wording, exchanges: u32, returns: bool) -> Self {
        Churn {
            wording,
            exchanges,
            returns,
            outstanding: 0,
            draft: Draft::default(),
        }
    }

    fn go_on(&mut self, visit: &mut Visit, cx: &mut Context<'_>) {
        if visit.answered >= self.exchanges {
            return cx.close(CloseCode::NORMAL_CLOSURE);
        }
        let stamp = Stamp {
            planned: cx.now,
            sender: cx.number,
            sequence: visit.answered,
        };
        let opcode = self.wording.write(stamp, 0, &mut self.draft);
        cx.send(opcode, self.draft.payload());
        visit.waiting = true;
        self.outstanding += 1;
        cx.tally.deliveries.publications += 1;
        cx.tally.deliveries.expected += 1;
    }
}

impl Scenario for Churn {
    type State = Visit;

    fn connect(&mut self, _number: u32) -> Visit {
        Visit::default()
    }

    fn start(&mut self, visit: &mut Visit, cx: &mut Context<'_>) {
        self.go_on(visit, cx);
    }

    fn message(&mut self, visit: &mut Visit, message: Message<'_>, cx: &mut Context<'_>) {
        match self.wording.read(message) {
            Content::Other => {}
            Content::Stamped(stamp)
                if visit.waiting
                    && stamp.sender == cx.number
                    && stamp.sequence == visit.answered =>
            {
                visit.waiting = false;
                visit.answered += 1;
                self.outstanding -= 1;
                cx.tally.deliveries.received += 1;
                cx.record(Timed::Echo, stamp.planned);
                self.go_on(visit, cx);
            }
            Content::Stamped(_) => cx.tally.deliveries.duplicated += 1,
            Content::Corrupt => cx.tally.deliveries.corrupt += 1,
        }
    }

    fn ended(&mut self, visit: &mut Visit, end: End, cx: &mut Context<'_>) {
        if std::mem::take(&mut visit.waiting) {
            self.outstanding -= 1;
            cx.tally.deliveries.lost += 1;
        }
        if self.returns && cx.phase.is_running() {
            let pause = match end {
                End::Closed => 0,
                End::Failed(_) | End::Lost(_) => RETRY_AFTER,
            };
            cx.return_at(cx.now + pause);
        }
    }

    fn is_settled(&self, _shared: &Shared) -> bool {
        self.outstanding == 0
    }

    fn settle(&mut self, net: &mut crate::engine::Net<Visit>) {
        for key in net.open().to_vec() {
            net.visit(key, |visit, cx| {
                cx.tally.deliveries.lost += u64::from(std::mem::take(&mut visit.waiting));
            });
        }
        self.outstanding = 0;
    }
}
