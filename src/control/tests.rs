//! The control plane as a client on a raw socket sees it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::metrics::{DropReason, EndReason, RefusalReason};
use crate::shutdown::Phase;

const LOOPBACK: &str = "127.0.0.1:0";

/// Two shards that have counted a little.
fn view() -> ServerView {
    let shards: Vec<_> = (0..2).map(|_| Arc::new(ShardMetrics::default())).collect();
    shards[0].sessions.set(3);
    shards[1].sessions.set(4);
    shards[0].opened.add(10);
    shards[0].accepted.add(9);
    shards[1].accepted.add(3);
    shards[0].accepted_on_own_core.add(8);
    shards[1].accepted_on_own_core.add(1);
    shards[1].messages_in.add(7);
    shards[1].bytes_in.add(700);
    shards[0].busy_nanos.add(1_500_000_000);
    shards[0].refuse(RefusalReason::NotFound);
    shards[1].end(EndReason::Idle);
    shards[1].end(EndReason::Idle);
    shards[0].end(EndReason::Idle);
    shards[1].peer_close_code(1001);
    shards[0].drop_deliveries(DropReason::SlowConsumer, 5);
    ServerView {
        info: ServerInfo {
            version: "1.2.3",
            driver: "epoll".to_owned(),
            steer: Steer::Cpu,
            shards: shards.len(),
            endpoints: vec![
                "127.0.0.1:8080".parse().unwrap(),
                "[::1]:81".parse().unwrap(),
            ],
            started: Instant::now(),
        },
        shards,
        lifecycle: Arc::new(Lifecycle::new()),
        #[cfg(feature = "api")]
        api: None,
    }
}

fn start(view: ServerView) -> ControlHandle {
    spawn(LOOPBACK.parse().unwrap(), view).unwrap()
}

