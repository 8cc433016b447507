//! A server that stands still for a moment cannot hide it from an open loop.
//!
//! How: a handler sleeps once, for 400 ms, on the only shard there is. Messages
//! due meanwhile wait, and their waiting counts from the planned time: about
//! rate × stall messages are late, and not only the one that met the stall.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use corecast::handler::{Context, Handler};
use corecast::server::Server;
use corecast::upgrade::Request;
use corecast::ws::Message;
use corecast_load::outcome::Latency;
use support::run::{expect_deliveries, load};
use support::{Corecast, settings};

const RATE: u64 = 500;
const STALL: Duration = Duration::from_millis(400);
/// An answer that takes longer than this was late.
const LATE: Duration = Duration::from_millis(100);

/// An echo that stands still once.
struct Stalling(Arc<AtomicU64>);

impl Handler for Stalling {
    type State = ();
    type Notice = ();

    fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        if self.0.fetch_add(1, Ordering::Relaxed) == RATE / 2 {
            thread::sleep(STALL);
        }
        ctx.send(message);
    }
}

fn late(latency: &Latency) -> u64 {
    let steps = latency.steps(20).into_iter();
    steps
        .filter(|(upper, _)| u128::from(*upper) > LATE.as_micros())
        .map(|(_, count)| count)
        .sum()
}

#[test]
fn a_stall_shows_in_every_message_it_delayed() {
    let served = Arc::new(AtomicU64::new(0));
    let server = Server::new(settings().shards(1))
        .unwrap()
        .route("/stall", move || Stalling(Arc::clone(&served)))
        .unwrap();
    let server = Corecast::of(server);
    let url = server.url("/stall");
    let outcome = load(&format!(
        "echo {url} -c 20 --rate {RATE} -d 2s --warm-up 0s"
    ))
    .passed();
    expect_deliveries(&outcome, 1);
    let echo = &outcome.latencies["echo"];
    let percentiles = echo.percentiles();
    assert!(percentiles.max >= 350_000, "{percentiles:?}");
    assert!(percentiles.p99 >= 250_000, "{percentiles:?}");
    // Those planned in the first 300 ms of the 400 came 100 ms late or more.
    let expected = RATE * (STALL - LATE).as_millis() as u64 / 1_000;
    let late = late(echo);
    assert!(late >= expected * 8 / 10, "{late} late of about {expected}");
    assert!(
        late < echo.count() * 3 / 4,
        "{late} late of about {expected}"
    );
}
