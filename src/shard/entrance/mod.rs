//! The admission of connections: which are admitted, and the answers to their opening
//! handshakes.
//!
//! `accept` takes connections from a listener, `handshake` waits for requests that
//! have not arrived whole, `answer` reads a request and decides. All of it is the
//! cold path: it happens once per connection.
//!
//! # Invariants worth naming
//!
//! - A connection is decided on in one place, `Entrance::answer`, however many
//!   times it takes until its request is whole.
//! - The number of handshakes in flight is bounded; at the bound the one that was
//!   silent for longest gives way, or, where none was silent for long, the shard stops
//!   accepting and the kernel's queue holds the rest.
//! - A permit for a session is taken when its handshake is accepted, and given back
//!   once, when the session ends or could not be made.

mod accept;
mod answer;
mod handshake;
mod in_flight;

pub(super) use accept::spawn_listener;
pub(super) use answer::Opening;
pub(super) use in_flight::Handshakes;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use self::answer::{Answer, Arrival, Vacancy};
use super::Shard;
use super::signal::Signal;
use crate::config::Config;
use crate::link::{Link, Read};
use crate::live::LiveSettings;
use crate::metrics::{RefusalReason, ShardMetrics};
use crate::permits::Permits;
use crate::router::Router;
use crate::shutdown::TakenOverBy;
use crate::source::{AddressPolicy, Admission, Sources};
use crate::upgrade::{OriginPolicy, Pages};
pub(super) use handshake::Handshake;

/// The part of a shard that decides on new connections.
pub(crate) struct Entrance {
    origins: OriginPolicy,
    addresses: AddressPolicy,
    router: Router<u16>,
    pages: Arc<Pages>,
    permits: Arc<Permits>,
    /// The sources of connections as all shards share them, where those are limited.
    sources: Option<Arc<Sources>>,
    /// The places that sessions have among those of their sources, by their place
    /// in the table.
    admissions: Vec<Option<Admission>>,
    metrics: Arc<ShardMetrics>,
    max_sessions: usize,
    max_header_bytes: usize,
    pub(super) handshakes: Handshakes,
    /// Listeners that are still accepted from.
    accepting: usize,
    /// Set when the shard drains, for the tasks that accept.
    pub(super) leaving: Rc<Signal>,
}

impl Entrance {
    /// The entrance of a shard, with room for `expected_sessions`.
    pub(crate) fn new(
        config: &Config,
        live: &LiveSettings,
        router: Router<u16>,
        pages: Arc<Pages>,
        permits: Arc<Permits>,
        metrics: Arc<ShardMetrics>,
        expected_sessions: usize,
    ) -> Self {
        Entrance {
            origins: live.origins.clone(),
            addresses: AddressPolicy::new(config.client_address, &config.trusted_proxies),
            router,
            pages,
            permits,
            admissions: match &live.sources {
                Some(_) => Vec::with_capacity(expected_sessions),
                None => Vec::new(),
            },
            sources: live.sources.clone(),
            metrics,
            max_sessions: config.max_sessions_per_shard,
            max_header_bytes: config.max_header_bytes,
            handshakes: Handshakes::new(config),
            accepting: 0,
            leaving: Rc::default(),
        }
    }

    /// Takes up other settings, for connections that come from now on.
    pub(super) fn take_up(&mut self, live: &LiveSettings) {
        self.origins = live.origins.clone();
        self.sources = live.sources.clone();
    }

    /// Whether connections are still accepted.
    pub(super) fn is_accepting(&self) -> bool {
        self.accepting > 0
    }

    /// Whether there is neither a listener nor a handshake any more.
    pub(super) fn is_deserted(&self) -> bool {
        !self.is_accepting() && self.handshakes.are_done()
    }

    /// Keeps the place that a session has among those of its source.
    pub(super) fn settle(&mut self, index: u32, admission: Option<Admission>) {
        if self.sources.is_none() {
            return;
        }
        let index = index as usize;
        if index >= self.admissions.len() {
            self.admissions.resize_with(index + 1, || None);
        }
        self.admissions[index] = admission;
    }

    /// A session is over: its permit and its place among those of its source are
    /// free.
    pub(super) fn forget(&mut self, index: u32) {
        self.permits.give_back();
        if let Some(place) = self.admissions.get_mut(index as usize) {
            *place = None;
        }
    }
}

impl Shard {
    /// Takes a connection that was just accepted. If its request has arrived it
    /// becomes a session at once; a handshake that needs more is returned. `place` is
    /// that of the endpoint it came to.
    pub(super) fn arrive(
        &mut self,
        mut link: Link,
        peer: SocketAddr,
        place: usize,
    ) -> Option<Handshake> {
        self.entrance.metrics.accepted.add(1);
        let mut arrival = match self.entrance.arrive(peer, place) {
            Ok(arrival) => arrival,
            Err(refusal) => {
                // Bytes that the client has sent are read, because closing over unread
                // bytes would destroy the refusal on its way. They are not waited for,
                // so that an abusive client cannot occupy a place by not reading it.
                let _ = link.read(&mut [0; 2_048]);
                let _ = link.send_bytes(&refusal);
                return None;
            }
        };
        let mut scratch = std::mem::take(&mut self.serving.scratch);
        let mut rest = Vec::new();
        let answer = match link.read(scratch.bytes()) {
            Ok(Read::Bytes { len, .. }) => {
                let bytes = &scratch.bytes()[..len];
                let answer = self.answer(bytes, &mut arrival);
                match &answer {
                    Answer::Wait => rest.extend_from_slice(bytes),
                    Answer::Open(opening) => rest.extend_from_slice(&bytes[opening.consumed..]),
                    Answer::Respond(_) => {}
                }
                Some(answer)
            }
            Ok(Read::Nothing) => Some(Answer::Wait),
            Ok(Read::End) | Err(_) => None,
        };
        self.serving.scratch = scratch;
        match answer {
            Some(Answer::Open(opening)) => {
                self.open(*opening, link, &mut rest);
                None
            }
            Some(answer) => Some(Handshake::new(link, arrival, rest, answer)),
            None => {
                self.entrance.metrics.refuse(RefusalReason::Vanished);
                None
            }
        }
    }

    /// Decides on a request, or on as much of it as there is.
    fn answer(&mut self, bytes: &[u8], arrival: &mut Arrival) -> Answer {
        // Where another server has the address, a connection to us was no mistake: a
        // refusal would be the only sign of a hand-over that a client can get.
        let vacancy = if self.is_draining()
            && self.lifecycle.take_over().at(arrival.place()) == TakenOverBy::Nobody
        {
            Vacancy::Draining
        } else if self.table.len() >= self.entrance.max_sessions {
            Vacancy::Full
        } else {
            Vacancy::Free
        };
        let is_ready = self.lifecycle.is_ready_at(arrival.place());
        let routes = &mut self.serving.publishing.routes;
        let entrance = &self.entrance;
        entrance.answer(bytes, arrival, routes, vacancy, is_ready)
    }
}
