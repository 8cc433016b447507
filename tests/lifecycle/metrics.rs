//! The control plane agrees with what happened: `/metrics` parses and its counters,
//! `/stats` and the clients' own counts are the same.
//!
//! How: a known amount of everything, then both pages.

use std::collections::BTreeMap;

use crate::support::client::{CLOSE, Client, FIN, PING, encode, request};
use crate::support::{Server, http, on_each_driver};

/// The samples of the Prometheus text format, by name and labels.
fn samples(server: &Server) -> BTreeMap<String, f64> {
    let response = http::get(server.admin, "/metrics");
    assert_eq!(response.status, 200);
    let text = response.text();
    assert!(text.ends_with("# EOF\n"), "not OpenMetrics to the end");
    let mut samples = BTreeMap::new();
    let mut types = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(
                types.insert(name.to_owned(), kind).is_none(),
                "{name} twice"
            );
        }
        if line.starts_with('#') {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let value: f64 = value
            .parse()
            .unwrap_or_else(|_| panic!("no number: {line}"));
        let plain = name.split('{').next().unwrap();
        let known = ["corecast_", "process_"];
        assert!(
            known.iter().any(|prefix| plain.starts_with(prefix)),
            "{line}"
        );
        let family = types
            .keys()
            .any(|family| plain.starts_with(family.as_str()));
        assert!(family, "no type for {line}");
        assert!(
            samples.insert(name.to_owned(), value).is_none(),
            "{name} twice"
        );
    }
    samples
}

/// The sum over the shards of all samples whose name and labels begin and go on so.
fn sum(samples: &BTreeMap<String, f64>, name: &str, label: &str) -> u64 {
    let matching = samples
        .iter()
        .filter(|(key, _)| key.split('{').next() == Some(name) && key.contains(label));
    let values: Vec<f64> = matching.map(|(_, value)| *value).collect();
    assert!(!values.is_empty(), "no {name} with {label}");
    values.iter().sum::<f64>() as u64
}

#[test]
fn the_counters_agree_with_what_happened() {
    on_each_driver(&["--shards", "2"], |server| {
        let mut echoes: Vec<_> = (0..4)
            .map(|_| Client::connect(server.address, "/echo"))
            .collect();
        let mut listeners: Vec<_> = (0..6)
            .map(|_| Client::connect(server.address, "/broadcast"))
            .collect();
        for client in &mut echoes {
            for _ in 0..10 {
                client.expect_echo("0123456789");
            }
        }
        for _ in 0..5 {
            listeners[0].send_text("0123456789");
            for listener in &mut listeners {
                assert_eq!(listener.read_text(), "0123456789");
            }
        }
        // A ping is no message.
        echoes[0].send(&encode(FIN | PING, true, b""));
        echoes[0].frame();
        http::get(server.address, "/");
        http::exchange(server.address, request("/nowhere").as_bytes());
        echoes.pop().unwrap().close();
        let mut faulty = echoes.pop().unwrap();
        faulty.send(&encode(FIN | 3, true, b""));
        assert_eq!(faulty.frame().opcode, CLOSE);
        drop(faulty);
        echoes.pop().unwrap().reset();
        let mut leaving = listeners.pop().unwrap();
        leaving.send_close(4321);
        leaving.frame();
        drop(leaving);
        server.wait_for("sessions", 6);
        server.wait_for("handshakes", 0);

        let samples = samples(server);
        let messages = 4 * 10 + 5;
        // Each message of ten bytes is 16 as a client sends it; then the ping
        // and its mask, and the two close frames. A faulty frame is 6.
        let bytes_in = messages * 16 + 6 + 8 + 8 + 6;
        let expected = [
            ("corecast_accepted_total", "", "accepted", 12),
            ("corecast_opened_total", "", "opened", 10),
            ("corecast_http_requests_total", "", "http_requests", 1),
            (
                "corecast_refused_total",
                r#"reason="not_found""#,
                "refused.not_found",
                1,
            ),
            ("corecast_refused_total", "", "", 1),
            ("corecast_sessions", "", "sessions", 6),
            ("corecast_handshakes", "", "handshakes", 0),
            ("corecast_messages_in_total", "", "messages_in", messages),
            ("corecast_messages_out_total", "", "messages_out", 40),
            ("corecast_publications_total", "", "publications", 5),
            ("corecast_deliveries_total", "", "deliveries", 30),
            (
                "corecast_pending_publications",
                "",
                "pending_publications",
                0,
            ),
            ("corecast_ring_received_total", "", "ring_received", 5),
            ("corecast_subscriptions", "", "subscriptions", 5),
            ("corecast_received_bytes_total", "", "bytes_in", bytes_in),
            ("corecast_sessions_ended_total", "", "", 4),
            (
                "corecast_sessions_ended_total",
                r#"reason="peer_closed""#,
                "ended.peer_closed",
                2,
            ),
            (
                "corecast_sessions_ended_total",
                r#"reason="protocol_error""#,
                "ended.protocol_error",
                1,
            ),
            (
                "corecast_sessions_ended_total",
                r#"reason="vanished""#,
                "ended.vanished",
                1,
            ),
            (
                "corecast_peer_close_total",
                r#"code="1000""#,
                "peer_close.1000",
                1,
            ),
            (
                "corecast_peer_close_total",
                r#"code="other""#,
                "peer_close.other",
                1,
            ),
            ("corecast_dropped_total", "", "", 0),
        ];
        for (name, label, key, value) in expected {
            assert_eq!(sum(&samples, name, label), value, "{name} {label}");
            if !key.is_empty() {
                assert_eq!(server.total(key), value, "{key}");
            }
        }
        assert_eq!(sum(&samples, "corecast_phase", r#"phase="running""#), 1);
        assert!(sum(&samples, "corecast_turns_total", r#"shard="1""#) > 0);
        assert!(server.total("bytes_out") > 30 * 12 + 40 * 12);
        let topics = server.per_shard("topics");
        assert!(topics.iter().sum::<u64>() >= 1 && topics.iter().all(|n| *n <= 1));
    });
}

#[test]
fn health_and_readiness() {
    let server = Server::start(&["--shards", "1"]);
    assert_eq!(http::get(server.admin, "/healthz").status, 200);
    assert_eq!(http::get(server.admin, "/readyz").status, 200);
    assert_eq!(http::get(server.admin, "/nowhere").status, 404);
    let stats = server.stats();
    assert_eq!(stats["listen"], server.address.to_string());
    assert_eq!(stats["phase"], "running");
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
}

/// A collector that asks for the older format gets it, with the same samples.
#[test]
fn a_collector_may_ask_for_plain_text() {
    let server = Server::start(&["--shards", "1"]);
    let request =
        "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAccept: text/plain\r\n\r\n";
    let response = http::exchange(server.admin, request.as_bytes());
    let kind = response.header("content-type").unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text();
    assert!(
        !text.contains("# EOF") && !text.contains("# UNIT"),
        "{text}"
    );
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let names = lines.map(|line| line.rsplit_once(' ').unwrap().0);
        names.map(str::to_owned).collect()
    };
    let usual = http::get(server.admin, "/metrics");
    assert_eq!(names(&text), names(&usual.text()));
    // Each sample is of the family above it, by the same name.
    let mut family = "";
    for line in text.lines() {
        if let Some(named) = line.strip_prefix("# TYPE ") {
            let (name, kind) = named.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            family = name;
        } else if !line.starts_with('#') {
            assert_eq!(line.split(['{', ' ']).next(), Some(family), "{line}");
        }
    }
}
