//! Shards that share a core fan out some at a time.
//!
//! More shards than cores are normal where a table of descriptors holds few. A
//! broadcast gives all of them work at once, and if all of them worked at it,
//! each session that wants something else would wait until the scheduler has
//! gone through all of them. So some shards of a core make their deliveries,
//! while the others sleep and can be woken by their sockets at once.
//!
//! # Invariants worth naming
//!
//! - Whoever waits for its turn is notified when it has it, and passes it on also
//!   when it has nothing to deliver any more.
//! - What fits into one slice waits for nobody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::mesh::ShardWaker;

/// How many of the shards of a core fan out at one time: a third of them. With
/// fewer, broadcasts get little of a core that is full, and receivers on the same
/// machine are woken for each delivery; each more makes everybody else wait longer.
fn room_for(shards: usize) -> usize {
    (shards / 3).max(4)
}

/// How long a shard goes on while others wait.
const TURN: Duration = Duration::from_millis(20);

/// The shards of one core: whose turn it is, and who waits, by their wakers.
#[derive(Debug, Default)]
struct Line {
    inside: Vec<usize>,
    waiting: VecDeque<usize>,
}

/// Where the shards of one core pass, some at a time.
#[derive(Debug)]
pub(crate) struct Turnstile {
    line: Mutex<Line>,
    room: usize,
    wakers: Arc<[Arc<ShardWaker>]>,
}

impl Turnstile {
    /// Those of the cores that have so many shards that not all of them may fan
    /// out at one time. The shards, which have these wakers, are dealt out to
    /// `cpus` in turn.
    pub(crate) fn of_cores(
        cpus: &[usize],
        shards: usize,
        wakers: &Arc<[Arc<ShardWaker>]>,
    ) -> HashMap<usize, Arc<Self>> {
        let mut on_core: HashMap<usize, usize> = HashMap::new();
        for cpu in cpus.iter().cycle().take(shards) {
            *on_core.entry(*cpu).or_default() += 1;
        }
        let turnstile = |(cpu, shards)| {
            let room = room_for(shards);
            (shards > room).then(|| (cpu, Arc::new(Turnstile::new(room, Arc::clone(wakers)))))
        };
        on_core.into_iter().filter_map(turnstile).collect()
    }

    fn new(room: usize, wakers: Arc<[Arc<ShardWaker>]>) -> Self {
        Turnstile {
            line: Mutex::default(),
            room,
            wakers,
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is this shard's turn; otherwise it stands in the line.
    fn enter(&self, shard: usize) -> bool {
        let mut line = self.line();
        let mut is_inside = line.inside.contains(&shard);
        if !is_inside && line.inside.len() < self.room {
            line.inside.push(shard);
            is_inside = true;
        }
        if !is_inside && !line.waiting.contains(&shard) {
            line.waiting.push_back(shard);
        }
        is_inside
    }

    /// The shard's turn is over; it stands in the line again if it wants `another`.
    fn leave(&self, shard: usize, another: bool) {
        let mut line = self.line();
        line.waiting.retain(|waiting| *waiting != shard);
        if another {
            line.waiting.push_back(shard);
        }
        let Some(place) = line.inside.iter().position(|inside| *inside == shard) else {
            return;
        };
        line.inside.swap_remove(place);
        let next = line.waiting.pop_front();
        line.inside.extend(next);
        drop(line);
        if let Some(next) = next.filter(|next| *next != shard) {
            self.wakers[next].notify();
        }
    }
}

/// A shard's way through its core's turnstile; with a core of its own there is none.
pub(crate) struct FanOutTurn {
    turnstile: Option<Arc<Turnstile>>,
    shard: usize,
    place: Place,
}

/// Where a shard stands.
enum Place {
    /// It has nothing to deliver, or nothing that one slice may not hold.
    Away,
    /// There was more than one slice.
    Before,
    /// It stands in the line.
    Waiting,
    /// It has its turn since then.
    Inside(Instant),
}

impl FanOutTurn {
    /// The way of this shard.
    pub(crate) fn new(turnstile: Option<Arc<Turnstile>>, shard: usize) -> Self {
        FanOutTurn {
            turnstile,
            shard,
            place: Place::Away,
        }
    }

    /// Whether the shard, which has something to deliver, may do so now. If not,
    /// it is notified when it may.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let Some(turnstile) = &self.turnstile else {
            return true;
        };
        match self.place {
            Place::Away => return true,
            Place::Inside(since) if now.duration_since(since) <= TURN => return true,
            Place::Inside(_) => turnstile.leave(self.shard, true),
            Place::Before | Place::Waiting => {}
        }
        let is_inside = turnstile.enter(self.shard);
        self.place = match is_inside {
            true => Place::Inside(now),
            false => Place::Waiting,
        };
        is_inside
    }

    /// A slice was delivered, or nothing was to be; is there `more`?
    pub(super) fn end(&mut self, more: bool) {
        match (more, &self.place) {
            (true, Place::Away) => self.place = Place::Before,
            (true, _) => {}
            (false, _) => self.leave(),
        }
    }

