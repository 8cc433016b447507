//! Echo: every connection keeps a fixed number of messages outstanding.
//!
//! A batch goes out in one write, and the next when all of it has come back.

use std::os::fd::{AsFd, BorrowedFd};

use corecast_kit::sys::{self, Event};

use super::{
    Account, CHECK_LIMIT, Deadline, Exchange, Fleet, Hello, NAP, OPEN_LIMIT, Opcode, Peer,
    Protocol, SCRATCH_BYTES, Stopwatch, Window, payload,
};
use crate::During;
use crate::results::Sample;
use crate::{Error, Result};

/// The load of an echo scenario.
#[derive(Debug, Clone, Copy)]
pub struct Echo {
    /// Connections, all of them busy.
    pub connections: usize,
    /// Messages outstanding on each.
    pub outstanding: usize,
    /// Payload of each message.
    pub payload_bytes: usize,
}

impl Echo {
    /// Payload that is on its way at one time, at most.
    pub fn bytes_under_way(self) -> usize {
        self.connections * self.outstanding * self.payload_bytes
    }

    /// Opens the connections, checks answers in full, then measures.
    pub fn measure(self, peer: &Peer, window: Window, account: Account) -> Result<Sample> {
        let (mut fleet, exchange) = self.open(peer)?;
        let messages = self.outstanding as u64;
        let sample = exchange_until_the_end(&mut fleet, &exchange, messages, window, account);
        fleet.close();
        sample
    }

    /// Opens the connections and checks answers in full; with the exchange to be
    /// sent on each.
    pub(super) fn open(self, peer: &Peer) -> Result<(Fleet, Exchange)> {
        let mut hello = match peer.protocol {
            Protocol::WebSocket => {
                Hello::upgrade(peer.address, &format!("{}/echo", peer.path_prefix), 0)
            }
            Protocol::Raw => Hello::raw_echo(),
        };
        let fleet = Fleet::open(peer.address, self.connections, &mut hello, OPEN_LIMIT)?;
        self.check(&fleet, peer)?;
        let batch = vec![payload(self.payload_bytes, 1); self.outstanding];
        Ok((fleet, peer.exchange(&batch)))
    }

    /// Compares whole answers: every length form and both kinds of message on
    /// one connection, then a batch of the scenario's own shape on some others.
    fn check(self, fleet: &Fleet, peer: &Peer) -> Result<()> {
        let deadline = Deadline::after(CHECK_LIMIT);
        for opcode in [Opcode::Text, Opcode::Binary] {
            for bytes in [0, 1, 125, 126, 4096, 65_535, 65_536] {
                let exchange = peer.exchange_as(opcode, &[payload(bytes, bytes)]);
                fleet.check(0, &exchange, deadline)?;
            }
        }
        for index in 0..self.connections.min(64) {
            let batch: Vec<_> = (0..self.outstanding)
                .map(|n| payload(self.payload_bytes, index * 1000 + n))
                .collect();
            fleet.check(index, &peer.exchange(&batch), deadline)?;
        }
        Ok(())
    }
}

/// Sends `exchange` on all connections, again on each as soon as it is answered
/// there, until the window is over and every answer has come. An answer counts
/// as `messages`.
pub(super) fn exchange_until_the_end(
    fleet: &mut Fleet,
    exchange: &Exchange,
    messages: u64,
    window: Window,
    account: Account,
) -> Result<Sample> {
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut lanes = vec![Lane::default(); fleet.sockets.len()];
    let mut stopwatch = Stopwatch::start(window, account);
    for (lane, socket) in lanes.iter_mut().zip(&fleet.sockets) {
        lane.send_batch(socket.as_fd(), exchange)?;
    }
    let mut answers = 0;
    let mut busy_lanes = lanes.len();
    while busy_lanes > 0 {
        let going_on = stopwatch.tick(answers * messages)?;
        let ready = fleet.epoll.wait(Some(NAP)).during("waiting")?;
        for at in 0..ready {
            let event = fleet.epoll.event(at);
            let index = event.token as usize;
            let socket = fleet.sockets[index].as_fd();
            let lane = &mut lanes[index];
            if lane
                .take(event, socket, exchange, &mut scratch)
                .map_err(|error| error_on(index, error))?
            {
                answers += 1;
                if going_on {
                    lane.send_batch(socket, exchange)?;
                } else {
                    busy_lanes -= 1;
                }
            }
        }
    }
    stopwatch.sample()
}

#[cold]
pub(super) fn error_on(index: usize, error: Error) -> Error {
    Error::Wrong(format!("connection {index}: {error}"))
}

/// One connection during the measurement.
#[derive(Clone, Default)]
pub(super) struct Lane {
    /// Bytes of the current batch that found no room yet.
    unsent: usize,
    /// Bytes of its answer that are still to come.
    due: usize,
}

impl Lane {
    #[inline]
    pub(super) fn send_batch(&mut self, socket: BorrowedFd<'_>, exchange: &Exchange) -> Result<()> {
        self.unsent = exchange.request.len();
        self.due = exchange.response.len();
        self.send_rest(socket, exchange)
    }

    #[inline]
    fn send_rest(&mut self, socket: BorrowedFd<'_>, exchange: &Exchange) -> Result<()> {
        let rest = &exchange.request[exchange.request.len() - self.unsent..];
        self.unsent -= sys::send(socket, rest).during("sending")?.unwrap_or(0);
        Ok(())
    }

    /// Takes what `event` brings; true when the answer to the batch is whole.
    #[inline]
    pub(super) fn take(
        &mut self,
        event: Event,
        socket: BorrowedFd<'_>,
        exchange: &Exchange,
        scratch: &mut [u8],
    ) -> Result<bool> {
        if self.unsent > 0 && event.writable() {
            self.send_rest(socket, exchange)?;
        }
        let was_due = self.due;
        while event.readable() {
            match sys::receive(socket, scratch).during("receiving")? {
                None => break,
                Some(0) => return Err(Error::Wrong("the server closed it".into())),
                Some(count) if count > self.due => {
                    return Err(Error::Wrong(format!(
                        "{} bytes more than were due",
                        count - self.due
                    )));
                }
                Some(count) => {
                    self.due -= count;
                    if count < scratch.len() {
                        break;
                    }
                }
            }
        }
        Ok(was_due > 0 && self.due == 0)
    }
}
