//! Ephemeral ports that are used up: one source address has as many
//! connections to one server as there are ports, and more addresses have more.
//!
//! How: a namespace with 100 ephemeral ports, and 150 connections.

use crate::walls::server::Corecast;
use crate::walls::{load, namespace};
use corecast_load::cause::Cause;

const HUNDRED_PORTS: &str = "sysctl -w net.ipv4.ip_local_port_range='40000 40099'";

/// Opens 150 connections and holds them for a moment.
fn connect(sources: &str) -> crate::walls::Run {
    let server = Corecast::start(|config| config);
    let url = server.url("/echo");
    load(&[
        "connect",
        &url,
        "-c",
        "150",
        "--hold",
        "300ms",
        "--sources",
        sources,
    ])
}

#[test]
fn one_source_is_used_up() {
    namespace::inside("one_source_is_used_up", HUNDRED_PORTS, || {
        let run = connect("127.0.0.1");
        let connections = &run.outcome().connections;
        // The connection that tried the server may hold a port still.
        assert!((95..=100).contains(&connections.opened), "{}", run.story());
        let failed = 150 - connections.opened;
        assert_eq!(connections.failed, [(Cause::PortsUsedUp, failed)].into());
        run.expect_failure(
            &[
                &format!("{failed} connections could not be opened because no local port was free"),
                "the ephemeral ports 40000–40099 are 40099 − 40000 + 1 = 100",
                "with 1 source address and 1 target makes at most 100 connections",
            ],
            &[
                "--sources 127.0.0.2-127.0.0.3",
                "net.ipv4.ip_local_port_range='1024 65535'",
            ],
        );
        assert!(run.outcome().resources.client_bound);
    });
}

#[test]
fn sources_of_its_own_choice_suffice() {
    namespace::inside("sources_of_its_own_choice_suffice", HUNDRED_PORTS, || {
        let run = connect("auto");
        run.expect_success();
        assert_eq!(run.outcome().connections.opened, 150);
    });
}

/// The remedy is tried.
#[test]
fn the_sources_that_the_remedy_names_suffice() {
    let test = "the_sources_that_the_remedy_names_suffice";
    namespace::inside(test, HUNDRED_PORTS, || {
        connect("127.0.0.2-127.0.0.3").expect_success();
    });
}
