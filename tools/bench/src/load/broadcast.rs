//! Broadcast: one of many subscribers publishes, and publishes again when
//! every subscriber has received all that is outstanding.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use corecast_kit::sys;

use super::{
    Account, CHECK_LIMIT, Deadline, Fleet, Hello, NAP, OPEN_LIMIT, Peer, Protocol, SCRATCH_BYTES,
    Stopwatch, Window, payload,
};
use crate::During;
use crate::results::Sample;
use crate::{Error, Result};

/// The load of a broadcast scenario.
#[derive(Debug, Clone, Copy)]
pub struct Broadcast {
    /// Connections, the publisher among them.
    pub subscribers: usize,
    /// Publications outstanding, sent in one write.
    pub outstanding: usize,
    /// Payload of each publication.
    pub payload_bytes: usize,
}

impl Broadcast {
    /// Bytes of one publication as the publisher sends it, which is the unit
    /// of the floor.
    pub fn unit_bytes(self, peer: &Peer) -> usize {
        let one = [payload(self.payload_bytes, 0)];
        peer.exchange(&one).request.len()
    }

    /// Opens the connections, checks deliveries in full, then measures.
    pub fn measure(self, peer: &Peer, window: Window, account: Account) -> Result<Sample> {
        let mut hello = match peer.protocol {
            Protocol::WebSocket => {
                Hello::upgrade(peer.address, &format!("{}/broadcast", peer.path_prefix), 0)
            }
            Protocol::Raw => Hello::raw_greeting(),
        };
        let mut fleet = Fleet::open(peer.address, self.subscribers, &mut hello, OPEN_LIMIT)?;
        self.check(&fleet, peer)?;
        let batch = vec![payload(self.payload_bytes, 1); self.outstanding];
        let exchange = peer.exchange(&batch);
        let publication = Publication {
            request: &exchange.request,
            delivered: exchange.response.len(),
            answered: exchange.response.len(),
            messages: self.outstanding as u64,
        };
        let timed = publish_in_turn(&mut fleet, publication, window, account);
        fleet.close();
        timed.map(|(sample, _)| sample)
    }

    /// Publishes batches from several connections and compares every byte that
    /// every subscriber receives.
    fn check(self, fleet: &Fleet, peer: &Peer) -> Result<()> {
        let deadline = Deadline::after(CHECK_LIMIT);
        for publisher in [0, self.subscribers / 2, self.subscribers - 1] {
            let batch: Vec<_> = (0..self.outstanding)
                .map(|n| payload(self.payload_bytes, publisher * 1000 + n))
                .collect();
            let exchange = peer.exchange(&batch);
            fleet.check(publisher, &exchange, deadline)?;
            for index in (0..self.subscribers).filter(|&index| index != publisher) {
                fleet.expect(index, &exchange.response, deadline)?;
            }
        }
        Ok(())
    }
}

/// The publication that is repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publication<'a> {
    /// Sent by the publisher in one write.
    pub request: &'a [u8],
    /// Bytes that each other subscriber receives for it.
    pub delivered: usize,
    /// Bytes that the publisher receives for it.
    pub answered: usize,
    /// Messages in it.
    pub messages: u64,
}

/// Publishes from the first connection, and again when every subscriber has
/// received all that is outstanding. Returns, beside the deliveries, how long
/// each publication took to the last byte of the last subscriber, without the
/// warm-up.
pub(super) fn publish_in_turn(
    fleet: &mut Fleet,
    publication: Publication<'_>,
    window: Window,
    account: Account,
) -> Result<(Sample, Vec<Duration>)> {
    let Publication {
        request,
        delivered,
        answered,
        messages,
    } = publication;
    let publisher = 0;
    let subscribers = fleet.sockets.len();
    let mut scratch = vec![0; SCRATCH_BYTES];
    // The bytes that each subscriber may still receive of the current batch.
    let mut due = vec![0; subscribers];
    let mut total_due = 0;
    let batch_bytes = delivered * (subscribers - 1) + answered;
    let batch_deliveries = subscribers as u64 * messages;
    // Batches that were published, the current one among them.
    let mut batches = 0;
    // Bytes of the current batch that found no room yet.
    let mut unsent = 0;
    let mut times = Vec::new();
    let started = Instant::now();
    let mut published_at = started;
    let mut stopwatch = Stopwatch::start(window, account);
    loop {
        // By the bytes, so that a batch under way counts as well: one of many
        // publications can take longer than the window.
        let received = batches * batch_bytes as u64 - total_due as u64;
        let going_on = stopwatch.tick(received * batch_deliveries / batch_bytes as u64)?;
        if total_due == 0 {
            if !going_on {
                return Ok((stopwatch.sample()?, times));
            }
            due.fill(delivered);
            due[publisher] = answered;
            total_due = batch_bytes;
            batches += 1;
            unsent = request.len();
            published_at = Instant::now();
        }
        if unsent > 0 {
            // A kernel that is short of memory may take a part only. It does not
            // always report room then, so each turn tries.
            let rest = &request[request.len() - unsent..];
            let socket = fleet.sockets[publisher].as_fd();
            unsent -= sys::send(socket, rest).during("publishing")?.unwrap_or(0);
        }
        let ready = fleet.epoll.wait(Some(NAP)).during("waiting")?;
        for at in 0..ready {
            let event = fleet.epoll.event(at);
            if !event.readable() {
                continue;
            }
            let index = event.token as usize;
            let socket = fleet.sockets[index].as_fd();
            match sys::receive(socket, &mut scratch).during("receiving")? {
                None => {}
                Some(0) => {
                    return Err(Error::Wrong(format!("subscriber {index} was closed")));
                }
                // A batch is smaller than the scratch buffer, so one read drains it.
                Some(count) if count <= due[index] => {
                    due[index] -= count;
                    total_due -= count;
                }
                Some(count) => {
                    return Err(Error::Wrong(format!(
                        "subscriber {index} received {} bytes more than were due",
                        count - due[index]
                    )));
                }
            }
        }
        if total_due == 0 && published_at - started >= window.warm_up {
            times.push(published_at.elapsed());
        }
    }
}
