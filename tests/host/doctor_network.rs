//! Doctor is right about ports, queues and the firewall's table: where the range
//! has 100 ports, the hundred and first connection fails as it said, where a
//! queue holds 8, nine wait in it, and the table is a wall once a rule tracks
//! connections.
//!
//! How: a network namespace of each test's own, with lowered kernel parameters;
//! doctor runs in it, and then this test runs into the wall.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::doctor::Report;
use crate::support::fault::own_network;
use crate::support::skip;

/// Runs a test on a thread with a network of its own, in which these kernel
/// parameters were set.
fn inside(what: &str, parameters: &[(&str, &str)], test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            if let Err(error) = own_network() {
                return skip(what, &format!("no network of its own: {error}"));
            }
            for (file, value) in parameters {
                fs::write(format!("/proc/sys/net/{file}"), value).unwrap();
            }
            test();
        });
        if let Err(panic) = inside.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn a_hundred_ports_make_a_hundred_connections() {
    let range = [("ipv4/ip_local_port_range", "40000 40099")];
    inside("100 ports", &range, || {
        let ask = |words: &[&str]| {
            Report::ask(&[&["--role=client", "--connections=150"], words].concat())
        };
        let report = ask(&[]);
        assert_eq!(report.code, 1);
        let wall = ("net.ipv4.ip_local_port_range".to_owned(), 100);
        assert_eq!(report.wall(), wall);
        let fix = &report.check("net.ipv4.ip_local_port_range")["fix"];
        assert_eq!(
            fix["now"],
            "sysctl -w 'net.ipv4.ip_local_port_range=1024 65535'"
        );
        assert_eq!(
            fix["for_good"]["file"],
            "/etc/sysctl.d/40-corecast-ports.conf"
        );
        let more = ask(&["--sources=4"]);
        let check = more.check("net.ipv4.ip_local_port_range");
        assert_eq!(check["verdict"], "fits", "{check}");
        assert_eq!(check["stops"]["at"], 400);
        let server = Report::ask(&["--pid=none", "--connections=150"]);
        let check = server.check("net.ipv4.ip_local_port_range");
        assert_eq!(
            (&check["verdict"], &check["stops"]["what"]),
            (&"fits".into(), &"nothing".into())
        );

        let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        let error = loop {
            match TcpStream::connect(address) {
                Ok(stream) => held.push((stream, listener.accept().unwrap())),
                Err(error) => break error,
            }
            assert!(held.len() <= 150, "more connections than ports");
        };
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        assert_eq!(held.len(), 100);
    });
}

#[test]
fn reserved_ports_are_not_given_out() {
    let parameters = [
        ("ipv4/ip_local_port_range", "40000 40099"),
        ("ipv4/ip_local_reserved_ports", "40000-40059"),
    ];
    inside("reserved ports", &parameters, || {
        let report = Report::ask(&["--role=client", "--connections=50"]);
        assert_eq!(report.wall().1, 40);
    });
}

#[test]
fn a_queue_of_eight_holds_nine() {
    inside("a queue of 8", &[("core/somaxconn", "8")], || {
        let report = Report::ask(&["--pid=none", "--shards=1", "--connections=1k"]);
        let check = report.check("net.core.somaxconn");
        assert_eq!(
            (&check["value"], &check["needed"]),
            (&8.into(), &1_000.into())
        );
        assert_eq!(check["verdict"], "slows");
        assert_eq!(
            (&check["stops"]["what"], &check["stops"]["at"]),
            (&"burst".into(), &9.into())
        );
        assert_eq!(check["fix"]["now"], "sysctl -w net.core.somaxconn=1000");

        // A listener as the server's, on which no process accepts.
        let socket = corecast::sys::bind_shared("127.0.0.1:0".parse().unwrap()).unwrap();
        corecast::sys::listen(&socket, 65_535).unwrap();
        let listener: std::net::TcpListener = socket.into();
        let address: SocketAddr = listener.local_addr().unwrap();
        let waiting: Vec<TcpStream> = (0..20)
            .map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok())
            .collect();
        assert_eq!(waiting.len(), 9);
    });
}

#[test]
fn a_table_of_connections_counts_once_connections_are_tracked() {
    const RULE: &str = "add table inet t
        add chain inet t c { type filter hook input priority 0; }
        add rule inet t c ct state invalid drop";
    inside("a firewall that tracks", &[], || {
        let ask = || Report::ask(&["--pid=none", "--connections=1"]);
        let untracked = ask();
        let check = untracked.check("net.netfilter.nf_conntrack_max");
        assert_eq!(check["stops"]["what"], "nothing", "{check}");
        // Its trial connections left nothing behind. `/proc/net` is that of the main
        // thread.
        let sockets = fs::read_to_string("/proc/thread-self/net/sockstat").unwrap();
        assert!(sockets.contains(" tw 0 "), "{sockets}");
        let nft = Command::new("nft").arg(RULE).output();
        if !nft.is_ok_and(|nft| nft.status.success()) {
            return skip("a firewall that tracks", "no nft, or a kernel without it");
        }
        let tracked = ask();
        let check = tracked.check("net.netfilter.nf_conntrack_max");
        assert_eq!(check["stops"]["what"], "connections", "{check}");
        let others = check["needed"].as_u64().unwrap() - 1;
        let reach = check["value"].as_u64().unwrap() - others;
        assert_eq!(check["stops"]["at"], reach);
    });
}
