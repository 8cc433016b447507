//! The live page as a client on a raw socket sees it.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::report::read_json;
use crate::report::sample::{empty_outcome, sample_outcome};

fn start() -> LivePage {
    LivePage::start("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// One request on a connection of its own: head and body.
fn ask(live: &LivePage, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(live.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[test]
fn before_the_first_outcome_every_path_answers() {
    let live = start();
    assert!(ask(&live, "/healthz").0.starts_with("http/1.1 200"));
    assert!(ask(&live, "/").1.contains("Nothing has been measured yet"));
    assert!(ask(&live, "/outcome.json").0.starts_with("http/1.1 503"));
    assert!(ask(&live, "/other").0.starts_with("http/1.1 404"));
}

#[test]
fn a_newly_published_outcome_is_shown() {
    let live = start();
    live.publish(&empty_outcome());
    let (head, page) = ask(&live, "/");
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(page.contains("data-version=\"1\"") && !page.contains("19,960"));
    assert!(ask(&live, "/part?seen=1").0.starts_with("http/1.1 204"));

    live.publish(&sample_outcome());
    let (head, part) = ask(&live, "/part?seen=1");
    assert!(head.contains("x-version: 2") && head.contains("x-finished: no"));
    assert!(part.starts_with("<main>") && part.contains("19,960"));
    assert!(part.contains("id=\"latency-echo\""));
    let (head, json) = ask(&live, "/outcome.json");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(read_json(&json).unwrap().connections.opened, 19_960);
}

#[test]
fn the_end_is_shown_and_then_the_port_is_free() {
    let live = start();
    live.publish(&empty_outcome());
    assert!(!ask(&live, "/part").1.contains("passed"));
    live.finish();
    let (head, part) = ask(&live, "/part?seen=1");
    assert!(head.contains("x-finished: yes") && part.contains("passed"));
    let address = live.address();
    drop(live);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_page_loads_nothing_from_elsewhere() {
    let live = start();
    live.publish(&sample_outcome());
    let (_, page) = ask(&live, "/");
    for outside in ["http://", "https://", "src=", "href="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_busy_port_is_named_with_what_to_do() {
    let live = start();
    let error = LivePage::start(live.address()).unwrap_err().to_string();
    assert!(error.contains(&live.address().to_string()), "{error}");
    assert!(error.contains("ss -ltnp"), "{error}");
}

#[test]
fn it_stops_at_once_when_nobody_watches() {
    let live = start();
    live.publish(&sample_outcome());
    let start = std::time::Instant::now();
    drop(live);
    assert!(start.elapsed() < FAREWELL);
}
