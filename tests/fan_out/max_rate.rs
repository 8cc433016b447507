//! A topic with `max_rate` passes the newest publication on at each tick, to everyone.
//!
//! How: a raw client publishes numbers as fast as it can for half a second and more; raw
//! and Phoenix subscribers note what they get and when.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::phoenix::{connect, hear, join};
use crate::support::{Server, corecast, wait_until};
use serde_json::json;
use tempfile::TempDir;

const PER_SECOND: usize = 20;

fn configured(rules: &str) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corecast.toml");
    fs::write(&file, rules).unwrap();
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--route", "/topics/{topic}=topics", "--shards", "2"])
        .args(["--route", "/socket/websocket=phoenix", "--config"])
        .arg(&file);
    (Server::spawn(&mut command), folder)
}

/// Publishes numbers for so long, and returns how many.
fn publish(publisher: &mut Client, time: Duration) -> usize {
    let since = Instant::now();
    let mut sent = 0;
    while since.elapsed() < time || sent < 200 {
        publisher.send_text(&sent.to_string());
        sent += 1;
        std::thread::sleep(Duration::from_micros(500));
    }
    sent
}

#[test]
fn the_newest_leaves_at_each_tick() {
    let rules = format!(
        "[[topics]]\npattern = 'ticks'\nmax_rate = {PER_SECOND}\necho = false\n\
         [[topics]]\npattern = '*'\n"
    );
    let (server, folder) = configured(&rules);
    let mut publisher = Client::connect(server.address, "/topics/ticks");
    let mut raw: Vec<_> = (0..6)
        .map(|_| Client::connect(server.address, "/topics/ticks"))
        .collect();
    let phoenix = &mut connect(server.address);
    join(phoenix, "ticks");

    let since = Instant::now();
    let sent = publish(&mut publisher, Duration::from_millis(500));
    let mut heard = Vec::new();
    for raw in &mut raw {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&(sent - 1)) {
            numbers.push(raw.read_text().parse::<usize>().unwrap());
        }
        heard.push(numbers);
    }
    // The first at once, and one for each tick since then.
    let most = 2 + since.elapsed().as_millis() as usize * PER_SECOND / 1_000;
    for numbers in &heard {
        assert_eq!(numbers[0], 0);
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(
            numbers.len() <= most,
            "{} of {sent}, at most {most}",
            numbers.len()
        );
        assert!(
            numbers.len() > 3,
            "it goes on while more comes: {numbers:?}"
        );
    }
    let mut last = hear(phoenix);
    while last[4] != json!(sent - 1) {
        last = hear(phoenix);
    }
    assert!(server.total("resampled_publications") as usize > sent / 2);

    // Another topic is as fast as ever, and so is this one without the rule.
    let mut other = Client::connect(server.address, "/topics/other");
    for number in 0..100 {
        other.send_text(&number.to_string());
    }
    for number in 0..100 {
        assert_eq!(other.read_text(), number.to_string());
    }
    fs::write(folder.path().join("corecast.toml"), "").unwrap();
    server.signal(libc::SIGHUP);
    wait_until("the rules count", || {
        server.log().contains("topics is as configured")
    });
    let mut fresh = Client::connect(server.address, "/topics/ticks");
    wait_until("there is no limit any more", || {
        let began = Instant::now();
        for number in 0..20 {
            fresh.send_text(&number.to_string());
        }
        let mut heard = Vec::new();
        while heard.last() != Some(&19) {
            heard.push(fresh.read_text().parse::<usize>().unwrap());
        }
        heard.len() == 20 && began.elapsed() < Duration::from_secs(1)
    });
}

#[test]
fn a_rate_that_cannot_be_has_its_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[[topics]]\npattern = 'a'\nmax_rate = 0\n").unwrap();
    let mut command = corecast();
    command
        .args(["serve", "--print-config", "--config"])
        .arg(file.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains(":3: topics.max_rate: 0 is out of range; allowed: 1 to 1000"),
        "{said}"
    );
}
