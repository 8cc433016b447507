//! Handshakes: connect, upgrade, reset, again; a fixed number in flight.

use corecast_kit::sys::{self, Epoll, Interest, Source};

use super::opening::Opening;
use super::{
    Account, EVENT_BATCH, Fleet, Hello, NAP, OPEN_LIMIT, Peer, Protocol, Stopwatch, Window,
};
use crate::During;
use crate::results::Sample;
use crate::{Error, Result};

/// The load of a handshake scenario.
#[derive(Debug, Clone, Copy)]
pub struct Handshakes {
    /// Handshakes in flight.
    pub in_flight: usize,
}

impl Handshakes {
    /// Checks some handshakes with keys of their own, then measures with one key.
    pub fn measure(self, peer: &Peer, window: Window, account: Account) -> Result<Sample> {
        let path = format!("{}/echo", peer.path_prefix);
        if peer.protocol == Protocol::WebSocket {
            for seed in 1..=16 {
                let mut hello = Hello::upgrade(peer.address, &path, seed);
                Fleet::open(peer.address, 4, &mut hello, OPEN_LIMIT)?.close();
            }
        }
        let hello = Hello::upgrade(peer.address, &path, 0);
        self.time(peer, hello, window, account)
    }

    fn time(
        self,
        peer: &Peer,
        mut hello: Hello,
        window: Window,
        account: Account,
    ) -> Result<Sample> {
        let mut epoll = Epoll::new(EVENT_BATCH).during("making an epoll instance")?;
        let mut scratch = vec![0; 16 * 1024];
        let begin = |slot: usize, hello: &Hello, epoll: &Epoll| -> Result<Opening> {
            // One source address is enough: a reset leaves no TIME_WAIT.
            let opening = Opening::begin(peer.address, Source::Any, hello)?;
            // On loopback the request is gone by now. Watching for room to write
            // would then cost an event for each handshake.
            let interest = if opening.is_said(hello) {
                Interest::Edge
            } else {
                Interest::EdgeBoth
            };
            epoll
                .add(opening.socket(), interest, slot as u64)
                .during("watching a connection")?;
            Ok(opening)
        };
        let mut slots = (0..self.in_flight)
            .map(|slot| begin(slot, &hello, &epoll).map(Some))
            .collect::<Result<Vec<_>>>()?;
        let mut stopwatch = Stopwatch::start(window, account);
        let mut completed = 0;
        let mut busy_slots = self.in_flight;
        while busy_slots > 0 {
            let going_on = stopwatch.tick(completed)?;
            let ready = epoll.wait(Some(NAP)).during("waiting")?;
            for at in 0..ready {
                let event = epoll.event(at);
                let slot = event.token as usize;
                let Some(opening) = &mut slots[slot] else {
                    continue;
                };
                let established = opening
                    .advance(event, &mut hello, &mut scratch)
                    .map_err(|error| Error::Wrong(format!("handshake {completed}: {error}")))?;
                if established {
                    completed += 1;
                    if let Some(opening) = slots[slot].take() {
                        sys::close_with_reset(opening.into_socket());
                    }
                    if going_on {
                        slots[slot] = Some(begin(slot, &hello, &epoll)?);
                    } else {
                        busy_slots -= 1;
                    }
                }
            }
        }
        stopwatch.sample()
    }
}
