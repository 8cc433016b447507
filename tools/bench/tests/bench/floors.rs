//! Every kind of load against its floor, for a fraction of a second: shows
//! that the floors answer every byte, also under the check of whole contents,
//! and that the load counts rightly.
//!
//! The floors run as threads here, so nothing is said about speed.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

use corecast_bench::floor::Floor;
use corecast_bench::load::broadcast::Broadcast;
use corecast_bench::load::echo::Echo;
use corecast_bench::load::handshake::Handshakes;
use corecast_bench::load::idle::Idle;
use corecast_bench::load::part_load::PartLoad;
use corecast_bench::load::{Account, Peer, Protocol, Window};
use corecast_kit::address::free_address;

const WINDOW: Window = Window {
    warm_up: Duration::from_millis(50),
    measured: Duration::from_millis(200),
};

/// Starts `floor` on a free port; it ends with the test's process.
fn start(floor: Floor, unit_bytes: usize) -> Peer {
    let address = free_address().unwrap();
    let listener = Floor::listen(address).unwrap();
    thread::spawn(move || floor.serve(listener, unit_bytes));
    Peer::new(address, Protocol::Raw)
}

fn echo(floor: Floor, connections: usize, outstanding: usize, payload_bytes: usize) {
    let echo = Echo {
        connections,
        outstanding,
        payload_bytes,
    };
    let sample = echo
        .measure(&start(floor, 1), WINDOW, Account::default())
        .unwrap();
    assert!(sample.messages > 0);
    assert!(sample.seconds >= 0.2);
    assert_eq!(sample.server_micros(), None);
}

#[test]
fn small_messages_on_epoll() {
    echo(Floor::Epoll, 300, 1, 20);
}

#[test]
fn a_part_of_the_highest_rate() {
    let echo = Echo {
        connections: 10,
        outstanding: 1,
        payload_bytes: 20,
    };
    let peer = start(Floor::Epoll, 1);
    let highest = echo.measure(&peer, WINDOW, Account::default()).unwrap();
    let part = PartLoad { echo, share: 0.1 };
    let sample = part.measure(&peer, WINDOW, Account::default).unwrap();
    assert!(sample.messages > 0);
    let rates = (sample.rate(), highest.rate());
    assert!(rates.0 < rates.1 / 2.0, "{rates:?}");
}

#[test]
fn pipelined_messages_on_io_uring() {
    echo(Floor::Uring, 100, 16, 20);
    echo(Floor::UringQueued, 100, 16, 20);
}

#[test]
fn messages_larger_than_any_buffer_on_all() {
    echo(Floor::Epoll, 4, 4, 1_000_000);
    echo(Floor::Uring, 4, 4, 1_000_000);
    echo(Floor::UringQueued, 4, 4, 1_000_000);
}

#[test]
fn broadcast_to_all_subscribers() {
    for outstanding in [1, 16] {
        let broadcast = Broadcast {
            subscribers: 200,
            outstanding,
            payload_bytes: 20,
        };
        let somewhere = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        let unit_bytes = broadcast.unit_bytes(&Peer::new(somewhere, Protocol::Raw));
        assert_eq!(unit_bytes, 2 + 4 + 20);
        let peer = start(Floor::Sendloop, unit_bytes);
        let sample = broadcast
            .measure(&peer, WINDOW, Account::default())
            .unwrap();
        assert!(sample.messages >= 200);
    }
}

#[test]
fn handshakes_with_the_canned_response() {
    let peer = start(Floor::Accept, 1);
    let sample = Handshakes { in_flight: 16 }
        .measure(&peer, WINDOW, Account::default())
        .unwrap();
    assert!(sample.messages > 0);
}

#[test]
fn idle_connections_are_charged() {
    let idle = Idle {
        warm_up_sessions: 10,
        sessions: 300,
    };
    let own_process = std::process::id();
    let sample = idle.measure(&start(Floor::Epoll, 1), own_process).unwrap();
    // Other tests share this process and this kernel, so only the order of
    // magnitude is certain.
    assert!(sample.resident_bytes.abs() < 1e6);
    assert!(sample.kernel_bytes.is_finite());
}

#[test]
fn a_floor_that_answers_something_else_is_found_out() {
    // The handshake floor closes on anything that is not a request.
    let echo = Echo {
        connections: 1,
        outstanding: 1,
        payload_bytes: 20,
    };
    let wrong = echo.measure(&start(Floor::Accept, 1), WINDOW, Account::default());
    assert!(wrong.unwrap_err().to_string().contains("closed"));
}