fn connect(control: &ControlHandle) -> TcpStream {
    let stream = TcpStream::connect(control.local_addr()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// One request on a connection of its own: status, head and body.
fn ask(control: &ControlHandle, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = connect(control);
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

fn page(control: &ControlHandle, path: &str) -> (u16, String) {
    let (status, _, body) = ask(control, "GET", path);
    (status, body)
}

fn spawn_pages(address: SocketAddr, router: Router, limits: Limits) -> io::Result<ControlHandle> {
    let service = HttpService {
        name: "the control plane",
        listener: bind("the control plane", "--admin", address)?,
        router,
        limits,
    };
    let mut control = prepare(vec![service])?;
    control.begin();
    Ok(control)
}

#[test]
fn the_index_lists_pages_that_exist() {
    let view = view();
    view.lifecycle.set(Phase::Running);
    let control = start(view);
    let (status, index) = page(&control, "/");
    assert_eq!(status, 200);
    let paths: Vec<_> = index
        .lines()
        .filter(|line| line.starts_with('/'))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(paths.len(), 4);
    for path in paths {
        assert_eq!(page(&control, path).0, 200, "{path}");
    }
}

#[test]
fn another_path_is_404_with_a_hint_and_another_method_405() {
    let control = start(view());
    let (status, body) = page(&control, "/metric");
    assert_eq!(status, 404);
    assert!(body.contains("/ lists"), "{body}");
    assert_eq!(ask(&control, "POST", "/metrics").0, 405);
    let (status, _, body) = ask(&control, "HEAD", "/healthz");
    assert_eq!((status, body.as_str()), (200, ""));
}

#[test]
fn ready_means_running_and_healthy_means_alive() {
    let view = view();
    let lifecycle = Arc::clone(&view.lifecycle);
    let control = start(view);
    for (phase, status) in [
        (Phase::Starting, 503),
        (Phase::Running, 200),
        (Phase::Draining, 503),
        (Phase::Stopped, 503),
    ] {
        lifecycle.set(phase);
        assert_eq!(page(&control, "/readyz"), (status, format!("{phase}\n")));
        assert_eq!(page(&control, "/healthz").0, 200);
    }
}

/// Reads OpenMetrics text strictly enough to notice a malformed line, a sample
/// without its TYPE and HELP, and a sample that appears twice.
fn samples(text: &str) -> HashMap<String, f64> {
    let mut kinds = HashMap::new();
    let mut helped = Vec::new();
    let mut samples = HashMap::new();
    let body = text.strip_suffix("# EOF\n").expect("ends with EOF");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (word, name, rest) = (
                words.next().unwrap(),
                words.next().unwrap(),
                words.next().unwrap(),
            );
            match word {
                "TYPE" => assert!(kinds.insert(name, rest).is_none(), "{name} twice"),
                "HELP" => {
                    assert!(rest.ends_with('.'), "{line}");
                    helped.push(name);
                }
                "UNIT" => assert!(name.ends_with(rest), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let name = series.split('{').next().unwrap();
        let family = |suffix| {
            name.strip_suffix(suffix)
                .filter(|family| kinds.contains_key(family))
        };
        let family = family("_total").or(family("_info")).unwrap_or(name);
        let kind = *kinds.get(family).expect(line);
        assert!(helped.contains(&family), "{line}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        if let Some(labels) = series
            .strip_prefix(name)
            .filter(|labels| !labels.is_empty())
        {
            let labels = labels
                .strip_prefix('{')
                .and_then(|labels| labels.strip_suffix('}'))
                .expect(line);
            for label in labels.split(',') {
                let (_, value) = label.split_once('=').expect(line);
                assert!(value.starts_with('"') && value.ends_with('"'), "{line}");
            }
        }
        let value: f64 = value.parse().expect(line);
        assert!(
            samples.insert(series.to_owned(), value).is_none(),
            "{series} twice"
        );
    }
    samples
}

#[test]
fn metrics_are_open_metrics_text() {
    let view = view();
    view.lifecycle.set(Phase::Running);
    let control = start(view);
    let (status, head, text) = ask(&control, "GET", "/metrics");
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text"),
        "{head}"
    );
    let samples = samples(&text);
    for (series, value) in [
        ("corecast_sessions{shard=\"0\"}", 3.0),
        ("corecast_sessions{shard=\"1\"}", 4.0),
        ("corecast_opened_total{shard=\"0\"}", 10.0),
        ("corecast_received_bytes_total{shard=\"1\"}", 700.0),
        ("corecast_busy_seconds_total{shard=\"0\"}", 1.5),
        (
            "corecast_refused_total{shard=\"0\",reason=\"not_found\"}",
            1.0,
        ),
        (
            "corecast_sessions_ended_total{shard=\"1\",reason=\"idle\"}",
            2.0,
        ),
        ("corecast_peer_close_total{shard=\"1\",code=\"1001\"}", 1.0),
        (
            "corecast_dropped_total{shard=\"0\",reason=\"slow_consumer\"}",
            5.0,
        ),
        ("corecast_phase{phase=\"running\"}", 1.0),
        ("corecast_phase{phase=\"starting\"}", 0.0),
        (
            "corecast_build_info{version=\"1.2.3\",driver=\"epoll\"}",
            1.0,
        ),
        ("corecast_shards", 2.0),
        ("corecast_steering_info{by=\"cpu\"}", 1.0),
        ("corecast_fullest_shard_sessions", 4.0),
        ("corecast_emptiest_shard_sessions", 3.0),
        ("corecast_fullest_to_mean_ratio", 4.0 / 3.5),
        ("corecast_accepted_on_own_core_total{shard=\"0\"}", 8.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series} in\n{text}");
    }
    for series in [
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "corecast_uptime_seconds",
    ] {
        assert!(samples.contains_key(series), "{series} in\n{text}");
    }
}

#[test]
fn stats_are_totals_and_shards() {
    let view = view();
    let control = start(view);
    let (status, head, body) = ask(&control, "GET", "/stats");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"), "{head}");
    let stats: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(stats["phase"], "starting");
    assert_eq!(stats["version"], "1.2.3");
    assert_eq!(stats["driver"], "epoll");
    assert_eq!(stats["listen"], "127.0.0.1:8080");
    assert_eq!(stats["endpoints"][1], "[::1]:81");
    assert!(stats["uptime_seconds"].as_f64().unwrap() >= 0.0);
    assert!(stats["process"]["resident_memory_bytes"].as_u64().unwrap() > 0);
    assert_eq!(stats["total"]["sessions"], 7);
    assert_eq!(stats["total"]["ended"]["idle"], 3);
    assert_eq!(stats["total"]["peer_close"]["1001"], 1);
    assert_eq!(stats["shards"][1]["shard"], 1);
    assert_eq!(stats["shards"][1]["ended"]["idle"], 2);
    assert_eq!(stats["steer"], "cpu");
    let balance = &stats["balance"];
    assert_eq!(balance["fullest_sessions"], 4);
    assert_eq!(balance["emptiest_sessions"], 3);
    assert_eq!(balance["fullest_to_mean"], 4.0 / 3.5);
    assert_eq!(balance["accepted_on_own_core"], 0.75);
    assert_eq!(balance["busy"].as_array().unwrap().len(), 2);
    assert!(balance["busy"][0].as_f64().unwrap() > 0.0);
    assert_eq!(balance["busy"][1], 0.0);
    let total = stats["total"].as_object().unwrap();
    for key in [
        "messages_in",
        "messages_out",
        "bytes_in",
        "bytes_out",
        "publications",
        "deliveries",
        "dropped",
        "refused",
        "opened",
        "subscriptions",
        "topics",
    ] {
        assert!(total.contains_key(key), "{key}");
    }
}

#[test]
fn numbers_are_read_when_asked() {
    let view = view();
    let shard = Arc::clone(&view.shards[0]);
    let control = start(view);
    let series = "corecast_sessions{shard=\"0\"}";
    assert_eq!(samples(&page(&control, "/metrics").1)[series], 3.0);
    shard.sessions.set(30);
    assert_eq!(samples(&page(&control, "/metrics").1)[series], 30.0);
}

#[test]
fn hanging_and_vanishing_clients_block_nobody() {
    let control = start(view());
    let mut hanging: Vec<_> = (0..20).map(|_| connect(&control)).collect();
    for (index, stream) in hanging.iter_mut().enumerate() {
        let part: &[u8] = [
            &b""[..],
            b"GET /stats HT",
            b"\x16\x03\x01 not HTTP \r\n\r\n",
        ][index % 3];
        stream.write_all(part).unwrap();
    }
    hanging.truncate(10);
    for _ in 0..3 {
        assert_eq!(page(&control, "/healthz").0, 200);
    }
}

#[test]
fn a_page_that_panics_takes_its_own_connection_only() {
    let panicking = axum::routing::get(async || -> &'static str { panic!("as the test wants") });
    let router = pages::router(view()).route("/panic", panicking);
    let control = spawn_pages(LOOPBACK.parse().unwrap(), router, Limits::default()).unwrap();
    let mut stream = connect(&control);
    stream
        .write_all(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert_eq!(page(&control, "/healthz").0, 200);
}

#[test]
fn a_client_that_says_nothing_is_cut_off() {
    let limits = Limits {
        connections: 1,
        head: Duration::from_millis(100),
        ..Limits::default()
    };
    let control = spawn_pages(LOOPBACK.parse().unwrap(), pages::router(view()), limits).unwrap();
    let mut silent = connect(&control);
    silent.write_all(b"GET / HT").unwrap();
    // The only place is taken until the deadline; then this one is served.
    assert_eq!(page(&control, "/healthz").0, 200);
    let mut rest = Vec::new();
    // An answer of 408 or a plain end: either way the connection is over.
    let _ = silent.read_to_end(&mut rest);
}

#[test]
fn an_old_connection_is_closed() {
    let limits = Limits {
        age: Duration::from_millis(100),
        ..Limits::default()
    };
    let control = spawn_pages(LOOPBACK.parse().unwrap(), pages::router(view()), limits).unwrap();
    let mut idle = connect(&control);
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_busy_port_is_an_error_that_names_the_remedy() {
    let control = start(view());
    let address = control.local_addr();
    let message = spawn(address, view()).unwrap_err().to_string();
    assert!(
        message.contains(&address.to_string()) && message.contains("--admin"),
        "{message}"
    );
    assert!(message.contains("ss -ltnp"), "{message}");
}

#[test]
fn stopping_frees_the_port_though_clients_hang() {
    let control = start(view());
    let address = control.local_addr();
    let mut hanging = connect(&control);
    hanging.write_all(b"GET /stats HT").unwrap();
    control.stop();
    assert!(TcpStream::connect(address).is_err());
    assert!(matches!(hanging.read(&mut [0; 1]), Ok(0) | Err(_)));
}
