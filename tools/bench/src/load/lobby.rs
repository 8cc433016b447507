//! A Phoenix lobby: everybody is in one topic, one member publishes, and again
//! when the last has received it; or all leave and join again.

use std::time::Duration;

use super::broadcast::{Publication, publish_in_turn};
use super::echo::exchange_until_the_end;
use super::phoenix::{self, Manner};
use super::{
    Account, CHECK_LIMIT, Deadline, Exchange, Fleet, Hello, OPEN_LIMIT, Peer, Protocol, Window,
};
use crate::Result;
use crate::results::{Latency, Sample};

/// One broadcast after the other to all members.
#[derive(Debug, Clone, Copy)]
pub struct Lobby {
    /// Connections, each joined, the publisher among them.
    pub members: usize,
    /// Text in each publication.
    pub body_bytes: usize,
}

/// Members that leave and join again, all of them all the time.
#[derive(Debug, Clone, Copy)]
pub struct Joins {
    /// Connections, each joined when it does not just change that.
    pub members: usize,
}

/// Opens the connections and joins on each; every answer is compared in full.
fn gather(peer: &Peer, members: usize) -> Result<(Fleet, Manner)> {
    let fleet = Fleet::open(peer.address, members, &mut phoenix::hello(peer), OPEN_LIMIT)?;
    let deadline = Deadline::after(CHECK_LIMIT);
    let manner = Manner::learn(&fleet, 0, deadline)?;
    let join = manner.join();
    for index in 1..members {
        fleet.check(index, &join, deadline)?;
    }
    Ok((fleet, manner))
}

impl Lobby {
    /// Bytes of one publication as the publisher sends it, which is the unit
    /// of the floor.
    pub fn unit_bytes(self) -> usize {
        phoenix::push(&phoenix::body(self.body_bytes, 0)).len()
    }

    /// Gathers the members, checks deliveries in full, then measures. The times
    /// are those from a publication until the last member has it.
    pub fn measure(self, peer: &Peer, window: Window, account: Account) -> Result<Sample> {
        let (mut fleet, manner) = match peer.protocol {
            Protocol::WebSocket => {
                gather(peer, self.members).map(|(fleet, manner)| (fleet, Some(manner)))?
            }
            Protocol::Raw => {
                let mut hello = Hello::raw_greeting();
                (
                    Fleet::open(peer.address, self.members, &mut hello, OPEN_LIMIT)?,
                    None,
                )
            }
        };
        self.check(&fleet, manner.as_ref())?;
        let exchange = self.exchange(manner.as_ref(), 1);
        let publication = Publication {
            request: &exchange.request,
            delivered: self.delivery(&exchange, manner.as_ref(), 1).len(),
            answered: exchange.response.len(),
            messages: 1,
        };
        let timed = publish_in_turn(&mut fleet, publication, window, account);
        fleet.close();
        let (mut sample, times) = timed?;
        sample.latency = latency(times);
        Ok(sample)
    }

    fn exchange(self, manner: Option<&Manner>, seed: usize) -> Exchange {
        let body = phoenix::body(self.body_bytes, seed);
        match manner {
            Some(manner) => manner.publish(&body),
            // A floor sends the bytes it was sent to everybody.
            None => Exchange {
                request: phoenix::push(&body),
                response: phoenix::push(&body),
            },
        }
    }

    /// The bytes that every member but the publisher gets.
    fn delivery(self, exchange: &Exchange, manner: Option<&Manner>, seed: usize) -> Vec<u8> {
        match manner {
            Some(_) => phoenix::delivery(&phoenix::body(self.body_bytes, seed)),
            None => exchange.response.clone(),
        }
    }

    /// Publishes from several members and compares every byte that each receives.
    fn check(self, fleet: &Fleet, manner: Option<&Manner>) -> Result<()> {
        let deadline = Deadline::after(CHECK_LIMIT);
        for publisher in [0, self.members / 2, self.members - 1] {
            let exchange = self.exchange(manner, publisher);
            let delivery = self.delivery(&exchange, manner, publisher);
            fleet.check(publisher, &exchange, deadline)?;
            for index in (0..self.members).filter(|&index| index != publisher) {
                fleet.expect(index, &delivery, deadline)?;
            }
        }
        Ok(())
    }
}

impl Joins {
    /// Gathers the members, lets some leave and join again with every byte
    /// compared, then measures how often all do.
    pub fn measure(self, peer: &Peer, window: Window, account: Account) -> Result<Sample> {
        let (mut fleet, manner) = gather(peer, self.members)?;
        let exchange = manner.rejoin();
        let deadline = Deadline::after(CHECK_LIMIT);
        for index in 0..self.members.min(64) {
            fleet.check(index, &exchange, deadline)?;
        }
        let sample = exchange_until_the_end(&mut fleet, &exchange, 1, window, account);
        fleet.close();
        sample
    }
}

fn latency(mut times: Vec<Duration>) -> Option<Latency> {
    times.sort_unstable();
    let last = times.len().checked_sub(1)?;
    let at = |share: f64| times[(last as f64 * share).ceil() as usize].as_secs_f64() * 1e6;
    Some(Latency {
        p50: at(0.5),
        p99: at(0.99),
        p99_9: at(0.999),
        max: at(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_seen() {
        assert_eq!(latency(Vec::new()), None);
        let times = (1..=100).rev().map(Duration::from_micros).collect();
        let latency = latency(times).unwrap();
        assert_eq!(
            (latency.p50, latency.p99, latency.max),
            (51.0, 100.0, 100.0)
        );
    }
}
