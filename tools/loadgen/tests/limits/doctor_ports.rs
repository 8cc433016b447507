//! The doctor is right about ephemeral ports: it names the range and the number
//! of connections at which a run then stops.
//!
//! How: a namespace with 100 ports, one and three source addresses, and more
//! connections than they can make.

use crate::walls::doctor::{ask, expect_near};
use crate::walls::server::Corecast;
use crate::walls::{Run, load, namespace};
use corecast_load::cause::Cause;

const HUNDRED_PORTS: &str = "sysctl -w net.ipv4.ip_local_port_range='40000 40099'";
const LIMIT: &str = "net.ipv4.ip_local_port_range";

fn connect(count: u64, sources: &str) -> Run {
    let server = Corecast::start(|config| config);
    let (url, count) = (server.url("/echo"), count.to_string());
    let words = ["connect", &url, "-c", &count, "--hold", "300ms"];
    load(&[&words[..], &["--sources", sources]].concat())
}

#[track_caller]
fn as_predicted(sources: u64, addresses: &str) {
    let asked = format!("--role both --shards 1 --connections 500 --sources {sources}");
    let prediction = ask(&asked, |_| {});
    assert!(!prediction.fits());
    let (limit, predicted) = prediction.wall();
    assert_eq!((limit, predicted), (LIMIT, 100 * sources));

    let run = connect(500, addresses);
    let connections = &run.outcome().connections;
    // The connection that tried the server may hold a port still.
    expect_near(connections.opened, predicted);
    let failed = 500 - connections.opened;
    assert_eq!(connections.failed, [(Cause::PortsUsedUp, failed)].into());
    let makes = format!("makes at most {predicted} connections");
    run.expect_failure(&["ephemeral ports", &makes], &[LIMIT]);
}

#[test]
fn one_source() {
    namespace::inside("one_source", HUNDRED_PORTS, || as_predicted(1, "127.0.0.1"));
}

#[test]
fn three_sources() {
    namespace::inside("three_sources", HUNDRED_PORTS, || {
        as_predicted(3, "127.0.0.1-127.0.0.3");
    });
}

/// A number of connections that fits, says the doctor, does fit.
#[test]
fn what_fits_is_opened() {
    namespace::inside("what_fits_is_opened", HUNDRED_PORTS, || {
        let prediction = ask("--role both --shards 1 --connections 90", |_| {});
        assert!(prediction.fits(), "{prediction:#?}");
        connect(90, "127.0.0.1").expect_success();
    });
}
