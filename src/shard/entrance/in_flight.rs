//! The opening handshakes in flight, and which of them makes room for a newcomer.
//!
//! # Invariants worth naming
//!
//! - Each has one place from its task's beginning to its end. Its waker lies there,
//!   so that a handshake that is over leaves nothing behind.
//! - Where all places are taken, the handshake that has been silent for longest gives
//!   way, but none that was heard of within [`GRACE`]: a storm of clients that come
//!   back is held in the accept queue and not turned away.
//! - A client that was refused and has not taken its response gives way first.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::config::Config;
use crate::runtime::tasks;

/// Time for the first bytes of a request, and between two parts of it, before its
/// place may be needed: a slow round trip and a packet that was lost.
const GRACE: Duration = Duration::from_secs(1);

/// The handshakes in flight.
pub(in crate::shard) struct Handshakes {
    places: Slab<InFlight>,
    /// Places in the order in which they were last heard of. An entry whose time is
    /// not that of its place is an old one.
    order: VecDeque<(usize, Instant)>,
    /// How many were told to give way and still have a place.
    giving_way: usize,
    max: usize,
    pub(super) timeout: Duration,
    /// Bytes read at once; a test setting makes it small.
    pub(super) max_read_bytes: usize,
    /// The shard does not wait for them any more.
    given_up: bool,
}

struct InFlight {
    waker: Option<Waker>,
    /// When it began, or bytes of it last arrived.
    heard: Instant,
    gives_way: bool,
}

/// Why a handshake has to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Early {
    /// The shard does not wait for it.
    GivenUp,
    /// Its place is needed.
    GivesWay,
}

impl Handshakes {
    pub(super) fn new(config: &Config) -> Self {
        Handshakes {
            places: Slab::new(),
            order: VecDeque::new(),
            giving_way: 0,
            max: config.max_handshakes_per_shard,
            timeout: config.handshake_timeout,
            max_read_bytes: config.max_read_bytes,
            given_up: false,
        }
    }

