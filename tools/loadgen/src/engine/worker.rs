//! One thread's turn: descriptors that became ready, timers that are due,
//! events to be reported.

use std::sync::mpsc::Sender;
use std::time::Duration;

use corecast::plane::{Plane, SessionKey};
use corecast::runtime::run::Turn;
use corecast::ws::CloseCode;

use super::arrivals::Arrivals;
use super::net::Net;
use super::report::{REPORT_INTERVAL, Report};
use super::scenario::Scenario;
use super::shared::Phase;
use crate::sys::{self, Timer};

/// Connections begun in one turn, so that answers are read in between.
const OPENINGS_PER_TURN: usize = 32;
/// Connections woken in one turn.
const WAKES_PER_TURN: usize = 1_024;
/// Connections closed in one turn.
const CLOSINGS_PER_TURN: usize = 1_024;
/// The key that the plane reports when the timer fires.
pub(super) const TIMER_KEY: SessionKey = SessionKey {
    index: u32::MAX - 1,
    generation: u32::MAX,
};

/// Everything of a thread but its runtime.
pub(super) struct Worker<S: Scenario> {
    pub net: Net<S::State>,
    pub scenario: S,
    pub arrivals: Arrivals,
    pub timer: Timer,
    pub reports: Sender<Report>,
    /// The time the timer is set to; 0 for none.
    pub timer_set: u64,
    /// When the present interval of the report began.
    pub reported_until: u64,
    /// Processor time of this thread at that moment.
    pub reported_cpu: u64,
    /// The status of this thread that the coordinator was last told.
    pub reported_status: Status,
}

/// The status of a thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// All connections that were to be opened are open or have failed.
    pub arrived: bool,
    /// The scenario has nothing more to send.
    pub done: bool,
    /// Each message sent is answered, and each connection begun is open or has
    /// failed.
    pub settled: bool,
    /// All connections are closed.
    pub gone: bool,
}

impl<S: Scenario> Turn for Worker<S> {
    fn turn(&mut self) -> std::io::Result<bool> {
        self.net.shared.waker(self.net.thread).begin();
        self.net.now = self.net.shared.now();
        self.follow_phase();
        let mut more = self.serve_ready()?;
        self.wake_due();
        let mut next = None;
        if self.net.phase.is_running() {
            next = self.scenario.turn(&mut self.net);
        }
        if self.net.phase == Phase::Closing {
            more |= self.close_some();
        }
        self.net.expire_handshakes();
        self.net.expire_closings();
        self.net.report_ends(&mut self.scenario);
        // Last, so that a connection that follows an opened or ended one begins
        // before this thread waits.
        more |= self.arrive();
        self.report_if_due();
        more |= self.net.table.has_due() || !self.net.woken.is_empty();
        if !more {
            self.set_timer(next);
        }
        Ok(more)
    }

    /// Whether this thread's part of the run is over.
    fn is_finished(&self) -> bool {
        self.reported_status.gone
    }

    /// The timer of the plane ends the wait.
    fn until_due(&self) -> Option<Duration> {
        None
    }

    fn plane(&mut self) -> &mut dyn Plane {
        self.net.table.plane()
    }
}

impl<S: Scenario> Worker<S> {
    /// Goes along when the coordinator moves on.
    fn follow_phase(&mut self) {
        let phase = self.net.shared.phase();
        if phase == self.net.phase {
            return;
        }
        let was_running = self.net.phase.is_running();
        self.report();
        self.net.phase = phase;
        match phase {
            Phase::Measuring => self.net.measured_from = self.net.now,
            Phase::Closing => {
                self.arrivals.stop();
                self.scenario.settle(&mut self.net);
            }
            _ => {}
        }
        if phase.is_running() && !was_running {
            for key in self.net.open.clone() {
                let scenario = &mut self.scenario;
                self.net.visit(key, |state, cx| scenario.start(state, cx));
            }
        }
    }

    /// Begins the connections that are due. Returns whether more are.
    fn arrive(&mut self) -> bool {
        if self.net.phase >= Phase::Finishing {
            return false;
        }
        for _ in 0..OPENINGS_PER_TURN {
            let now = self.net.now;
            let due = match self.net.returns.take_due(now) {
                Some((planned, number)) => Some((number, planned)),
                None => self.arrivals.take_due(now, self.net.opening),
            };
            let Some((number, planned)) = due else {
                return false;
            };
            let state = self.scenario.connect(number);
            let route = self.scenario.route(&state, number);
            self.net.begin(number, planned, state, route);
        }
        true
    }

