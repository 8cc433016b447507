//! Broadcast: one of many subscribers publishes, and publishes again when
//! every subscriber has received all that is outstanding.

use std::os::fd::AsFd;

use super::{
    Account, CHECK_LIMIT, Deadline, Fleet, Hello, NAP, OPEN_LIMIT, Peer, Protocol, SCRATCH_BYTES,
    Stopwatch, Window, payload,
};
use crate::error::During;
use crate::results::Sample;
use crate::{Error, Result, sys};

/// What a broadcast scenario sends.
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
        let sample = self.time(&mut fleet, peer, window, account);
        fleet.close();
        sample
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

    fn time(
        self,
        fleet: &mut Fleet,
        peer: &Peer,
        window: Window,
        account: Account,
    ) -> Result<Sample> {
        let batch = vec![payload(self.payload_bytes, 1); self.outstanding];
        let exchange = peer.exchange(&batch);
        let batch_bytes = exchange.response.len();
        let delivery_bytes = batch_bytes / self.outstanding;
        let publisher = 0;
        let mut scratch = vec![0; SCRATCH_BYTES];
        // What each subscriber may still receive of the current batch.
        let mut due = vec![0; self.subscribers];
        let mut total_due = 0;
        let mut delivered_bytes = 0;
        let mut stopwatch = Stopwatch::start(window, account);
        loop {
            let going_on = stopwatch.tick(delivered_bytes / delivery_bytes as u64)?;
            if total_due == 0 {
                if !going_on {
                    return stopwatch.sample();
                }
                due.fill(batch_bytes);
                total_due = batch_bytes * self.subscribers;
                let socket = fleet.sockets[publisher].as_fd();
                let sent = sys::send(socket, &exchange.request).during("publishing")?;
                // All of the last batch has been received, so there is room.
                if sent != Some(exchange.request.len()) {
                    return Err(Error::Stalled("no room to publish".into()));
                }
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
                        delivered_bytes += count as u64;
                    }
                    Some(count) => {
                        return Err(Error::Wrong(format!(
                            "subscriber {index} received {} bytes more than were due",
                            count - due[index]
                        )));
                    }
                }
            }
        }
    }
}
