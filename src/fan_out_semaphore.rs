//! A semaphore for the shards of one core that fan out.
//!
//! More shards than cores are normal where a table of descriptors holds few. A
//! broadcast gives all of them work at once, and if all of them worked at it,
//! each session that wants something else would wait until the scheduler has
//! gone through all of them. So some shards of a core make their deliveries,
//! while the others sleep and can be woken by their sockets at once.
//!
//! # Invariants worth naming
//!
//! - A shard that waits for a permit is notified when it has one, and gives it
//!   back also when it has nothing to deliver any more.
//! - A fan-out that fits into one slice needs no permit.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::mesh::ShardWaker;

/// Permits of a core: a third of its shards fan out at one time. With fewer,
/// broadcasts get little of a core that is full, and receivers on the same machine
/// are woken for each delivery; each more makes all other sessions wait longer.
fn permits_for(shards: usize) -> usize {
    (shards / 3).max(4)
}

/// How long a shard keeps its permit while others wait.
const HOLD: Duration = Duration::from_millis(20);

/// The shards of one core that have a permit, and those that wait for one.
#[derive(Debug, Default)]
struct Queue {
    holders: Vec<usize>,
    waiting: VecDeque<usize>,
}

/// Lets some of the shards of one core fan out at a time.
#[derive(Debug)]
pub(crate) struct FanOutSemaphore {
    queue: Mutex<Queue>,
    permits: usize,
    wakers: Arc<[Arc<ShardWaker>]>,
}

impl FanOutSemaphore {
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
        let semaphore = |(cpu, shards)| {
            let permits = permits_for(shards);
            (shards > permits).then(|| {
                (
                    cpu,
                    Arc::new(FanOutSemaphore::new(permits, Arc::clone(wakers))),
                )
            })
        };
        on_core.into_iter().filter_map(semaphore).collect()
    }

    fn new(permits: usize, wakers: Arc<[Arc<ShardWaker>]>) -> Self {
        FanOutSemaphore {
            queue: Mutex::default(),
            permits,
            wakers,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this shard gets a permit, or has one; otherwise it waits in the queue.
    fn acquire(&self, shard: usize) -> bool {
        let mut queue = self.queue();
        let mut has_permit = queue.holders.contains(&shard);
        if !has_permit && queue.holders.len() < self.permits {
            queue.holders.push(shard);
            has_permit = true;
        }
        if !has_permit && !queue.waiting.contains(&shard) {
            queue.waiting.push_back(shard);
        }
        has_permit
    }

    /// The shard gives its permit back, and waits again if it wants `another`.
    fn release(&self, shard: usize, another: bool) {
        let mut queue = self.queue();
        queue.waiting.retain(|waiting| *waiting != shard);
        if another {
            queue.waiting.push_back(shard);
        }
        let Some(place) = queue.holders.iter().position(|holder| *holder == shard) else {
            return;
        };
        queue.holders.swap_remove(place);
        let next = queue.waiting.pop_front();
        queue.holders.extend(next);
        drop(queue);
        if let Some(next) = next.filter(|next| *next != shard) {
            self.wakers[next].notify();
        }
    }
}

/// A shard's permit to fan out; with a core of its own it needs none.
pub(crate) struct FanOutPermit {
    semaphore: Option<Arc<FanOutSemaphore>>,
    shard: usize,
    state: State,
}

/// Whether a shard has a permit.
enum State {
    /// It has nothing to deliver, or nothing that one slice may not hold.
    None,
    /// There was more than one slice, so it needs one.
    Needed,
    /// It waits for one.
    Waiting,
    /// It has one since then.
    Held(Instant),
}

impl FanOutPermit {
    /// The permit of this shard.
    pub(crate) fn new(semaphore: Option<Arc<FanOutSemaphore>>, shard: usize) -> Self {
        FanOutPermit {
            semaphore,
            shard,
            state: State::None,
        }
    }

    /// Whether the shard, which has something to deliver, may do so now. If not, it
    /// is notified when it may.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let Some(semaphore) = &self.semaphore else {
            return true;
        };
        match self.state {
            State::None => return true,
            State::Held(since) if now.duration_since(since) <= HOLD => return true,
            State::Held(_) => semaphore.release(self.shard, true),
            State::Needed | State::Waiting => {}
        }
        let has_permit = semaphore.acquire(self.shard);
        self.state = match has_permit {
            true => State::Held(now),
            false => State::Waiting,
        };
        has_permit
    }

    /// A slice was delivered, or nothing was to be; is there `more`?
    pub(crate) fn end(&mut self, more: bool) {
        match (more, &self.state) {
            (true, State::None) => self.state = State::Needed,
            (true, _) => {}
            (false, _) => self.leave(),
        }
    }

    fn leave(&mut self) {
        let state = std::mem::replace(&mut self.state, State::None);
        if let (State::Waiting | State::Held(_), Some(semaphore)) = (state, &self.semaphore) {
            semaphore.release(self.shard, false);
        }
    }

    /// Whether the shard waits for its permit.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting)
    }
}

