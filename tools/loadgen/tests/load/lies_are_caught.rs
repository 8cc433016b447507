//! A server that breaks one promise fails the run, with the right count and the
//! right words.
//!
//! How: a small server in this process is honest to all connections but number
//! 1, and breaks exactly one promise there. The run must end with status 1 and
//! an outcome that says what happened, how often, and nothing else.

use crate::support::liar::{Liar, Lie};
use crate::support::run::{Run, expect_connections, expect_deliveries, load};
use corecast::ws::CloseCode;
use corecast_load::cause::Cause;
use corecast_load::outcome::{Deliveries, Outcome};

/// Four connections, each with four messages under way.
fn echo(lie: Lie) -> Run {
    let url = Liar::start(lie).echo();
    load(&format!(
        "echo {url} -c 4 --pipeline 4 -d 500ms --warm-up 0s --threads 2 --timeout 2s"
    ))
}

/// Eight subscribers of a publisher that does not wait for them.
fn broadcast(lie: Lie) -> Run {
    let url = Liar::start(lie).broadcast();
    load(&format!(
        "broadcast {url} -s 8 --rate 400 -d 700ms --warm-up 0s --threads 2 --timeout 2s"
    ))
}

/// Eight subscribers of a publisher that waits for all of them.
fn closed_broadcast(lie: Lie) -> Run {
    let url = Liar::start(lie).broadcast();
    load(&format!(
        "broadcast {url} -s 8 --outstanding 4 -d 700ms --warm-up 0s --threads 2 --timeout 2s"
    ))
}

fn deliveries(outcome: &Outcome) -> Deliveries {
    outcome.deliveries.clone().expect("something was sent")
}

/// No connection failed, and of `receivers` deliveries of each publication
/// these were wrong, and no others.
#[track_caller]
fn expect_wrong(outcome: &Outcome, receivers: u64, wrong: Deliveries) {
    let connections = &outcome.connections;
    assert_eq!(connections.failures() + connections.losses(), 0);
    let found = deliveries(outcome);
    let expected = found.publications * receivers;
    assert_eq!(
        found,
        Deliveries {
            publications: found.publications,
            expected,
            received: expected - wrong.lost,
            ..wrong
        }
    );
}

#[test]
fn an_honest_server_is_believed() {
    let outcome = echo(Lie::None).passed();
    expect_connections(&outcome, 4);
    expect_deliveries(&outcome, 1);
    for run in [broadcast(Lie::None), closed_broadcast(Lie::None)] {
        let outcome = run.passed();
        expect_connections(&outcome, 8);
        expect_deliveries(&outcome, 8);
    }
}

#[test]
fn every_hundredth_delivery_is_dropped() {
    for run in [
        broadcast(Lie::DropEvery(100)),
        closed_broadcast(Lie::DropEvery(100)),
    ] {
        let outcome = run.failed(&["deliveries never arrived"]);
        let lost = deliveries(&outcome).publications / 100;
        assert!(lost >= 1);
        let wrong = Deliveries {
            lost,
            ..Deliveries::default()
        };
        expect_wrong(&outcome, 8, wrong);
    }
}

#[test]
fn an_echo_is_dropped() {
    let outcome = echo(Lie::DropEvery(50)).failed(&["deliveries never arrived"]);
    let lost = deliveries(&outcome).lost;
    assert!(lost >= 1);
    let wrong = Deliveries {
        lost,
        ..Deliveries::default()
    };
    expect_wrong(&outcome, 1, wrong);
}

#[test]
fn two_deliveries_are_swapped() {
    let wrong = Deliveries {
        reordered: 1,
        ..Deliveries::default()
    };
    let words = "deliveries arrived after a later one";
    expect_wrong(&echo(Lie::Swap(10)).failed(&[words]), 1, wrong.clone());
    expect_wrong(&broadcast(Lie::Swap(10)).failed(&[words]), 8, wrong.clone());
    expect_wrong(&closed_broadcast(Lie::Swap(10)).failed(&[words]), 8, wrong);
}

