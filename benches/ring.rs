//! The cost to bring a publication to another core.
//!
//! Three layers, each on top of the one before: `ring` is the lock-free queue alone,
//! carrying numbers; `mesh` is the rings between shards with their wake flags,
//! carrying one shared publication over and over; `hub` encodes and publishes each anew,
//! as a shard does, and lets go of it on the far side. No audience is there to hear.
//!
//! Both threads spin and never sleep, so no wake-up by the kernel is in these times.
//! They need two cores that do nothing else; where others take their share, only the
//! fastest of the times means something.
//!
//! Run with `cargo bench --bench ring`.

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corecast::config::Config;
use corecast::hub::{Hub, ShardMessage, Topic};
use corecast::mesh::ShardEnd;
use corecast::metrics::ShardMetrics;
use corecast::participant::Participant;
use corecast::publication::Publication;
use corecast::ws::PreparedFrame;
use divan::Bencher;
use divan::counter::ItemsCount;
use rtrb::{Consumer, Producer, RingBuffer};
use support::audience::{hub, shards};
use support::cores::{Peer, spin_until};
use support::texts::noise;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler<mimalloc::MiMalloc> =
    divan::AllocProfiler::new(mimalloc::MiMalloc);

/// Messages sent before the other side is told.
const BATCHES: [usize; 3] = [1, 16, 256];

/// Messages sent while the clock runs once, where two cores share the work.
const MESSAGES: usize = 2 << 10;

fn main() {
    support::timing::run();
}

fn ring() -> (Producer<usize>, Consumer<usize>) {
    RingBuffer::new(Config::default().ring_capacity)
}

fn mesh() -> [ShardEnd<ShardMessage>; 2] {
    let Ok(ends) = shards(2).try_into() else {
        unreachable!("each shard has an end");
    };
    ends
}

fn frame() -> PreparedFrame {
    PreparedFrame::binary(&noise(20))
}

fn topic() -> Topic {
    Topic::new("/broadcast")
}

fn message() -> ShardMessage {
    ShardMessage::Publish(Arc::new(Publication {
        topic: topic(),
        content: frame().into(),
        origin: Participant::Outside,
    }))
}

/// Takes what there is, and checks it. Returns how many there were.
fn receive(end: &mut ShardEnd<ShardMessage>) -> usize {
    end.receive(usize::MAX, |message| {
        let ShardMessage::Publish(publication) = message else {
            unreachable!("only publications are sent here");
        };
        assert_eq!(publication.content.frame().len(), 22);
    })
}

/// The same for a hub, which counts them.
fn receive_into((hub, metrics): &mut (Hub, Arc<ShardMetrics>)) -> usize {
    let before = metrics.ring_received.value();
    hub.expect_incoming();
    hub.receive();
    (metrics.ring_received.value() - before) as usize
}

/// One thread does both: the cost of the work itself, without a second core.
mod alone {
    use super::*;

    #[divan::bench(name = "ring", args = BATCHES)]
    fn of_ring(bencher: Bencher<'_, '_>, batch: usize) {
        let (mut producer, mut consumer) = ring();
        run(bencher, batch, || {
            for number in 0..batch {
                producer.push(black_box(number)).expect("there is room");
            }
            (0..batch)
                .filter(|number| consumer.pop() == Ok(*number))
                .count()
        });
    }

    #[divan::bench(name = "mesh", args = BATCHES)]
    fn of_mesh(bencher: Bencher<'_, '_>, batch: usize) {
        let [mut from, mut to] = mesh();
        let message = message();
        run(bencher, batch, || {
            for _ in 0..batch {
                from.broadcast(&message);
            }
            from.flush();
            receive(&mut to)
        });
    }

    #[divan::bench(name = "hub", args = BATCHES)]
    fn of_hub(bencher: Bencher<'_, '_>, batch: usize) {
        let [(mut from, _), mut to] = mesh().map(hub);
        let (topic, payload) = (topic(), noise(20));
        run(bencher, batch, || {
            for _ in 0..batch {
                from.publish(&topic, PreparedFrame::binary(&payload), None);
            }
            from.flush_mesh();
            receive_into(&mut to)
        });
    }

    fn run(bencher: Bencher<'_, '_>, batch: usize, mut transfer: impl FnMut() -> usize) {
        assert_eq!(transfer(), batch);
        bencher
            .counter(ItemsCount::new(batch))
            .bench_local(transfer);
    }
}

