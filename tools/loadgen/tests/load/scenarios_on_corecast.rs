//! Every scenario counts right against a corecast server.
//!
//! How: each runs for a second or two against a server in this process that
//! keeps every promise. Nothing is lost, and the generator's counts are exactly
//! those that follow from its task, and those of the server. The core scenarios
//! are run on each driver.

use std::time::Duration;

use crate::support::run::{expect_connections, expect_deliveries, load};
use crate::support::{Corecast, drivers, settings};
use corecast::handler::{Context, Handler};
use corecast::hub::Topic;
use corecast::server::Server;
use corecast::upgrade::Request;
use corecast::ws::{Message, PreparedFrame};
use corecast_load::outcome::Outcome;

/// Messages were sent at this rate and never faster. On a busy machine a thread
/// may miss the end of the measured time, so the best interval is looked at.
#[track_caller]
fn expect_rate(rate: f64, outcome: &Outcome) {
    let (sent, due) = (outcome.messages.sent, rate * outcome.messages.seconds);
    assert!(sent as f64 <= due * 1.1 + 2.0, "{sent} of {due}");
    let samples = outcome.series.iter();
    let best = samples.map(|sample| sample.sent as f64 / sample.seconds);
    let best = best.fold(0.0, f64::max);
    assert!(best >= rate * 0.8, "at best {best} of {rate} a second");
}

#[test]
fn connect_opens_holds_and_closes() {
    for driver in drivers() {
        let server = Corecast::start();
        let url = server.url("/echo");
        let outcome = load(&format!(
            "connect {url} -c 300 --hold 300ms --driver {driver}"
        ))
        .passed();
        expect_connections(&outcome, 300);
        assert_eq!(outcome.latencies["handshake"].count(), 300);
        assert_eq!(outcome.messages.sent, 0);
        server.expect_empty();
        assert_eq!(server.opened(), 301, "and the probe");
    }
}

#[test]
fn connect_in_batches_takes_the_pauses() {
    let server = Corecast::start();
    let url = server.url("/echo");
    let outcome = load(&format!(
        "connect {url} -c 90 --batch 30 --pause 200ms --hold 100ms"
    ))
    .passed();
    expect_connections(&outcome, 90);
    let took = outcome.connections.opening_seconds;
    assert!(took >= 0.4, "two pauses of 200 ms in {took} s");
}

#[test]
fn connect_at_a_rate_takes_its_time() {
    let server = Corecast::start();
    let url = server.url("/echo");
    let outcome = load(&format!(
        "connect {url} -c 100 --arrival-rate 100 --arrival even --hold 100ms"
    ))
    .passed();
    expect_connections(&outcome, 100);
    let took = outcome.connections.opening_seconds;
    assert!(took >= 0.95, "100 at 100 per second in {took} s");
}

#[test]
fn connect_pings_while_it_holds() {
    for driver in drivers() {
        let server = Corecast::start();
        let url = server.url("/echo");
        let outcome = load(&format!(
            "connect {url} -c 50 --hold 800ms --ping 200ms --driver {driver}"
        ))
        .passed();
        expect_connections(&outcome, 50);
        let answers = outcome.latencies["heartbeat"].count();
        assert!(answers >= 50, "{answers} pongs");
    }
}

#[test]
fn message_sends_exactly_what_the_server_counts() {
    for driver in drivers() {
        let server = Corecast::start();
        let (url, stats) = (server.url("/ws"), server.stats());
        let outcome = load(&format!(
            "message {url} -c 40 -m 10007 --stats {stats} --driver {driver}"
        ))
        .passed();
        expect_connections(&outcome, 40);
        assert_eq!(outcome.messages.sent, 10_007);
        assert_eq!(outcome.messages.confirmed, Some(10_007));
    }
}