impl Drop for FanOutPermit {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::EventFd;

    /// The permits of some shards of one core of which so many may fan out at once,
    /// and their wakers.
    fn shards<const N: usize>(permits: usize) -> ([FanOutPermit; N], Arc<[Arc<ShardWaker>]>) {
        let wakers: Arc<[_]> = (0..N)
            .map(|_| Arc::new(ShardWaker::new(Arc::new(EventFd::new().unwrap()))))
            .collect();
        let semaphore = Arc::new(FanOutSemaphore::new(permits, Arc::clone(&wakers)));
        let permit = |shard| FanOutPermit::new(Some(Arc::clone(&semaphore)), shard);
        (std::array::from_fn(permit), wakers)
    }

    /// Each has delivered one slice and has more.
    fn with_much_to_deliver<const N: usize>(
        permits: usize,
    ) -> ([FanOutPermit; N], Arc<[Arc<ShardWaker>]>) {
        let (mut shards, wakers) = shards(permits);
        for permit in &mut shards {
            assert!(
                permit.begin(Instant::now()),
                "the first slice needs no permit"
            );
            permit.end(true);
        }
        (shards, wakers)
    }

    #[test]
    fn one_after_the_other_in_the_order_in_which_they_came() {
        let ([mut one, mut two, mut three], wakers) = with_much_to_deliver(1);
        let now = Instant::now();
        assert!(one.begin(now) && !three.begin(now) && !two.begin(now));
        assert!(three.is_waiting() && !one.is_waiting());
        assert!(one.begin(now + HOLD), "its permit lasts");
        one.end(false);
        assert!(wakers[2].is_notified() && !wakers[1].is_notified());
        assert!(!two.begin(now) && three.begin(now));
        three.end(false);
        assert!(wakers[1].is_notified() && two.begin(now));
        assert!(!two.is_waiting());
    }

    #[test]
    fn a_long_hold_is_passed_on_and_comes_again() {
        let ([mut one, mut two], wakers) = with_much_to_deliver(1);
        let now = Instant::now();
        assert!(one.begin(now) && !two.begin(now));
        let later = now + HOLD * 2;
        assert!(!one.begin(later) && one.is_waiting());
        assert!(wakers[1].is_notified() && two.begin(later));
        two.end(false);
        assert!(wakers[0].is_notified() && one.begin(later));
        // Alone, it goes on.
        assert!(one.begin(later + HOLD * 2));
    }

    #[test]
    fn there_may_be_several_permits() {
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
    fn a_shard_with_nothing_more_to_deliver_holds_up_no_other() {
        let ([mut one, mut two, mut three], wakers) = with_much_to_deliver(1);
        let now = Instant::now();
        assert!(one.begin(now) && !two.begin(now) && !three.begin(now));
        // Its subscribers have left while it waited.
        two.end(false);
        assert!(!two.is_waiting());
        drop(one);
        assert!(wakers[2].is_notified() && three.begin(now));
        // A shard that ends gives its permit back too.
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
    fn a_core_with_few_shards_has_no_semaphore() {
        let (_, wakers) = shards::<1>(1);
        let of_one = |shards| FanOutSemaphore::of_cores(&[7], shards, &wakers);
        assert!(of_one(4).is_empty());
        assert_eq!(of_one(5)[&7].permits, 4);
        assert_eq!(of_one(52)[&7].permits, 17);
        assert!(FanOutSemaphore::of_cores(&[0, 1], 8, &wakers).is_empty());
        let uneven = FanOutSemaphore::of_cores(&[0, 1], 9, &wakers);
        assert!(uneven.contains_key(&0) && !uneven.contains_key(&1));
        assert!(FanOutSemaphore::of_cores(&[], 9, &wakers).is_empty());
    }

    #[test]
    fn a_core_of_its_own_is_always_ready() {
        let mut alone = FanOutPermit::new(None, 0);
        let now = Instant::now();
        for later in 0..3 {
            assert!(alone.begin(now + HOLD * later * 2));
            alone.end(true);
            assert!(!alone.is_waiting());
        }
    }
}
