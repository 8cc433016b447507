//! The doctor is right about half-open connections: without SYN cookies
//! net.ipv4.tcp_max_syn_backlog bounds them, with cookies it is not looked at.
//!
//! How: namespaces whose firewall drops the answer to a first packet, so that
//! connections stay half open, and the kernel's own count of those.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::walls::doctor::{Prediction, ask};
use crate::walls::namespace;
use crate::walls::server::listen;
use socket2::{Domain, Socket, Type};

const LIMIT: &str = "net.ipv4.tcp_max_syn_backlog";
const DROP_ANSWERS: &str = "iptables -A INPUT -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP
    sysctl -w net.ipv4.tcp_max_syn_backlog=8";

/// The doctor's prediction for the place, and how many of 100 connections the
/// kernel remembers half open.
fn half_open() -> (Prediction, u64) {
    let prediction = ask("--role server --shards 1 --connections 100", |_| {});
    let listener = listen(1_000);
    let port = listener.local_addr().unwrap().port();
    let target = SocketAddr::from(([127, 0, 0, 1], port));
    let clients: Vec<Socket> = (0..100)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // It cannot be done at once, which is an error of its own.
            let _ = socket.connect(&target.into());
            socket
        })
        .collect();
    // The first answers are sent again only after a second.
    thread::sleep(Duration::from_millis(200));
    let ours = format!("sport = :{port}");
    let mut list = Command::new("ss");
    list.args(["-H", "-t", "-n", "state", "syn-recv", &ours]);
    let listed = String::from_utf8(list.output().unwrap().stdout).unwrap();
    let count = listed.lines().count();
    drop(clients);
    (prediction, count as u64)
}

#[test]
fn without_cookies_the_backlog_bounds_them() {
    let test = "without_cookies_the_backlog_bounds_them";
    let prepare = format!("{DROP_ANSWERS}\nsysctl -w net.ipv4.tcp_syncookies=0");
    namespace::inside(test, &prepare, || {
        let (prediction, count) = half_open();
        assert_eq!(prediction.verdict(LIMIT), "slows");
        assert_eq!(prediction.burst(LIMIT), Some(count));
        assert!(count < 10, "{count}");
    });
}

#[test]
fn with_cookies_the_backlog_is_not_looked_at() {
    let test = "with_cookies_the_backlog_is_not_looked_at";
    namespace::inside(test, DROP_ANSWERS, || {
        let (prediction, count) = half_open();
        assert_eq!(prediction.verdict(LIMIT), "fits");
        assert_eq!((prediction.burst(LIMIT), count), (None, 100));
    });
}
