//! The doctor is right about the firewall's table: where connections are
//! tracked it names the table and the number of connections at which packets of
//! new ones are dropped.
//!
//! How: a namespace whose firewall tracks connections. The size of the table is
//! the whole host's, so the test sets it, for some seconds, only where
//! `CORECAST_TEST_HOST_SETTINGS` says that the host has no other user.

use std::fs;

use crate::walls::doctor::{ask, expect_near};
use crate::walls::server::Corecast;
use crate::walls::{load, namespace, skip};
use corecast_load::cause::Cause;

const TRACKED: &str = "iptables -A INPUT -m conntrack --ctstate INVALID -j DROP";
const LIMIT: &str = "net.netfilter.nf_conntrack_max";
const TABLE: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const ALLOWED: &str = "CORECAST_TEST_HOST_SETTINGS";

/// The host's table with another size, until it is dropped.
struct Table(String);

impl Table {
    fn of(size: &str) -> Option<Table> {
        let before = fs::read_to_string(TABLE).ok()?;
        fs::write(TABLE, size).ok()?;
        Some(Table(before))
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        fs::write(TABLE, &self.0).unwrap();
    }
}

#[test]
fn a_full_table_keeps_out_what_the_doctor_said() {
    let test = "a_full_table_keeps_out_what_the_doctor_said";
    if std::env::var_os(ALLOWED).is_none() {
        return skip(
            test,
            &format!("it sets {LIMIT} of the host; {ALLOWED}=1 allows it"),
        );
    }
    // The namespace's process is told by the file that it cannot write.
    let outside = Table::of("400");
    if outside.is_none() && fs::read_to_string(TABLE).is_ok_and(|size| size.trim() != "400") {
        return skip(test, "the table's size cannot be set");
    }
    namespace::inside(test, TRACKED, || {
        let prediction = ask("--role both --shards 1 --connections 1000", |_| {});
        assert!(!prediction.fits());
        let (limit, predicted) = prediction.wall();
        assert_eq!(limit, LIMIT, "{prediction:#?}");

        let server = Corecast::start(|config| config);
        let url = server.url("/echo");
        let words = ["connect", &url, "-c", "1000", "--hold", "300ms"];
        let run = load(&[&words[..], &["--timeout", "2s"]].concat());
        let connections = &run.outcome().connections;
        let failed = 1_000 - connections.opened;
        assert_eq!(connections.failed, [(Cause::ConnectTimeout, failed)].into());
        run.expect_failure(&["firewall tracked 400 of at most 400"], &[LIMIT]);
        expect_near(connections.opened, predicted);
    });
}