#[test]
fn a_delivery_is_repeated() {
    let wrong = Deliveries {
        duplicated: 1,
        ..Deliveries::default()
    };
    let words = "deliveries arrived more than once";
    expect_wrong(&echo(Lie::Repeat(10)).failed(&[words]), 1, wrong.clone());
    expect_wrong(&broadcast(Lie::Repeat(10)).failed(&[words]), 8, wrong);
}

#[test]
fn a_byte_is_changed() {
    // The message sent has not arrived, and another has.
    let wrong = Deliveries {
        lost: 1,
        corrupt: 1,
        ..Deliveries::default()
    };
    let words = "deliveries arrived with other content than was sent";
    expect_wrong(&echo(Lie::Corrupt(10)).failed(&[words]), 1, wrong.clone());
    expect_wrong(&broadcast(Lie::Corrupt(10)).failed(&[words]), 8, wrong);
}

#[test]
fn an_echo_never_comes() {
    let outcome = echo(Lie::Silence).failed(&["4 of ", "deliveries never arrived"]);
    let wrong = Deliveries {
        lost: 4,
        ..Deliveries::default()
    };
    expect_wrong(&outcome, 1, wrong);
}

/// One connection was lost for this cause, and with it the messages under way
/// on it.
#[track_caller]
fn expect_lost(run: Run, cause: Cause) -> Deliveries {
    let words = format!("1 open connections were lost: 1 {}", cause.describe());
    let outcome = run.failed(&[&words]);
    let connections = &outcome.connections;
    assert_eq!(connections.failures(), 0);
    assert_eq!(connections.lost, [(cause, 1)].into());
    assert_eq!(connections.closed, connections.opened - 1);
    let deliveries = deliveries(&outcome);
    assert_eq!(deliveries.expected, deliveries.received + deliveries.lost);
    let others = deliveries.reordered + deliveries.duplicated + deliveries.corrupt;
    assert_eq!(others, 0);
    deliveries
}

#[test]
fn a_connection_ends_in_the_middle() {
    let code = CloseCode::INTERNAL_ERROR;
    for (lie, cause) in [
        (Lie::EndStream(20), Cause::EndOfStream),
        (Lie::CloseWith(20, code), Cause::Closed(1011)),
        (Lie::BreakProtocol(20), Cause::Protocol),
    ] {
        let lost = expect_lost(echo(lie), cause).lost;
        assert_eq!(lost, 4, "what the connection had under way");
        // The others are served on.
        let deliveries = expect_lost(broadcast(lie), cause);
        assert!(deliveries.received >= deliveries.publications * 7);
        let deliveries = expect_lost(closed_broadcast(lie), cause);
        assert!(deliveries.received >= deliveries.publications * 7);
    }
}

#[test]
fn a_churn_whose_answer_never_comes() {
    let url = Liar::start(Lie::Silence).echo();
    let outcome = load(&format!(
        "churn {url} -c 4 -d 500ms --threads 2 --timeout 1s"
    ))
    .failed(&["deliveries never arrived"]);
    let deliveries = deliveries(&outcome);
    assert_eq!((deliveries.lost, deliveries.corrupt), (1, 0));
    assert_eq!(deliveries.expected, deliveries.received + 1);
    let connections = &outcome.connections;
    assert_eq!(connections.asked, connections.opened);
}

#[test]
fn messages_that_nobody_is_left_to_send() {
    // Its thread has no other connection, and must not wait for ever.
    let url = Liar::start(Lie::EndStream(20)).echo();
    let outcome = load(&format!("message {url} -c 2 -m 20000 --threads 2"))
        .failed(&["1 open connections were lost"]);
    let sent = outcome.messages.sent;
    assert!((10_000..20_000).contains(&sent), "{sent}");
}

#[test]
fn a_server_counts_less_than_was_sent() {
    // The messages go to one server and the count comes from another.
    let url = Liar::start(Lie::None).echo();
    let other = crate::support::Corecast::start();
    let stats = other.stats();
    let outcome = load(&format!("message {url} -c 4 -m 1000 --stats {stats}"))
        .failed(&["the server says it has received 0 of 1000 messages"]);
    assert_eq!(outcome.messages.confirmed, Some(0));
}