    /// How many there are, without those that give way, which end in this turn.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.giving_way
    }

    /// Whether there is a place for another one, which one that is there may have to
    /// give way for.
    pub(in crate::shard) fn have_room(&mut self, now: impl FnOnce() -> Instant) -> bool {
        self.len() < self.max || self.make_room(now())
    }

    /// Has the one that was silent for longest give way; false where all were heard
    /// of lately.
    fn make_room(&mut self, now: Instant) -> bool {
        while let Some(&(index, heard)) = self.order.front() {
            let current = self.places.get_mut(index);
            let Some(place) = current.filter(|place| place.heard == heard && !place.gives_way)
            else {
                self.order.pop_front();
                continue;
            };
            if now.saturating_duration_since(heard) < GRACE {
                return false;
            }
            self.order.pop_front();
            place.gives_way = true;
            self.giving_way += 1;
            wake(&mut place.waker);
            return true;
        }
        false
    }

    /// Takes a place.
    pub(super) fn begin(&mut self, now: Instant) -> usize {
        let index = self.places.insert(InFlight {
            waker: None,
            heard: now,
            gives_way: false,
        });
        self.put(index, now);
        index
    }

    /// Bytes have arrived, so it is not one that was silent for long.
    pub(super) fn heard(&mut self, index: usize, now: Instant) {
        self.places[index].heard = now;
        self.put(index, now);
    }

    /// It was refused, so its place is free for others from now on.
    pub(super) fn refused(&mut self, index: usize, now: Instant) {
        if let Some(long_ago) = now.checked_sub(GRACE) {
            self.places[index].heard = long_ago;
            self.order.push_front((index, long_ago));
        }
    }

    fn put(&mut self, index: usize, now: Instant) {
        if self.order.len() > 2 * self.places.len() + 64 {
            let places = &self.places;
            let is_current = |(index, heard): &(usize, Instant)| {
                places
                    .get(*index)
                    .is_some_and(|place| place.heard == *heard)
            };
            self.order.retain(is_current);
        }
        self.order.push_back((index, now));
    }

    /// Gives a place back.
    pub(super) fn end(&mut self, index: usize) {
        self.giving_way -= usize::from(self.places.remove(index).gives_way);
    }

    /// Whether one has to end early. If not, `waker` is woken when it has to.
    pub(super) fn ends_early(&mut self, index: usize, waker: &Waker) -> Option<Early> {
        let place = &mut self.places[index];
        if self.given_up {
            return Some(Early::GivenUp);
        }
        if place.gives_way {
            return Some(Early::GivesWay);
        }
        place.waker = Some(waker.clone());
        None
    }

    /// Whether there are none.
    pub(super) fn are_done(&self) -> bool {
        self.places.is_empty()
    }

    /// Ends those in flight, and those that begin from now on.
    pub(in crate::shard) fn give_up(&mut self) {
        self.given_up = true;
        for (_, place) in &mut self.places {
            wake(&mut place.waker);
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        tasks::expect();
        waker.wake();
    }
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests {
    use super::*;

    fn three() -> Handshakes {
        Handshakes::new(&Config {
            max_handshakes_per_shard: 3,
            ..Config::default()
        })
    }

    /// Those of the first places that were told to give way.
    fn giving_way(handshakes: &mut Handshakes) -> Vec<usize> {
        let places = handshakes.places.iter();
        places
            .filter(|(_, place)| place.gives_way)
            .map(|(index, _)| index)
            .collect()
    }

    #[test]
    fn the_one_that_was_silent_for_longest_gives_way() {
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        let mut handshakes = three();
        for ms in [0, 10, 20] {
            assert!(handshakes.have_room(|| after(ms)));
            handshakes.begin(after(ms));
        }
        assert!(
            !handshakes.have_room(|| after(900)),
            "all were heard of lately"
        );
        handshakes.heard(0, after(900));
        assert!(!handshakes.have_room(|| after(1_005)));
        assert!(handshakes.have_room(|| after(1_010)));
        assert_eq!(giving_way(&mut handshakes), [1]);
        assert_eq!(
            handshakes.ends_early(1, Waker::noop()),
            Some(Early::GivesWay)
        );
        assert_eq!(handshakes.ends_early(0, Waker::noop()), None);

        // Its place is taken before it is gone, and is not given away twice.
        handshakes.begin(after(1_010));
        assert!(!handshakes.have_room(|| after(1_015)));
        assert!(handshakes.have_room(|| after(1_020)));
        assert_eq!(giving_way(&mut handshakes), [1, 2]);
        handshakes.end(1);
        handshakes.end(2);
        assert!(handshakes.have_room(|| after(1_021)));
        assert_eq!(handshakes.len(), 2);
    }

    #[test]
    fn one_that_was_refused_gives_way_first() {
        let began = Instant::now() + 2 * GRACE;
        let mut handshakes = three();
        (0..3).for_each(|place| assert_eq!(handshakes.begin(began), place));
        handshakes.refused(2, began);
        assert!(handshakes.have_room(|| began));
        assert_eq!(giving_way(&mut handshakes), [2]);
        handshakes.begin(began);
        assert!(!handshakes.have_room(|| began));
    }

    #[test]
    fn a_place_that_is_taken_again_is_a_new_one() {
        let began = Instant::now();
        let mut handshakes = three();
        (0..3).for_each(|place| assert_eq!(handshakes.begin(began), place));
        handshakes.end(0);
        let later = began + 2 * GRACE;
        assert_eq!(handshakes.begin(later), 0);
        assert!(handshakes.have_room(|| later));
        assert_eq!(giving_way(&mut handshakes), [1]);
    }

    #[test]
    fn a_request_that_drips_does_not_make_the_order_grow() {
        let mut now = Instant::now();
        let mut handshakes = three();
        let index = handshakes.begin(now);
        for _ in 0..10_000 {
            now += Duration::from_millis(1);
            handshakes.heard(index, now);
        }
        assert!(handshakes.order.len() < 100, "{}", handshakes.order.len());
    }
}
