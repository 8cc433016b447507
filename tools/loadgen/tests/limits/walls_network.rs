//! The faults of a network: queues that overflow, packets that vanish, routes
//! that lead nowhere.
//!
//! How: namespaces whose routes change between the generator's first try and
//! the run, and a listener that stops accepting.

use std::time::Duration;

use crate::walls::namespace::{inside, shell};
use crate::walls::server::{behaving, discard, listen, shake_hands, url};
use crate::walls::{Run, load};
use corecast_load::cause::Cause;
use corecast_load::outcome::Severity;

/// A device with an address that is not the loopback's. A packet that leaves it
/// for a neighbour has an address without an owner, and is dropped at the other
/// end of the cable.
const DEVICE: &str = "ip link add near type veth peer name far
    ip link set near up
    ip link set far up
    ip address add 10.99.0.1/24 dev near
    ip neighbour add 10.99.0.3 lladdr 02:00:00:00:00:03 nud permanent dev near";

/// Opens ten connections to 10.99.0.1, whose route is changed by `command`
/// once the generator has seen that the server is there.
fn connect_while(command: &'static str) -> Run {
    let url = behaving(move |number, mut stream| {
        // The generator waits for the end of its first connection.
        if number == 0 && shake_hands(&mut stream).is_ok() {
            shell(command);
        }
    });
    let url = url.replace("127.0.0.1", "10.99.0.1");
    load(&[
        "connect",
        &url,
        "-c",
        "10",
        "--hold",
        "300ms",
        "--timeout",
        "1500ms",
    ])
}

#[test]
fn an_accept_queue_that_is_full() {
    inside("an_accept_queue_that_is_full", "true", || {
        let listener = listen(1);
        let url = url(&listener);
        std::thread::spawn(move || {
            let first = listener.accept().map(|(stream, _)| discard(stream));
            drop(first);
            std::thread::sleep(Duration::from_secs(60));
        });
        let run = load(&[
            "connect",
            &url,
            "-c",
            "20",
            "--hold",
            "300ms",
            "--timeout",
            "2s",
        ]);
        let connections = &run.outcome().connections;
        assert_eq!((connections.opened, connections.failures()), (0, 20));
        assert!(connections.failed.contains_key(&Cause::ConnectTimeout));
        run.expect_failure(
            &[
                "20 connections could not be opened because",
                "accepted more slowly than connections came",
                "full accept queue (net.core.somaxconn is ",
            ],
            &["net.core.somaxconn=65535", "backlog"],
        );
    });
}

#[test]
fn a_route_that_is_gone() {
    inside("a_route_that_is_gone", DEVICE, || {
        let run = connect_while("ip link delete near");
        assert_eq!(
            run.outcome().connections.failed,
            [(Cause::Unreachable, 10)].into()
        );
        run.expect_failure(&["10 connections", "cannot be reached"], &["ip route get"]);
    });
}

#[test]
fn a_route_that_is_a_blackhole() {
    inside("a_route_that_is_a_blackhole", DEVICE, || {
        let run = connect_while("ip address flush dev near && ip route add blackhole 10.99.0.0/16");
        assert_eq!(
            run.outcome().connections.failed,
            [(Cause::Unreachable, 10)].into()
        );
        run.expect_failure(&["10 connections", "cannot be reached"], &["ip route get"]);
    });
}

#[test]
fn a_route_that_is_prohibited() {
    inside("a_route_that_is_prohibited", DEVICE, || {
        let run = connect_while("ip address flush dev near && ip route add prohibit 10.99.0.0/16");
        assert_eq!(
            run.outcome().connections.failed,
            [(Cause::Forbidden, 10)].into()
        );
        run.expect_failure(&["10 connections", "EACCES"], &["ip route get"]);
    });
}

/// The server's address moves to a device that drops every packet.
#[test]
fn packets_that_vanish() {
    inside("packets_that_vanish", DEVICE, || {
        let run = connect_while(
            "ip address flush dev near && ip address add 10.99.0.2/24 dev near && \
 ip neighbour add 10.99.0.1 lladdr 02:00:00:00:00:01 nud permanent dev near",
        );
        assert_eq!(
            run.outcome().connections.failed,
            [(Cause::ConnectTimeout, 10)].into()
        );
        run.expect_failure(
            &[
                "10 connections",
                "did not answer a first packet",
                "10 first packets had to be sent again",
            ],
            &["firewall", "more slowly"],
        );
        assert!(run.findings(Severity::Note).is_empty(), "{}", run.story());
    });
}

/// Before a run, one connection tries the server.
#[test]
fn nothing_to_measure_is_said_before_the_run() {
    let routes = "ip route add blackhole 10.98.0.0/16
        ip route add prohibit 10.97.0.0/16
        ip route add unreachable 10.96.0.0/16";
    let test = "nothing_to_measure_is_said_before_the_run";
    inside(test, &format!("{DEVICE}\n{routes}"), || {
        let no_way = ["there is no way from here to", "ip route get"];
        for (address, words) in [
            ("192.0.2.1", &no_way[..]),
            ("10.98.0.1", &no_way),
            ("10.96.0.1", &no_way),
            ("10.97.0.1", &["forbids", "ip route get 10.97.0.1"]),
            (
                "10.99.0.2",
                &["did not accept a connection within 500ms", "firewall"],
            ),
        ] {
            let url = format!("ws://{address}:8080/");
            load(&["connect", &url, "--timeout", "500ms"]).expect_unusable(words);
        }
    });
}
