//! A shard, or several with their mesh, without a kernel: sockets, readiness and
//! time are scripted, and the order of everything follows from a seed.
//!
//! [`World`] carries out [`Operation`]s as a kernel, peers and the session loops
//! would; [`Oracle`] knows what must have come of them. Each run ends with a
//! settlement, in which every socket gets room and every shard its turns, and after
//! which nothing may be left to do; then all peers go, and nothing may be left at
//! all.
//!
//! `CORECAST_SIMULATE_SEED=…` runs one seed again, `CORECAST_SIMULATE_MINUTES=…`
//! (`make simulate`) goes on with random ones.

mod handler;
mod oracle;
mod peer;
mod plane;
mod random;
mod world;

use std::time::{Duration, Instant};

use self::random::Random;
use self::world::World;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 300;

/// One step of a simulation. A number, by its remainder, chooses among those that exist
/// at that moment.
#[derive(Debug, Clone)]
enum Operation {
    /// A connection arrives at a shard, with its request and the bytes that follow at
    /// once.
    Connect {
        shard: usize,
        room: usize,
        early: Vec<Say>,
    },
    /// A peer sends messages, in pieces that arrive one by one.
    Send {
        peer: usize,
        say: Vec<Say>,
        pieces: usize,
    },
    /// The network delivers one more piece of what a peer has sent.
    Deliver { peer: usize },
    /// A peer reads, so that its socket has room.
    Read { peer: usize, bytes: usize },
    /// A peer sends a close frame.
    Close { peer: usize },
    /// A peer ends its stream.
    End { peer: usize },
    /// A connection is reset.
    Reset { peer: usize },
    /// The plane reports what has not changed, or gives up its watch.
    Spurious { peer: usize, lapsed: bool },
    /// A shard makes a turn, if its loop would.
    Turn { shard: usize },
    /// Time passes; timers that are due run.
    Pass { ms: u64 },
    /// The rates of sessions change.
    Reload { messages: usize, bytes: usize },
    /// The server drains.
    Drain,
}

/// The messages of a peer to the handler of the simulation; see [`handler`].
#[derive(Debug, Clone)]
enum Say {
    /// To be answered with as many bytes.
    Echo {
        bytes: usize,
    },
    Join {
        topic: u8,
    },
    Leave {
        topic: u8,
    },
    Publish {
        topic: u8,
        bytes: usize,
        to_self: bool,
    },
    /// The handlers of the other shards publish to the topic.
    Tell {
        topic: u8,
    },
    Ping,
    CloseMe,
    Panic,
    /// Bytes that are no frame.
    Garbage,
}

/// One operation of a run.
fn operation(random: &mut Random, world: &World) -> Operation {
    let (peer, shard) = (random.next() as usize, random.next() as usize);
    let few = |random: &mut Random| (0..random.below(4)).map(|_| say(random)).collect();
    match random.below(100) {
        0..6 if world.connections() < 12 => Operation::Connect {
            shard,
            room: random.pick(&[0, 200, 4_000, usize::MAX / 2]),
            early: few(random),
        },
        0..28 => Operation::Send {
            peer,
            say: (0..1 + random.below(6)).map(|_| say(random)).collect(),
            pieces: 1 + random.below(4) as usize,
        },
        28..40 => Operation::Deliver { peer },
        40..52 => Operation::Read {
            peer,
            bytes: random.pick(&[1, 7, 100, 3_000, 1_000_000]),
        },
        52 => Operation::Close { peer },
        53 => Operation::End { peer },
        54 => Operation::Reset { peer },
        55..58 => Operation::Spurious {
            peer,
            lapsed: random.below(2) == 0,
        },
        58..95 => Operation::Turn { shard },
        95..99 => Operation::Pass {
            ms: random.pick(&[1, 10, 130, 700, 4_000]),
        },
        _ if random.below(20) == 0 => Operation::Drain,
        _ if random.below(4) == 0 => Operation::Reload {
            messages: random.pick(&[0, 2, 10]),
            bytes: random.pick(&[0, 2_000, 20_000]),
        },
        _ => Operation::Turn { shard },
    }
}

fn say(random: &mut Random) -> Say {
    let topic = random.below(3) as u8;
    match random.below(100) {
        0..30 => Say::Echo {
            bytes: random.pick(&[0, 3, 130, 700, 5_000]),
        },
        30..45 => Say::Join { topic },
        45..50 => Say::Leave { topic },
        50..85 => Say::Publish {
            topic,
            bytes: random.pick(&[10, 10, 200, 2_000]),
            to_self: random.below(2) == 0,
        },
        85..90 => Say::Tell { topic },
        90..96 => Say::Ping,
        96 => Say::CloseMe,
        97 => Say::Panic,
        98 => Say::Garbage,
        _ => Say::Echo { bytes: 20_000 },
    }
}

/// Carries out a run of so many operations.
fn run(seed: u64, operations: usize) {
    let mut random = Random::new(seed);
    let mut world = World::new(&mut random);
    for _ in 0..operations {
        let operation = operation(&mut random, &world);
        world.carry_out(operation, &mut random);
        world.check();
    }
    world.settle(&mut random);
    world.part(&mut random);
}

/// Runs a seed, and says which it was when something is wrong.
fn run_seed(seed: u64) {
    let outcome = std::panic::catch_unwind(|| run(seed, 400));
    if let Err(panic) = outcome {
        eprintln!("failed with CORECAST_SIMULATE_SEED={seed}");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_shard_keeps_its_promises_whatever_happens() {
    // The handler panics on purpose; only other panics are worth a message.
    handler::silence_planned_panics();
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    if let Some(seed) = number("CORECAST_SIMULATE_SEED") {
        return run_seed(seed);
    }
    let Some(minutes) = number("CORECAST_SIMULATE_MINUTES") else {
        return (0..SEEDS).for_each(run_seed);
    };
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut report = Instant::now();
    let mut runs = 0u64;
    let first = Random::from_time();
    while Instant::now() < end {
        run_seed(first.wrapping_add(runs));
        runs += 1;
        if report.elapsed() > Duration::from_secs(10) {
            report = Instant::now();
            eprintln!("{runs} runs without a fault");
        }
    }
    eprintln!("{runs} runs without a fault, seeds from {first}");
}