    fn serve_ready(&mut self) -> std::io::Result<bool> {
        let more = self.net.table.begin_turn()?;
        while let Some(readiness) = self.net.table.next_ready() {
            if readiness.key == TIMER_KEY {
                self.timer.clear();
                self.timer_set = 0;
            } else {
                self.net.serve_ready(readiness, &mut self.scenario);
            }
        }
        Ok(more)
    }

    /// Calls the connections whose time has come.
    fn wake_due(&mut self) {
        let now = self.net.now;
        while let Some((_, bits)) = self.net.timers.take_due(now) {
            self.net.woken.push_back(SessionKey::from_bits(bits));
        }
        // A connection that is woken again meanwhile has to wait for the next turn.
        for _ in 0..self.net.woken.len().min(WAKES_PER_TURN) {
            if let Some(key) = self.net.woken.pop_front() {
                let scenario = &mut self.scenario;
                self.net.visit(key, |state, cx| scenario.woken(state, cx));
            }
        }
    }

    /// Ends connections at the end of the run. Returns whether there are more.
    fn close_some(&mut self) -> bool {
        let mut closed = 0;
        while let Some(&key) = self.net.open.last() {
            self.net.close(key, CloseCode::NORMAL_CLOSURE);
            closed += 1;
            if closed == CLOSINGS_PER_TURN {
                return true;
            }
        }
        if self.net.opening > 0 {
            self.net.abandon_openings();
        }
        false
    }

    fn status(&self) -> Status {
        let before = self.reported_status;
        let phase = self.net.phase;
        Status {
            // Connections that come back do not make it untrue again.
            arrived: before.arrived || self.arrivals.is_exhausted() && self.net.opening == 0,
            done: before.done || self.scenario.is_done() || self.is_deserted(),
            // Before, it changes with every message and is not asked for.
            settled: phase >= Phase::Finishing
                && self.net.opening == 0
                && self.scenario.is_settled(&self.net.shared),
            gone: phase == Phase::Closing && self.net.table.is_empty(),
        }
    }

    /// Whether all connections are gone and none will come: none is left to
    /// send anything.
    fn is_deserted(&self) -> bool {
        self.net.phase.is_running()
            && self.arrivals.is_exhausted()
            && self.net.table.is_empty()
            && self.net.returns.next_time().is_none()
    }

    fn report_if_due(&mut self) {
        let interval = REPORT_INTERVAL.as_nanos() as u64;
        let tick = self.net.now / interval > self.reported_until / interval;
        if tick || self.status() != self.reported_status {
            self.report();
        }
    }

    fn report(&mut self) {
        let cpu = sys::thread_cpu_nanos();
        let now = self.net.now;
        self.reported_status = self.status();
        let mut tally = std::mem::take(&mut self.net.tally);
        let report = Report {
            times: tally.take_times(),
            tally,
            thread: self.net.thread,
            phase: self.net.phase,
            from: self.reported_until,
            to: now,
            users: (self.net.open.len() + self.net.opening) as u64,
            connected: self.net.open.len() as u64,
            cpu_nanos: cpu - self.reported_cpu,
            status: self.reported_status,
        };
        self.reported_until = now;
        self.reported_cpu = cpu;
        // The coordinator only leaves before us when it has failed.
        let _ = self.reports.send(report);
    }

    /// Lets the timer end the wait when the next thing is due.
    fn set_timer(&mut self, scenario: Option<u64>) {
        let interval = REPORT_INTERVAL.as_nanos() as u64;
        let mut next = (self.net.now / interval + 1) * interval;
        let arrivals = match self.net.phase >= Phase::Finishing {
            true => None,
            false => self.arrivals.next_time(self.net.opening),
        };
        for time in [
            scenario,
            arrivals,
            self.net.timers.next_time(),
            self.net.returns.next_time(),
        ]
        .into_iter()
        .flatten()
        {
            next = next.min(time);
        }
        if self.timer_set == 0 || next < self.timer_set || self.timer_set <= self.net.now {
            let delay = next.saturating_sub(self.net.shared.now());
            self.timer.set(Duration::from_nanos(delay));
            self.timer_set = next;
        }
    }
}
