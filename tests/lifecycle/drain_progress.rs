//! A drain can be watched: `/stats` and `/metrics` say when it began and with how many
//! sessions, the log says how many are left and in the end the sum. After a hand-over
//! the process that serves tells of the sessions that the one before it still has.
//!
//! How: signals to the real process while clients hold their sessions open.

use std::time::Duration;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::{Server, http, on_each_driver, poll_until, wait_until};

fn clients(server: &Server, count: usize) -> Vec<Client> {
    (0..count)
        .map(|_| Client::connect(server.address, "/echo"))
        .collect()
}

/// The value of a metric without labels.
fn metric(server: &Server, name: &str) -> f64 {
    let text = http::get(server.admin, "/metrics").text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name}: {text}"))
        .parse()
        .unwrap()
}

#[test]
fn a_drain_has_a_beginning_a_course_and_a_sum() {
    let options = ["--shards", "2", "--drain-timeout", "1h"];
    on_each_driver(&options, |server| {
        let mut clients = clients(server, 5);
        assert_eq!(server.stats()["drain"], Value::Null);
        assert_eq!(metric(server, "corecast_drain_initial_sessions"), 0.0);
        server.signal(libc::SIGTERM);
        wait_until("it drains", || server.stats()["phase"] == "draining");
        assert_eq!(server.stats()["drain"]["initial_sessions"], 5);
        assert_eq!(metric(server, "corecast_drain_initial_sessions"), 5.0);
        wait_until("time passes", || {
            metric(server, "corecast_drain_seconds") > 0.0
        });
        clients.pop().unwrap().reset();
        server.wait_for("sessions", 4);
        let said = |words: &str| server.log().contains(words);
        assert!(
            poll_until(Duration::from_secs(20), || said(
                "draining: 4 of 5 sessions left"
            )),
            "{}",
            server.log()
        );
        server.signal(libc::SIGTERM);
        for client in &mut clients {
            assert_eq!(client.frame().close_code(), 1001);
            client.send_close(1001);
        }
        assert_eq!(server.exit_status().code(), Some(0));
        wait_until("the sum is logged", || said("stopped"));
        for part in [
            "sessions at the signal: 5, opened since: 0, ended since: ",
            "left: 0; connections refused since: 0",
        ] {
            assert!(said(part), "{part}: {}", server.log());
        }
    });
}

#[test]
fn the_sessions_of_the_process_before_are_told() {
    let options = ["--shards", "2", "--drain-timeout", "1h"];
    on_each_driver(&options, |server| {
        let first = clients(server, 7);
        server.signal(libc::SIGUSR2);
        let predecessors = || {
            let stats = server.stats();
            let of = |key: &str| stats["predecessors"][key].as_u64().unwrap();
            (of("processes"), of("sessions"))
        };
        wait_until("the new process tells of the old one's sessions", || {
            predecessors() == (1, 7)
        });
        assert_eq!(server.total("sessions"), 0, "they are in no total");
        assert_eq!(metric(server, "corecast_predecessor_sessions"), 7.0);
        assert_eq!(metric(server, "corecast_predecessors"), 1.0);

        // And those of the one before that.
        let second = clients(server, 2);
        let log = server.log();
        let (_, rest) = log.split_once(": process ").unwrap();
        let second_process: libc::pid_t = rest.split(' ').next().unwrap().parse().unwrap();
        // SAFETY: kill takes no pointers; the process is the first new process.
        assert_eq!(unsafe { libc::kill(second_process, libc::SIGUSR2) }, 0);
        wait_until("the third process tells of both", || {
            predecessors() == (2, 9)
        });
        let log = server.log();
        let (_, rest) = log.rsplit_once(": process ").unwrap();
        let third: libc::pid_t = rest.split(' ').next().unwrap().parse().unwrap();

        for client in first {
            client.reset();
        }
        assert_eq!(server.exit_status().code(), Some(0));
        wait_until("the first has ended", || predecessors() == (1, 2));
        for client in second {
            client.reset();
        }
        wait_until("the second, too", || predecessors() == (0, 0));
        // SAFETY: kill takes no pointers.
        unsafe { libc::kill(third, libc::SIGKILL) };
    });
}