#[test]
fn message_needs_no_more_connections_than_one() {
    // On two threads one of them has none, and must not keep the other's part.
    let server = Corecast::start();
    let (url, stats) = (server.url("/ws"), server.stats());
    for rate in ["", "--rate 1000"] {
        let outcome = load(&format!(
            "message {url} -c 1 -m 501 {rate} --threads 2 --stats {stats}"
        ))
        .passed();
        assert_eq!(outcome.messages.sent, 501);
        assert_eq!(outcome.messages.confirmed, Some(501));
    }
}

#[test]
fn endurance_keeps_its_rate() {
    let server = Corecast::start();
    let (url, stats) = (server.url("/ws"), server.stats());
    for connections in [20, 1] {
        let outcome = load(&format!(
            "endurance {url} -c {connections} -d 1s --rate 1000 --threads 2 --stats {stats}"
        ))
        .passed();
        expect_rate(1_000.0, &outcome);
        assert_eq!(outcome.messages.confirmed, Some(outcome.messages.sent));
    }
}

#[test]
fn endurance_at_maximum_loses_nothing() {
    for driver in drivers() {
        let server = Corecast::start();
        let (url, stats) = (server.url("/ws"), server.stats());
        let outcome = load(&format!(
            "endurance {url} -c 20 -d 700ms --stats {stats} --driver {driver}"
        ))
        .passed();
        expect_connections(&outcome, 20);
        assert!(outcome.messages.sent > 100);
        assert_eq!(outcome.messages.confirmed, Some(outcome.messages.sent));
    }
}

#[test]
fn echo_with_a_pipeline_gets_everything_back() {
    for driver in drivers() {
        let server = Corecast::start();
        let url = server.url("/echo");
        let outcome = load(&format!(
            "echo {url} -c 20 --pipeline 4 -d 700ms --warm-up 200ms --driver {driver}"
        ))
        .passed();
        expect_connections(&outcome, 20);
        let deliveries = expect_deliveries(&outcome, 1);
        assert_eq!(outcome.messages.sent, deliveries.publications);
        assert_eq!(outcome.latencies["echo"].count(), deliveries.received);
        // Answers to the warm-up come in at one end, others stay out at the other.
        let under_way = outcome.messages.sent.abs_diff(outcome.messages.received);
        assert!(under_way <= 20 * 4, "{under_way}");
    }
}

#[test]
fn echo_at_a_rate_gets_everything_back() {
    for driver in drivers() {
        let server = Corecast::start();
        let url = server.url("/echo");
        for connections in [20, 1] {
            let outcome = load(&format!(
                "echo {url} -c {connections} --rate 500 -d 700ms --warm-up 100ms --threads 2 \
                 --driver {driver}"
            ))
            .passed();
            expect_deliveries(&outcome, 1);
            expect_rate(500.0, &outcome);
        }
    }
}

#[test]
fn echo_speaks_every_dialect() {
    let server = Corecast::start();
    let url = server.url("/echo");
    for dialect in ["raw", "text", "chat"] {
        let outcome = load(&format!(
            "echo {url} -c 4 -d 300ms --warm-up 0s --protocol {dialect} --size 200"
        ))
        .passed();
        expect_deliveries(&outcome, 1);
    }
}

#[test]
fn broadcast_reaches_every_subscriber() {
    for driver in drivers() {
        let server = Corecast::start();
        let url = server.url("/broadcast");
        let outcome = load(&format!(
            "broadcast {url} -s 50 -d 700ms --warm-up 200ms --driver {driver}"
        ))
        .passed();
        expect_connections(&outcome, 50);
        let deliveries = expect_deliveries(&outcome, 50);
        for name in ["first", "median", "last"] {
            assert_eq!(outcome.latencies[name].count(), deliveries.publications);
        }
        assert_eq!(outcome.latencies["delivery"].count(), deliveries.received);
    }
}

#[test]
fn broadcast_of_several_publishers() {
    let server = Corecast::start();
    let url = server.url("/broadcast");
    let outcome = load(&format!(
        "broadcast {url} -s 30 -p 3 --outstanding 4 -d 700ms --warm-up 100ms"
    ))
    .passed();
    expect_deliveries(&outcome, 30);
}