/// One core sends 2,048 messages in batches while the other takes them; until the
/// last has arrived.
mod contended {
    use super::*;

    #[divan::bench(name = "ring", args = BATCHES)]
    fn of_ring(bencher: Bencher<'_, '_>, batch: usize) {
        let (mut producer, mut consumer) = ring();
        let mut next = 0;
        let take = move || {
            let taken = consumer.slots();
            for _ in 0..taken {
                assert_eq!(consumer.pop(), Ok(next));
                next += 1;
            }
            taken
        };
        let mut number = 0;
        let send = || {
            for _ in 0..batch {
                spin_until(|| !producer.is_full());
                producer.push(number).expect("there is room");
                number += 1;
            }
        };
        run(bencher, batch, || take, send);
    }

    #[divan::bench(name = "mesh", args = BATCHES)]
    fn of_mesh(bencher: Bencher<'_, '_>, batch: usize) {
        let [mut from, mut to] = mesh();
        let message = message();
        let send = || {
            for _ in 0..batch {
                from.broadcast(&message);
            }
            spin_until(|| {
                from.flush();
                from.backlogged() == 0
            });
        };
        run(bencher, batch, || move || receive(&mut to), send);
    }

    #[divan::bench(name = "hub", args = BATCHES)]
    fn of_hub(bencher: Bencher<'_, '_>, batch: usize) {
        let [from, to] = mesh();
        let (mut from, _) = hub(from);
        let take = move || {
            let mut to = hub(to);
            move || receive_into(&mut to)
        };
        let (topic, payload) = (topic(), noise(20));
        let send = || {
            for _ in 0..batch {
                from.publish(&topic, PreparedFrame::binary(&payload), None);
            }
            spin_until(|| {
                from.flush_mesh();
                !from.is_congested()
            });
        };
        run(bencher, batch, take, send);
    }

    /// `taker` is called on the other core, and what it returns is called there over
    /// and over; that returns how many messages it found.
    fn run<T: FnMut() -> usize>(
        bencher: Bencher<'_, '_>,
        batch: usize,
        taker: impl FnOnce() -> T + Send + 'static,
        mut send: impl FnMut(),
    ) {
        let taken = Arc::new(AtomicUsize::new(0));
        let Some(_peer) = Peer::start({
            let taken = Arc::clone(&taken);
            move || {
                let mut take = taker();
                move || {
                    let count = take();
                    if count > 0 {
                        taken.fetch_add(count, Ordering::Release);
                    }
                }
            }
        }) else {
            return;
        };
        let mut sent = 0;
        let mut transfer = || {
            for _ in 0..MESSAGES / batch {
                send();
            }
            sent += MESSAGES;
            spin_until(|| taken.load(Ordering::Acquire) >= sent);
            assert_eq!(taken.load(Ordering::Acquire), sent);
        };
        transfer();
        bencher
            .counter(ItemsCount::new(MESSAGES))
            .bench_local(transfer);
    }
}

/// One message there and one back, with nothing else on the way.
mod round_trip {
    use super::*;

    #[divan::bench(name = "ring")]
    fn of_ring(bencher: Bencher<'_, '_>) {
        let [(mut to, mut there), (mut back, mut from)] = [ring(), ring()];
        let answer = move || {
            if let Ok(number) = there.pop() {
                back.push(number).expect("one message is on the way");
            }
        };
        let mut number = 0;
        run(bencher, answer, || {
            number += 1;
            to.push(number).expect("one message is on the way");
            spin_until(|| from.pop() == Ok(number));
        });
    }

    #[divan::bench(name = "mesh")]
    fn of_mesh(bencher: Bencher<'_, '_>) {
        let [mut here, mut there] = mesh();
        let message = message();
        let answer = {
            let message = message.clone();
            move || {
                if receive(&mut there) > 0 {
                    there.broadcast(&message);
                    there.flush();
                }
            }
        };
        run(bencher, answer, || {
            here.broadcast(&message);
            here.flush();
            spin_until(|| receive(&mut here) == 1);
        });
    }

    /// `answer` runs on the other core.
    fn run(bencher: Bencher<'_, '_>, answer: impl FnMut() + Send + 'static, mut ask: impl FnMut()) {
        let Some(_peer) = Peer::start(|| answer) else {
            return;
        };
        ask();
        bencher.bench_local(ask);
    }
}
