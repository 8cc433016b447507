//! Publishers and the ends of shards, without a server around them.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::*;
use crate::mesh::{ShardEnd, ShardWaker, connect};
use crate::sys::EventFd;

type End = ShardEnd<ShardMessage>;

fn publisher(shards: usize, capacity: usize) -> (Publisher, Vec<End>) {
    let wakers: Vec<_> = (0..shards)
        .map(|_| Arc::new(ShardWaker::new(Arc::new(EventFd::new().unwrap()))))
        .collect();
    let (ends, outside) = connect(&wakers, 1, capacity);
    let metrics = (0..shards).map(|_| Arc::default()).collect();
    let outside = outside.into_iter().next().unwrap();
    (Publisher::new(outside, metrics), ends)
}

fn topic() -> Topic {
    Topic::new("t")
}

fn frame(number: u32) -> PreparedFrame {
    PreparedFrame::binary(&number.to_be_bytes())
}

fn number(message: &ShardMessage) -> u32 {
    let ShardMessage::Publish(publication) = message else {
        panic!("not a publication: {message:?}");
    };
    assert_eq!(publication.origin, Participant::Outside);
    u32::from_be_bytes(
        publication.content.frame().payload()[..]
            .try_into()
            .unwrap(),
    )
}

/// Takes up to `budget` publications.
fn take(end: &mut End, budget: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    end.receive(budget, |message| taken.push(number(&message)));
    taken
}

/// Counts how often a task was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn task() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::<Wakes>::default();
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn what_has_no_room_on_one_shard_is_on_none() {
    let (publisher, mut ends) = publisher(2, 2);
    for number in 0..2 {
        assert_eq!(publisher.try_publish(&topic(), frame(number)), Ok(()));
    }
    assert_eq!(take(&mut ends[0], 9), [0, 1]);
    let full = publisher.try_publish(&topic(), frame(2));
    assert_eq!(full, Err(PublishError::Full));
    assert_eq!(ends[0].depth(), 0);
    assert_eq!(take(&mut ends[1], 9), [0, 1]);
    assert_eq!(publisher.try_publish(&topic(), frame(3)), Ok(()));
    for end in &mut ends {
        assert_eq!(take(end, 9), [3]);
    }
    let full = |shard: &Arc<ShardMetrics>| shard.outside_full.value();
    let counted: Vec<_> = publisher.0.metrics.iter().map(full).collect();
    assert_eq!(counted, [0, 1], "by the shard that had no room");
}

/// Two tasks wait; room for one wakes the first only. Later publications do not overtake them.
#[test]
fn tasks_are_served_in_the_order_in_which_they_came() {
    let (publisher, mut ends) = publisher(1, 1);
    let topic = topic();
    publisher.try_publish(&topic, frame(0)).unwrap();
    let ((wakes_1, waker_1), (wakes_2, waker_2)) = (Wakes::task(), Wakes::task());
    let mut first = pin!(publisher.publish(&topic, frame(1)));
    let mut second = pin!(publisher.publish(&topic, frame(2)));
    assert!(poll(first.as_mut(), &waker_1).is_pending());
    assert!(poll(second.as_mut(), &waker_2).is_pending());
    assert_eq!((wakes_1.count(), wakes_2.count()), (0, 0));

    assert_eq!(take(&mut ends[0], 9), [0]);
    assert_eq!((wakes_1.count(), wakes_2.count()), (1, 0));
    let overtakes = publisher.try_publish(&topic, frame(9));
    assert_eq!(overtakes, Err(PublishError::Full));
    assert!(poll(second.as_mut(), &waker_2).is_pending(), "not its turn");
    assert_eq!(poll(first.as_mut(), &waker_1), Poll::Ready(Ok(())));
    assert_eq!(wakes_2.count(), 1, "it is the first now");
    assert!(poll(second.as_mut(), &waker_2).is_pending());

    assert_eq!(take(&mut ends[0], 9), [1]);
    assert_eq!((wakes_1.count(), wakes_2.count()), (1, 2));
    assert_eq!(poll(second.as_mut(), &waker_2), Poll::Ready(Ok(())));
    assert_eq!(take(&mut ends[0], 9), [2]);
    assert_eq!(publisher.try_publish(&topic, frame(3)), Ok(()));
}

/// The first in line is given up before and after it was told of room: the next one is
/// woken either way, and a publication that was given up is never published.
#[test]
fn a_task_that_is_dropped_makes_way() {
    for is_told in [false, true] {
        let (publisher, mut ends) = publisher(1, 1);
        let topic = topic();
        publisher.try_publish(&topic, frame(0)).unwrap();
        let ((_, waker_1), (wakes_2, waker_2)) = (Wakes::task(), Wakes::task());
        let mut first = Box::pin(publisher.publish(&topic, frame(1)));
        let mut second = pin!(publisher.publish(&topic, frame(2)));
        assert!(poll(first.as_mut(), &waker_1).is_pending());
        assert!(poll(second.as_mut(), &waker_2).is_pending());
        if is_told {
            assert_eq!(take(&mut ends[0], 9), [0]);
        }
        drop(first);
        assert_eq!(wakes_2.count(), 1);
        if !is_told {
            assert!(poll(second.as_mut(), &waker_2).is_pending());
            assert_eq!(take(&mut ends[0], 9), [0]);
            assert_eq!(wakes_2.count(), 2);
        }
        assert_eq!(poll(second.as_mut(), &waker_2), Poll::Ready(Ok(())));
        assert_eq!(take(&mut ends[0], 9), [2]);
    }
}

