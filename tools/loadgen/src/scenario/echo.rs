//! `echo`: each message must come back, byte for byte and in order.

use corecast::ws::Message;

use super::schedule::Schedule;
use crate::dialect::{Content, Draft, Wording};
use crate::engine::{Context, End, Net, Scenario, Shared, Timed};
use crate::order::{Arrival, Order};
use crate::stamp::Stamp;

/// When messages are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Closed loop: this many messages of each connection are under way at all
    /// times; the next one leaves when an answer has come.
    Pipeline(u32),
    /// Open loop: messages per second over all connections of all threads,
    /// however long the answers take.
    Rate(f64),
}

/// One thread's part.
pub struct Echo {
    wording: Wording,
    load: Load,
    /// The planned times of an open loop.
    schedule: Option<Schedule>,
    /// Which connection is next, by its place in the list of open ones.
    next: usize,
    outstanding: u64,
    order: Order<u32>,
    draft: Draft,
}

/// The state of a connection.
#[derive(Debug, Default)]
pub struct Progress {
    sent: u32,
    /// The sequence number that should come next.
    expected: u32,
    answered: u32,
}

impl Progress {
    /// Gives up waiting. Returns how many answers never came.
    fn give_up(&mut self) -> u64 {
        let missing = self.sent.wrapping_sub(self.answered);
        self.answered = self.sent;
        u64::from(missing)
    }
}

impl Echo {
    /// One of `threads` parts.
    pub fn new(wording: Wording, load: Load, threads: usize) -> Self {
        let schedule = match load {
            Load::Pipeline(_) => None,
            Load::Rate(per_second) => Some(Schedule::new(per_second, threads)),
        };
        Echo {
            wording,
            load,
            schedule,
            next: 0,
            outstanding: 0,
            order: Order::default(),
            draft: Draft::default(),
        }
    }

    #[inline]
    fn send(&mut self, state: &mut Progress, planned: u64, cx: &mut Context<'_>) {
        let stamp = Stamp {
            planned,
            sender: cx.number,
            sequence: state.sent,
        };
        let opcode = self.wording.write(stamp, 0, &mut self.draft);
        cx.send(opcode, self.draft.payload());
        state.sent = state.sent.wrapping_add(1);
        self.outstanding += 1;
        if cx.is_measured(planned) {
            cx.tally.deliveries.publications += 1;
            cx.tally.deliveries.expected += 1;
        }
    }
}

impl Scenario for Echo {
    type State = Progress;

    fn connect(&mut self, _number: u32) -> Progress {
        Progress::default()
    }

    fn start(&mut self, state: &mut Progress, cx: &mut Context<'_>) {
        if let Load::Pipeline(depth) = self.load {
            for _ in 0..depth {
                self.send(state, cx.now, cx);
            }
        }
    }

    #[inline]
    fn message(&mut self, state: &mut Progress, message: Message<'_>, cx: &mut Context<'_>) {
        let stamp = match self.wording.read(message) {
            Content::Other => return,
            Content::Corrupt => {
                cx.tally.deliveries.corrupt += 1;
                return;
            }
            Content::Stamped(stamp) => stamp,
        };
        let mut free = 1;
        if stamp.sender != cx.number || state.sent.wrapping_sub(stamp.sequence) > state.sent {
            // Another's message, or one we have not sent yet.
            cx.tally.deliveries.corrupt += 1;
            return;
        }
        match self
            .order
            .arrive(&mut state.expected, stamp.sequence, cx.number)
        {
            Arrival::Next => {}
            // The places of those that are missing are free as well.
            Arrival::Gap(missing) => free += missing,
            Arrival::Late => {
                cx.tally.deliveries.reordered += 1;
                free = 0;
            }
            Arrival::Duplicate => {
                cx.tally.deliveries.duplicated += 1;
                return;
            }
        }
        self.outstanding -= 1;
        state.answered = state.answered.wrapping_add(1);
        if cx.is_measured(stamp.planned) {
            cx.tally.deliveries.received += 1;
            cx.record(Timed::Echo, stamp.planned);
        }
        if matches!(self.load, Load::Pipeline(_)) && cx.phase.is_running() {
            for _ in 0..free {
                self.send(state, cx.now, cx);
            }
        }
    }

    fn turn(&mut self, net: &mut Net<Progress>) -> Option<u64> {
        loop {
            // Without connections, messages that are due are not sent, and
            // nothing else is to do.
            let planned = self.schedule.as_mut()?.take_due(net);
            let (Some(planned), false) = (planned, net.open().is_empty()) else {
                return self.schedule.as_ref()?.next_time();
            };
            self.next = (self.next + 1) % net.open().len();
            let key = net.open()[self.next];
            net.visit(key, |state, cx| self.send(state, planned, cx));
        }
    }

    fn ended(&mut self, state: &mut Progress, _end: End, cx: &mut Context<'_>) {
        let missing = state.give_up();
        self.outstanding -= missing;
        self.order.forget(&cx.number);
        cx.tally.deliveries.lost += missing;
    }

    fn is_settled(&self, _shared: &Shared) -> bool {
        self.outstanding == 0
    }

    fn settle(&mut self, net: &mut Net<Progress>) {
        for key in net.open().to_vec() {
            net.visit(key, |state, cx| cx.tally.deliveries.lost += state.give_up());
        }
        self.outstanding = 0;
    }
}