#[test]
fn broadcast_at_a_rate() {
    for driver in drivers() {
        let server = Corecast::start();
        let url = server.url("/broadcast");
        let outcome = load(&format!(
            "broadcast {url} -s 30 -p 3 --rate 200 -d 700ms --warm-up 100ms --driver {driver}"
        ))
        .passed();
        expect_deliveries(&outcome, 30);
        expect_rate(200.0, &outcome);
    }
}

#[test]
fn broadcast_in_the_json_chat() {
    let server = Corecast::start();
    let url = server.url("/ws");
    let outcome = load(&format!("broadcast {url} -s 20 -d 500ms --warm-up 0s")).passed();
    expect_deliveries(&outcome, 20);
}

/// A message in a room reaches all in it, or all but its sender.
struct Rooms {
    to_self: bool,
}

impl Handler for Rooms {
    type State = Topic;
    type Notice = ();

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Topic {
        let room = Topic::new(request.param("room").expect("the route has a room"));
        ctx.subscribe(&room);
        room
    }

    fn message(&mut self, room: &mut Topic, message: Message<'_>, ctx: &mut Context<'_>) {
        let frame = PreparedFrame::new(message);
        match self.to_self {
            true => ctx.publish(room, frame),
            false => ctx.publish_to_others(room, frame),
        };
    }
}

fn rooms() -> Corecast {
    let server = Server::new(settings()).unwrap();
    let server = server
        .route("/rooms/{room}", || Rooms { to_self: true })
        .unwrap()
        .route("/others/{room}", || Rooms { to_self: false })
        .unwrap();
    Corecast::of(server)
}

#[test]
fn broadcast_to_all_but_the_publisher() {
    let server = rooms();
    let url = server.url("/others/one");
    for options in ["-s 20 -p 3", "-s 20 --rate 100", "-s 2"] {
        let outcome = load(&format!(
            "broadcast {url} --no-self {options} -d 500ms --warm-up 0s --threads 2 --timeout 10s"
        ))
        .passed();
        assert!(outcome.seconds < 10.0, "nothing had to be waited for");
        expect_deliveries(&outcome, outcome.connections.opened - 1);
    }
}

#[test]
fn chat_fills_its_rooms() {
    for driver in drivers() {
        let server = rooms();
        let url = server.url("/rooms/{room}");
        let outcome = load(&format!(
            "chat {url} --rooms 4 --users 5 --rate 10 --stay forever -d 1s --driver {driver}"
        ))
        .passed();
        expect_connections(&outcome, 20);
        let deliveries = outcome.deliveries.expect("they talk");
        assert!(deliveries.publications >= 50, "{deliveries:?}");
        // Each reaches the five of its room, and no others.
        assert_eq!(deliveries.received, deliveries.publications * 5);
    }
}

#[test]
fn chat_users_come_and_go() {
    let server = rooms();
    let url = server.url("/rooms/{room}");
    let outcome = load(&format!(
        "chat {url} --rooms 3 --users 5 --rate 10 --stay 300ms --away 100ms -d 2s"
    ))
    .passed();
    let connections = &outcome.connections;
    assert!(connections.opened > 15, "somebody came back");
    assert!(connections.peak <= 15, "{}", connections.peak);
    assert_eq!(connections.closed, connections.opened);
    server.expect_empty();
    assert_eq!(server.opened(), connections.opened + 1, "and the probe");
}

#[test]
fn churn_comes_back_at_once() {
    for driver in drivers() {
        let server = Corecast::start();
        let url = server.url("/echo");
        let outcome = load(&format!(
            "churn {url} -c 10 --exchanges 2 -d 800ms --driver {driver}"
        ))
        .passed();
        let connections = &outcome.connections;
        assert!(connections.opened > 20, "they came back");
        assert!(connections.peak <= 10);
        assert_eq!(connections.asked, connections.opened);
        assert_eq!(connections.closed, connections.opened);
        let deliveries = expect_deliveries(&outcome, 1);
        let whole = connections.opened * 2;
        assert!((whole - 20..=whole).contains(&deliveries.received));
        server.expect_empty();
    }
}

