//! Echo at a part of the highest rate: the cost of a message on a server that is
//! not saturated, as most are most of the time.
//!
//! Messages leave one at a time at planned moments, each on the connection that
//! has been idle for longest. The load spins on a core of its own: a sleeping one
//! would wake late and send several at once, which is cheaper for a server than
//! what is asked for here. So the load counts as fully busy, and the compared
//! figure is CPU time per message.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::echo::{Echo, Lane, error_on};
use super::{Account, Exchange, Fleet, Peer, SCRATCH_BYTES, Stopwatch, Window};
use crate::During;
use crate::Result;
use crate::results::Sample;

/// The load of a part-load scenario.
#[derive(Debug, Clone, Copy)]
pub struct PartLoad {
    /// The echo whose highest rate is found first.
    pub echo: Echo,
    /// The part of that rate that is then offered.
    pub share: f64,
}

impl PartLoad {
    /// Finds the highest rate, then measures at a part of it.
    pub fn measure(
        self,
        peer: &Peer,
        window: Window,
        account: impl Fn() -> Account,
    ) -> Result<Sample> {
        let highest = self.echo.measure(peer, window, account())?.rate();
        let (mut fleet, exchange) = self.echo.open(peer)?;
        let interval = Duration::from_secs_f64(1.0 / (highest * self.share));
        let sample = exchange_at(&mut fleet, &exchange, interval, window, account());
        fleet.close();
        sample
    }
}

/// Sends `exchange` once in each `interval` until the window is over and every
/// answer has come.
fn exchange_at(
    fleet: &mut Fleet,
    exchange: &Exchange,
    interval: Duration,
    window: Window,
    account: Account,
) -> Result<Sample> {
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut lanes = vec![Lane::default(); fleet.sockets.len()];
    let mut idle: VecDeque<usize> = (0..lanes.len()).collect();
    let mut stopwatch = Stopwatch::start(window, account);
    let mut planned = Instant::now();
    let mut answers = 0;
    loop {
        let going_on = stopwatch.tick(answers)?;
        if !going_on && idle.len() == lanes.len() {
            return stopwatch.sample();
        }
        if going_on
            && Instant::now() >= planned
            && let Some(index) = idle.pop_front()
        {
            lanes[index].send_batch(fleet.sockets[index].as_fd(), exchange)?;
            planned += interval;
        }
        let ready = fleet.epoll.wait(Some(Duration::ZERO)).during("waiting")?;
        for at in 0..ready {
            let event = fleet.epoll.event(at);
            let index = event.token as usize;
            let socket = fleet.sockets[index].as_fd();
            if lanes[index]
                .take(event, socket, exchange, &mut scratch)
                .map_err(|error| error_on(index, error))?
            {
                answers += 1;
                idle.push_back(index);
            }
        }
    }
}