#[test]
fn stopping_lets_go_of_everybody() {
    let (publisher, ends) = publisher(2, 1);
    let topic = topic();
    let (wakes, waker) = Wakes::task();
    let mut asked = pin!(publisher.subscribers(&topic));
    assert!(
        poll(asked.as_mut(), &waker).is_pending(),
        "it is on the rings"
    );
    let mut waiting = pin!(publisher.publish(&topic, frame(1)));
    assert!(poll(waiting.as_mut(), &waker).is_pending());
    drop(ends);
    publisher.stop();
    assert_eq!(wakes.count(), 3, "the answer, the shards, the server");
    assert_eq!(poll(asked.as_mut(), &waker), Poll::Ready(Ok(0)));
    assert_eq!(poll(waiting.as_mut(), &waker), Poll::Ready(Err(Stopped)));
    let stopped = Err(PublishError::Stopped);
    assert_eq!(publisher.try_publish(&topic, frame(2)), stopped);
}

/// Shards that end by themselves, with messages in their rings.
#[test]
fn shards_that_have_ended_keep_nobody_waiting() {
    let (publisher, mut ends) = publisher(2, 1);
    let topic = topic();
    let (wakes, waker) = Wakes::task();
    let mut asked = pin!(publisher.subscribers(&topic));
    assert!(poll(asked.as_mut(), &waker).is_pending());
    let mut waiting = pin!(publisher.publish(&topic, frame(1)));
    assert!(poll(waiting.as_mut(), &waker).is_pending());

    drop(ends.remove(0));
    assert_eq!(wakes.count(), 1, "there is room on the first");
    assert!(
        poll(waiting.as_mut(), &waker).is_pending(),
        "but not on the second"
    );
    ends[0].receive(9, |message| match message {
        ShardMessage::Ask(question) => question.add(3),
        other => panic!("not a question: {other:?}"),
    });
    assert_eq!(wakes.count(), 3, "the answer, and room");
    assert_eq!(poll(asked.as_mut(), &waker), Poll::Ready(Ok(3)));
    assert_eq!(poll(waiting.as_mut(), &waker), Poll::Ready(Ok(())));
    assert_eq!(take(&mut ends[0], 9), [1]);
    drop(ends);
    let stopped = Err(PublishError::Stopped);
    assert_eq!(publisher.try_publish(&topic, frame(2)), stopped);
}

/// A task whose executor cannot be woken from here does not take the shard with it.
#[test]
fn a_waker_that_panics_does_no_harm() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose: not on this thread");
        }
    }
    let (publisher, mut ends) = publisher(1, 1);
    let topic = topic();
    publisher.try_publish(&topic, frame(0)).unwrap();
    let mut waiting = pin!(publisher.publish(&topic, frame(1)));
    let waker = Waker::from(Arc::new(Panics));
    assert!(poll(waiting.as_mut(), &waker).is_pending());
    assert_eq!(take(&mut ends[0], 9), [0]);
    assert_eq!(poll(waiting.as_mut(), &waker), Poll::Ready(Ok(())));
}

/// Wakes a thread.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match poll(future.as_mut(), &waker) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Several threads publish through the smallest rings to shards on threads of their
/// own: each shard gets all, each publisher's in order, and no thread sleeps for ever.
#[test]
fn threads_lose_nothing_through_the_smallest_rings() {
    const PUBLISHERS: u32 = 4;
    const EACH: u32 = 2_000;
    let (publisher, ends) = publisher(2, 1);
    let shards: Vec<_> = ends
        .into_iter()
        .map(|mut end| {
            thread::spawn(move || {
                let mut next = [0; PUBLISHERS as usize];
                loop {
                    for number in take(&mut end, 9) {
                        let next = &mut next[(number / EACH) as usize];
                        assert_eq!(number % EACH, *next);
                        *next += 1;
                    }
                    if next == [EACH; PUBLISHERS as usize] {
                        return;
                    }
                    if end.waker().try_park() {
                        while !end.waker().is_notified() {
                            thread::yield_now();
                        }
                    }
                    end.waker().begin();
                }
            })
        })
        .collect();
    thread::scope(|scope| {
        for sender in 0..PUBLISHERS {
            let publisher = publisher.clone();
            scope.spawn(move || {
                for number in 0..EACH {
                    let published = publisher.publish(&topic(), frame(sender * EACH + number));
                    assert_eq!(block_on(published), Ok(()));
                }
            });
        }
    });
    for shard in shards {
        shard.join().unwrap();
    }
}
