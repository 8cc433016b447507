//! The doctor is right about the accept queue: with net.core.somaxconn at 8 it
//! says how many may come at once, and so many then wait while the others are
//! kept out.
//!
//! How: a namespace with a low limit, and a listener that asks for a long queue,
//! as corecast does, and stops accepting.

use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::walls::doctor::{ask, expect_near};
use crate::walls::server::{discard, listen, url};
use crate::walls::{load, namespace};
use corecast_load::cause::Cause;

const SHORT_QUEUE: &str = "sysctl -w net.core.somaxconn=8";
const LIMIT: &str = "net.core.somaxconn";

/// Connections that wait to be accepted, as the kernel counts them.
fn waiting() -> u64 {
    let output = Command::new("ss").args(["-H", "-l", "-t", "-n"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let queues = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1));
    queues
        .filter_map(|queue| queue.parse::<u64>().ok())
        .max()
        .unwrap()
}

#[test]
fn a_burst_fills_the_queue_that_the_doctor_saw() {
    let test = "a_burst_fills_the_queue_that_the_doctor_saw";
    namespace::inside(test, SHORT_QUEUE, || {
        let prediction = ask("--role server --shards 1 --connections 100", |_| {});
        assert_eq!(prediction.verdict(LIMIT), "slows");
        let predicted = prediction.burst(LIMIT).expect("it stops a burst");

        let listener = listen(65_535);
        let url = url(&listener);
        let (stop, stopped) = mpsc::channel::<()>();
        let server = thread::spawn(move || {
            // The generator's first try; after it no connection is accepted.
            let first = listener.accept().map(|(stream, _)| discard(stream));
            drop(first);
            let mut most = 0;
            while stopped.recv_timeout(Duration::from_millis(50)).is_err() {
                most = most.max(waiting());
            }
            most
        });
        let words = ["connect", &url, "-c", "100", "--hold", "300ms"];
        let run = load(&[&words[..], &["--timeout", "2s"]].concat());
        stop.send(()).unwrap();
        let waited = server.join().unwrap();

        // Packets that are handled on two cores at once may both find the last place.
        assert!(
            (predicted..=predicted + 2).contains(&waited),
            "{waited} waited, {predicted} predicted: {}",
            run.story()
        );
        let connections = &run.outcome().connections;
        assert_eq!((connections.opened, connections.failures()), (0, 100));
        let kept_out = connections.failed[&Cause::ConnectTimeout];
        // Some believe they are connected, because the queue filled between the
        // two packets that they sent.
        expect_near(kept_out, 100 - predicted);
        run.expect_failure(
            &["full accept queue (net.core.somaxconn is 8"],
            &["net.core.somaxconn=65535"],
        );
    });
}
