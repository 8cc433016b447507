//! Doctor is right about descriptors: a lowered limit is found, of this process
//! and of a running server, and connections stop where it said they would.
//!
//! How: tables of a few descriptors. As many clients as doctor has promised get
//! in without the server pausing once; a few more, and it pauses.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::doctor::Report;
use crate::support::fault::{limit, only_standard_streams};
use crate::support::{DEADLINE, Server, corecast, drivers, poll_until};

const LIMIT: u64 = 80;

fn start(shards: u64, driver: &str) -> Server {
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--driver", driver, "--shards", &shards.to_string()])
        .args(["--max-connections-per-source", "100000"]);
    limit(&mut command, libc::RLIMIT_NOFILE, LIMIT);
    only_standard_streams(&mut command);
    Server::spawn(&mut command)
}

fn of_running(server: &Server, connections: u64) -> Report {
    let (pid, connections) = (server.pid().to_string(), connections.to_string());
    Report::ask(&["--pid", &pid, "--connections", &connections])
}

#[test]
fn a_limit_is_of_each_shards_table() {
    let ask = |shards: &str| {
        let mut command = corecast();
        limit(&mut command, libc::RLIMIT_NOFILE, 1_000);
        Report::of(
            &mut command,
            &["--pid=none", "--connections=5k", "--shards", shards],
        )
    };
    let few = ask("2");
    assert_eq!(few.code, 1);
    let check = few.check("RLIMIT_NOFILE of each shard");
    assert_eq!(
        (&check["value"], &check["verdict"]),
        (&1_000.into(), &"too_low".into())
    );
    let (wall, connections) = few.wall();
    assert_eq!(wall, "RLIMIT_NOFILE of each shard");
    assert!((1_600..2_000).contains(&connections), "{connections}");
    let line = check["fix"]["for_good"]["line"].as_str().unwrap();
    assert_eq!(line, "LimitNOFILE=4096");

    let many = ask("8");
    let check = many.check("RLIMIT_NOFILE of each shard");
    assert_eq!(check["verdict"], "fits", "{check}");
}

#[test]
fn a_running_server_is_judged_by_its_own_limit() {
    let server = start(2, "epoll");
    let report = of_running(&server, 1_000);
    assert_eq!(report.code, 1);
    assert_eq!(report.json["running"]["pid"], server.pid());
    assert_eq!(report.json["asked"]["shards"], 2, "those of the server");
    let check = report.check("RLIMIT_NOFILE of each shard of corecast");
    assert_eq!(check["value"], LIMIT);
    let now = check["fix"]["now"].as_str().unwrap();
    assert!(
        now.starts_with(&format!("prlimit --pid {} --nofile=", server.pid())),
        "{now}"
    );
    // Its own options were read, too.
    let check = report.check("max-connections-per-source");
    assert_eq!(check["value"], 100_000);
}

/// One shard fills exactly, so the wall is met exactly; of two, the fuller one
/// has room for its share of what was promised, and both have not more than
/// their tables.
#[test]
fn connections_stop_where_doctor_said() {
    for driver in drivers() {
        for shards in [1, 2] {
            println!("{shards} shards on {driver}");
            let server = start(shards, driver);
            let (wall, reach) = of_running(&server, 1_000).wall();
            assert!(wall.starts_with("RLIMIT_NOFILE of each shard"), "{wall}");
            let mut clients: Vec<Client> = (0..reach)
                .map(|_| Client::connect(server.address, "/echo"))
                .collect();
            for client in &mut clients {
                client.expect_echo("in");
            }
            assert_eq!(server.total("sessions"), reach);
            assert_eq!(
                server.total("accept_pauses"),
                0,
                "all that was promised got in"
            );
            let most = shards * LIMIT;
            while server.total("accept_pauses") == 0 {
                assert!(
                    (clients.len() as u64) < most,
                    "{reach} was said to be the wall"
                );
                clients.push(Client::open(server.address));
                poll_until(Duration::from_millis(50), || {
                    server.total("accept_pauses") > 0
                });
            }
            let stopped = clients.len() as u64;
            println!("said {reach}, stopped at {stopped}");
            if shards == 1 {
                assert!(stopped <= reach + 5, "said {reach}, stopped at {stopped}");
            }
        }
    }
}

/// Connections that a running server has already are not counted a second time.
#[test]
fn open_connections_count_as_those_that_are_asked_for() {
    let server = start(1, "epoll");
    let clients: Vec<Client> = (0..20)
        .map(|_| Client::connect(server.address, "/echo"))
        .collect();
    let seen = poll_until(DEADLINE, || {
        let report = of_running(&server, 30);
        let open = report.json["asked"]["open"].as_u64().unwrap();
        (15..=20).contains(&open)
    });
    assert!(seen, "{:#}", of_running(&server, 30).json["asked"]);
    drop(clients);
}
