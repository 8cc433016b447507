//! The work of a shard for each subscriber of a publication, besides the system call.
//!
//! `Hub::publish` and `Hub::run_slice` are those of the server; where it would send,
//! the bytes are counted in a table of entries as large as sessions.
//!
//! Run with `cargo bench --bench fan_out`.

mod support;

use std::io::{self, IoSlice};

use corecast::link::{SendQueue, Sink};
use corecast::ws::PreparedFrame;
use divan::Bencher;
use divan::counter::ItemsCount;
use support::audience::Audience;
use support::texts::noise;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler<mimalloc::MiMalloc> =
    divan::AllocProfiler::new(mimalloc::MiMalloc);

const SUBSCRIBERS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

/// Bytes of a frame that carries 20 bytes.
const FRAME_BYTES: usize = 22;

fn main() {
    support::timing::run();
}

fn frame() -> PreparedFrame {
    PreparedFrame::binary(&noise(FRAME_BYTES - 2))
}

/// One publication to all; items are deliveries.
#[divan::bench(args = SUBSCRIBERS)]
fn one_publication(bencher: Bencher<'_, '_>, subscribers: usize) {
    run(bencher, subscribers, 1);
}

/// Sixteen that waited together and leave as one run of bytes; items are deliveries
/// of one publication.
#[divan::bench(args = SUBSCRIBERS)]
fn sixteen_publications(bencher: Bencher<'_, '_>, subscribers: usize) {
    run(bencher, subscribers, 16);
}

fn run(bencher: Bencher<'_, '_>, subscribers: usize, publications: usize) {
    let mut audience = Audience::new(subscribers);
    let frame = frame();
    let mut publish = || {
        for _ in 0..publications {
            audience.publish(&frame);
        }
        audience.deliver()
    };
    assert_eq!(publish(), subscribers);
    bencher
        .counter(ItemsCount::new(subscribers * publications))
        .bench_local(&mut publish);
    let received = audience.received_by_each().expect("all receive the same");
    assert_eq!(received % (publications * FRAME_BYTES) as u64, 0);
    assert!(received > 0);
}

/// A socket that takes everything.
struct Taker;

impl Sink for Taker {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(parts.iter().map(|part| part.len()).sum())
    }
}

/// To subscribers with a queue each, because their sockets had no room: every
/// delivery waits in a queue, and leaves it when all have been made.
#[divan::bench(args = SUBSCRIBERS)]
fn through_queues(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut audience = Audience::new(subscribers);
    let mut queues: Vec<Box<SendQueue>> = (0..subscribers).map(|_| Box::default()).collect();
    let frame = frame();
    let mut publish = || {
        audience.publish(&frame);
        audience.deliver_with(|session, run| {
            queues[session].push_shared(run, 0);
            0
        });
        let sent =
            |queue: &mut Box<SendQueue>| queue.flush(&mut Taker).expect("it takes everything");
        queues.iter_mut().map(sent).sum::<usize>()
    };
    assert_eq!(publish(), subscribers * FRAME_BYTES);
    bencher
        .counter(ItemsCount::new(subscribers))
        .bench_local(publish);
}

/// One of the subscribers leaves, from the middle, and joins again.
#[divan::bench(args = SUBSCRIBERS)]
fn leave_and_join(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut audience = Audience::new(subscribers);
    let session = subscribers / 2;
    assert!(audience.leave(session) && !audience.leave(session));
    assert!(audience.join(session) && !audience.join(session));
    bencher.bench_local(|| audience.leave(session) && audience.join(session));
}
