//! The files that a run leaves, and its output on the way.
//!
//! How: a run writes every kind of file, which are then read with the readers
//! their users have; another is watched through its live page.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::run::{Going, load};
use crate::support::{Corecast, wait_until};
use corecast_load::report::read_json;

#[test]
fn the_table_says_what_was_measured() {
    let server = Corecast::start();
    let url = server.url("/echo");
    let run = load(&format!("echo {url} -c 4 -d 300ms --warm-up 0s"));
    for words in ["echo against ws://127.0.0.1:", "Echo round trip", "passed"] {
        assert!(run.stdout.contains(words), "{run}");
    }
    for phase in ["opening connections", "measuring", "closing connections"] {
        assert!(run.stderr.contains(phase), "{run}");
    }
    run.passed();
    let quiet = load(&format!("connect {url} -c 4 --hold 10ms --quiet"));
    assert_eq!(quiet.stderr, "");
    quiet.passed();
}

#[test]
fn the_csv_has_a_row_for_each_interval() {
    let server = Corecast::start();
    let folder = tempfile::tempdir().unwrap();
    let (url, file) = (server.url("/echo"), folder.path().join("series.csv"));
    let arguments = format!(
        "echo {url} -c 4 -d 1s --warm-up 0s --csv {}",
        file.display()
    );
    let outcome = load(&arguments).passed();
    let mut reader = csv::Reader::from_path(&file).unwrap();
    let columns = reader.headers().unwrap().clone();
    let column = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), outcome.series.len());
    assert!(rows.len() >= 4, "one each quarter of a second");
    let sum = |name: &str| -> f64 {
        let (rate, seconds) = (column(name), column("interval_seconds"));
        let number = |row: &csv::StringRecord, at: usize| row[at].parse::<f64>().unwrap();
        rows.iter()
            .map(|row| number(row, rate) * number(row, seconds))
            .sum()
    };
    assert_eq!(sum("opened_per_second").round(), 4.0);
    assert_eq!(sum("sent_per_second").round(), outcome.messages.sent as f64);
    let timed = column("echo_p99_us");
    assert!(
        rows.iter()
            .any(|row| row[timed].parse::<u64>().is_ok_and(|us| us > 0))
    );
}

#[test]
fn the_page_is_one_file_with_charts() {
    let server = Corecast::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    // The former contents are replaced, also if they were longer.
    fs::write(&file, "yesterday ".repeat(1 << 20)).unwrap();
    let page = file.display();
    for (scenario, path, title) in [
        (
            "echo -c 4 -d 600ms --warm-up 0s",
            "/echo",
            "Echo round trip",
        ),
        (
            "broadcast -s 4 -d 600ms --warm-up 0s",
            "/broadcast",
            "Last subscriber",
        ),
        ("connect -c 20 --hold 600ms", "/echo", "Opening handshake"),
    ] {
        let url = server.url(path);
        load(&format!("{scenario} {url} --report {page}")).passed();
        let html = fs::read_to_string(&file).unwrap();
        assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"));
        assert!(!html.contains("yesterday"));
        assert!(
            html.contains(title) && html.contains("passed"),
            "{scenario}"
        );
        assert!(
            html.matches("<figure").count() >= 3 && html.contains("<svg"),
            "{scenario}"
        );
        for outside in ["<script", "<link", " src=", "@import", "url(http"] {
            assert!(!html.contains(outside), "{scenario}: {outside}");
        }
    }
}

/// A page of the run's own server.
fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}

#[test]
fn the_live_page_follows_the_run() {
    let server = Corecast::start();
    let url = server.url("/echo");
    let mut run = Going::start(&format!(
        "echo {url} -c 4 --rate 100 -d 10m --live 127.0.0.1:0"
    ));
    run.expect_said("live page at http://");
    let said = run.stderr();
    let (_, rest) = said.split_once("live page at http://").unwrap();
    let address = rest.split('/').next().unwrap();
    let sent = || {
        let json = get(address, "/outcome.json")?;
        Some(read_json(&json).expect("an outcome").messages.sent)
    };
    wait_until("something was sent", || sent().is_some_and(|sent| sent > 0));
    let before = sent().unwrap();
    wait_until("more was sent", || sent().is_some_and(|sent| sent > before));
    let html = get(address, "/").expect("a page");
    assert!(html.contains("<svg") && html.contains("class=\"verdict running\""));
    run.signal(libc::SIGINT);
    let run = run.end();
    assert_eq!(run.code, 0, "{run}");
}