#[test]
fn churn_at_a_rate() {
    let server = Corecast::start();
    let url = server.url("/echo");
    let outcome = load(&format!("churn {url} --arrival-rate 200 -d 1s")).passed();
    let connections = &outcome.connections;
    assert!((20..400).contains(&connections.opened), "{connections:?}");
    assert_eq!(connections.asked, connections.opened);
    assert_eq!(connections.closed, connections.opened);
    expect_deliveries(&outcome, 1);
    server.expect_empty();
}

#[test]
fn soak_looks_at_the_server_and_passes() {
    let server = Corecast::start();
    // The tolerance is wide: the server shares its memory with other tests.
    for path in ["/echo", "/ws"] {
        let (url, stats) = (server.url(path), server.stats());
        let outcome = load(&format!(
            "soak {url} -c 10 -d 1500ms --sample 250ms --rate 10 --tolerance 1000 --stats {stats}"
        ))
        .passed();
        expect_connections(&outcome, 10);
        expect_rate(100.0, &outcome);
        let sessions = |count| {
            outcome
                .series
                .iter()
                .any(|s| s.server_sessions == Some(count))
        };
        assert!(sessions(10), "the server was asked");
        // So short a run shows no trend, and says so.
        let finding = &outcome.findings.last().expect("a finding").what;
        assert!(finding.contains("too few to tell"), "{finding}");
    }
}

/// Keeps every message it receives.
struct Hoarder(Vec<Vec<u8>>);

impl Handler for Hoarder {
    type State = ();
    type Notice = ();

    fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        self.0.push(vec![1; 256 * 1024]);
        ctx.send(message);
    }
}

#[test]
fn soak_notices_what_climbs() {
    let server = Server::new(settings()).unwrap();
    let server = server.route("/hoard", || Hoarder(Vec::new())).unwrap();
    let server = Corecast::of(server);
    let url = server.url("/hoard");
    let run = load(&format!(
        "soak {url} -c 4 -d 5s --sample 250ms --rate 25 --tolerance 2"
    ));
    let outcome = run.failed(&["the server's memory climbed from"]);
    assert!(
        outcome
            .deliveries
            .is_some_and(|deliveries| deliveries.lost == 0)
    );
    let grown = outcome.resources.server.expect("it was seen");
    assert!(grown.memory_bytes > grown.memory_before_bytes + (50 << 20));
}

#[test]
fn merge_joins_what_two_runs_have_counted() {
    let server = Corecast::start();
    let url = server.url("/echo");
    let folder = tempfile::tempdir().unwrap();
    let mut outcomes = Vec::new();
    let mut files = String::new();
    for connections in [3, 5] {
        let outcome = load(&format!(
            "echo {url} -c {connections} -d 300ms --warm-up 0s"
        ))
        .passed();
        let file = folder.path().join(format!("{connections}.json"));
        std::fs::write(&file, corecast_load::report::json(&outcome)).unwrap();
        files += &format!(" {}", file.display());
        outcomes.push(outcome);
        // The start times of the runs must differ.
        std::thread::sleep(Duration::from_millis(10));
    }
    let joined = load(&format!("merge {files}")).passed();
    let sum = |count: fn(&Outcome) -> u64| -> u64 { outcomes.iter().map(count).sum() };
    assert_eq!(joined.machines.len(), 2);
    assert_eq!(joined.connections.opened, 8);
    assert_eq!(joined.messages.sent, sum(|outcome| outcome.messages.sent));
    let deliveries = joined.deliveries.expect("both have some");
    let received = sum(|outcome| outcome.deliveries.as_ref().map_or(0, |d| d.received));
    assert_eq!(deliveries.received, received);
    let timed = sum(|outcome| outcome.latencies["echo"].count());
    assert_eq!(joined.latencies["echo"].count(), timed);
}