    fn leave(&mut self) {
        let place = std::mem::replace(&mut self.place, Place::Away);
        if let (Place::Waiting | Place::Inside(_), Some(turnstile)) = (place, &self.turnstile) {
            turnstile.leave(self.shard, false);
        }
    }

    /// Whether the shard waits for its turn.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.place, Place::Waiting)
    }
}

impl Drop for FanOutTurn {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::EventFd;

    /// The ways of some shards of one core through which so many pass at once, and
    /// their wakers.
    fn shards<const N: usize>(room: usize) -> ([FanOutTurn; N], Arc<[Arc<ShardWaker>]>) {
        let wakers: Arc<[_]> = (0..N)
            .map(|_| Arc::new(ShardWaker::new(Arc::new(EventFd::new().unwrap()))))
            .collect();
        let turnstile = Arc::new(Turnstile::new(room, Arc::clone(&wakers)));
        let turn = |shard| FanOutTurn::new(Some(Arc::clone(&turnstile)), shard);
        (std::array::from_fn(turn), wakers)
    }

    /// Each has delivered one slice and has more.
    fn with_much_to_deliver<const N: usize>(
        room: usize,
    ) -> ([FanOutTurn; N], Arc<[Arc<ShardWaker>]>) {
        let (mut turns, wakers) = shards(room);
        for turn in &mut turns {
            assert!(
                turn.begin(Instant::now()),
                "the first slice waits for nobody"
            );
            turn.end(true);
        }
        (turns, wakers)
    }

    #[test]
    fn one_after_the_other_in_the_order_in_which_they_came() {
        let ([mut one, mut two, mut three], wakers) = with_much_to_deliver(1);
        let now = Instant::now();
        assert!(one.begin(now) && !three.begin(now) && !two.begin(now));
        assert!(three.is_waiting() && !one.is_waiting());
        assert!(one.begin(now + TURN), "its turn lasts");
        one.end(false);
        assert!(wakers[2].is_notified() && !wakers[1].is_notified());
        assert!(!two.begin(now) && three.begin(now));
        three.end(false);
        assert!(wakers[1].is_notified() && two.begin(now));
        assert!(!two.is_waiting());
    }

    #[test]
    fn a_long_turn_is_passed_on_and_comes_again() {
        let ([mut one, mut two], wakers) = with_much_to_deliver(1);
        let now = Instant::now();
        assert!(one.begin(now) && !two.begin(now));
        let later = now + TURN * 2;
        assert!(!one.begin(later) && one.is_waiting());
        assert!(wakers[1].is_notified() && two.begin(later));
        two.end(false);
        assert!(wakers[0].is_notified() && one.begin(later));
        // Alone, it goes on.
        assert!(one.begin(later + TURN * 2));
    }

    #[test]
    fn there_may_be_room_for_several() {
        let ([mut one, mut two, mut three], wakers) = with_much_to_deliver(2);
        let now = Instant::now();
        assert!(one.begin(now) && two.begin(now) && !three.begin(now));
        two.end(false);
        assert!(wakers[2].is_notified() && three.begin(now) && one.begin(now));
        two.end(true);
        assert!(!two.begin(now));
        one.end(false);
        assert!(two.begin(now));
    }

    #[test]
    fn who_has_nothing_to_deliver_any_more_holds_up_nobody() {
        let ([mut one, mut two, mut three], wakers) = with_much_to_deliver(1);
        let now = Instant::now();
        assert!(one.begin(now) && !two.begin(now) && !three.begin(now));
        // Its subscribers have left while it stood in the line.
        two.end(false);
        assert!(!two.is_waiting());
        drop(one);
        assert!(wakers[2].is_notified() && three.begin(now));
        // A shard that ends in its turn passes it on too.
        assert!(
            two.begin(now),
            "a new fan-out begins with a slice of its own"
        );
        two.end(true);
        assert!(!two.begin(now));
        drop(three);
        assert!(wakers[1].is_notified() && two.begin(now));
    }

    #[test]
    fn a_core_with_few_shards_has_no_turnstile() {
        let (_, wakers) = shards::<1>(1);
        let of_one = |shards| Turnstile::of_cores(&[7], shards, &wakers);
        assert!(of_one(4).is_empty());
        assert_eq!(of_one(5)[&7].room, 4);
        assert_eq!(of_one(52)[&7].room, 17);
        assert!(Turnstile::of_cores(&[0, 1], 8, &wakers).is_empty());
        let uneven = Turnstile::of_cores(&[0, 1], 9, &wakers);
        assert!(uneven.contains_key(&0) && !uneven.contains_key(&1));
        assert!(Turnstile::of_cores(&[], 9, &wakers).is_empty());
    }

    #[test]
    fn a_core_of_its_own_is_always_ready() {
        let mut alone = FanOutTurn::new(None, 0);
        let now = Instant::now();
        for later in 0..3 {
            assert!(alone.begin(now + TURN * later * 2));
            alone.end(true);
            assert!(!alone.is_waiting());
        }
    }
}
