//! `--drain-delay`: after SIGTERM health checks fail on both ports, while new
//! connections are served as before and no session is closed; then the drain begins. A
//! second signal ends the time before it.
//!
//! How: signals to the real process, probes and clients at each step, and a real HAProxy,
//! which sends its clients elsewhere before the listener closes.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::haproxy::Haproxy;
use crate::support::{Server, http, on_each_driver, wait_until};

const OPTIONS: [&str; 4] = ["--shards", "2", "--drain-timeout", "0s"];

fn refuses(server: &Server) -> bool {
    matches!(TcpStream::connect(server.address), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn an_unready_server_serves_until_the_delay_is_over() {
    let options = [&OPTIONS[..], &["--drain-delay", "2s"]].concat();
    on_each_driver(&options, |server| {
        let mut client = Client::connect(server.address, "/echo");
        assert_eq!(http::get(server.address, "/healthz").status, 200);
        let began = Instant::now();
        server.signal(libc::SIGTERM);
        wait_until("readiness is lost", || {
            http::get(server.admin, "/readyz").status == 503
        });
        assert_eq!(http::get(server.admin, "/readyz").text(), "unready\n");
        assert_eq!(http::get(server.admin, "/healthz").status, 200);
        let health = http::get(server.address, "/healthz");
        assert_eq!((health.status, &*health.text()), (503, "draining\n"));
        let head = http::exchange(server.address, b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(head.status, 503);
        assert_eq!(server.stats()["phase"], "unready");

        client.expect_echo("as before");
        let mut late = Client::connect(server.address, "/echo");
        late.expect_echo("new ones, too");
        assert!(began.elapsed() < Duration::from_secs(2), "a slow machine");
        for client in [&mut client, &mut late] {
            assert_eq!(client.frame().close_code(), 1001);
            client.send_close(1001);
        }
        let waited = began.elapsed();
        assert!(waited >= Duration::from_millis(1_950), "{waited:?}");
        wait_until("the listener is closed", || refuses(server));
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(server.log().contains("unready for 2s"), "{}", server.log());
    });
}

#[test]
fn a_second_signal_does_not_wait() {
    let options = [&OPTIONS[..], &["--drain-delay", "1h"]].concat();
    on_each_driver(&options, |server| {
        let mut client = Client::connect(server.address, "/echo");
        server.signal(libc::SIGTERM);
        wait_until("it is unready", || server.stats()["phase"] == "unready");
        server.signal(libc::SIGTERM);
        assert_eq!(client.frame().close_code(), 1001);
        client.send_close(1001);
        assert_eq!(server.exit_status().code(), Some(0));
    });
}

/// No probe is told anything without a delay either: a connection that was accepted
/// before the listener closed hears that the server drains.
#[test]
fn a_draining_server_is_not_healthy() {
    let options = ["--shards", "1", "--drain-timeout", "1h"];
    on_each_driver(&options, |server| {
        let _session = Client::connect(server.address, "/echo");
        let mut probe = Client::open(server.address);
        server.wait_for("handshakes", 1);
        server.signal(libc::SIGTERM);
        wait_until("it drains", || server.stats()["phase"] == "draining");
        probe.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut probe.stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    });
}

#[test]
fn haproxy_sees_it_before_the_listener_closes() {
    if !Haproxy::is_there("haproxy_sees_it_before_the_listener_closes") {
        return;
    }
    let options = [&OPTIONS[..], &["--drain-delay", "1h"]].concat();
    let (leaving, staying) = (Server::start(&options), Server::start(&OPTIONS));
    let proxy = Haproxy::start(&format!(
        "mode http\n stats enable\n stats uri /stats\n option httpchk GET /healthz\n \
         server a {} check inter 50ms fall 1\n server b {} check inter 50ms fall 1",
        leaving.address, staying.address
    ));
    let status = |name: &str| {
        let table = http::get(proxy.address, "/stats;csv").text();
        let row = table
            .lines()
            .find(|line| line.starts_with(&format!("websocket,{name},")))
            .expect("a row of the server");
        row.to_owned()
    };
    wait_until("both are up", || {
        status("a").contains(",L7OK,") && status("b").contains(",L7OK,")
    });
    leaving.signal(libc::SIGTERM);
    wait_until("one is out", || status("a").contains(",DOWN,"));
    let before = staying.total("opened");
    for _ in 0..4 {
        Client::connect(proxy.address, "/echo").expect_echo("by the other");
    }
    assert_eq!(staying.total("opened"), before + 4);
    assert!(!refuses(&leaving));
}
