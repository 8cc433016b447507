//! With `--steer cpu` a connection is accepted by a shard on the core that
//! received it, with `--steer hash` by any; and `/stats` says which it was.
//!
//! How: clients that connect from a thread pinned to one core. On loopback the
//! core that sends a packet also receives it. Where it does not, or where the
//! kernel does not steer, the tests say so and pass.

use std::fs;
use std::ops::Range;
use std::thread;

use crate::support::client::Client;
use crate::support::fault::Claim;
use crate::support::{Server, corecast, skip};

/// Enough that chance does not blur one share in two with one in four: their
/// distance is seven times what 200 throws of a coin vary by.
const MANY: usize = 200;
/// The share of `MANY` that each of two may get when both get half.
const HALF: Range<u64> = 65..136;

/// Two cores, if this host has them and leaves loopback packets where they are.
fn two_cores() -> Option<(usize, usize)> {
    let rps = fs::read_to_string("/sys/class/net/lo/queues/rx-0/rps_cpus").unwrap_or_default();
    if rps.chars().any(|c| c.is_ascii_hexdigit() && c != '0') {
        skip("steering", "loopback packets are spread over cores (RPS)");
        return None;
    }
    match corecast_host::cpus::usable()[..] {
        [first, second, ..] => Some((first, second)),
        _ => {
            skip("steering", "it takes two cores to see");
            None
        }
    }
}

fn options(cores: (usize, usize), shards: &str, steer: &str) -> Vec<String> {
    let cpus = format!("{},{}", cores.0, cores.1);
    ["--cpus", &cpus, "--shards", shards, "--steer", steer]
        .map(str::to_owned)
        .to_vec()
}

fn start(options: &[String]) -> Server {
    Server::start(&options.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Whether the server steers as asked. A kernel that cannot is named in the log.
fn steers(server: &Server) -> bool {
    let stats = server.stats();
    if stats["steer"] == "cpu" {
        return true;
    }
    assert!(server.log().contains("SO_INCOMING_CPU"), "not a word of it");
    skip("steering", "this kernel ignores SO_INCOMING_CPU");
    false
}

/// Opens connections one after the other from a core, and has each answered.
fn connect_from(core: usize, server: &Server, count: usize) -> Vec<Client> {
    let address = server.address;
    let clients = thread::spawn(move || {
        let core = core_affinity::CoreId { id: core };
        assert!(core_affinity::set_for_current(core), "{core:?} is not ours");
        (0..count)
            .map(|_| {
                let mut client = Client::connect(address, "/echo");
                client.expect_echo("here");
                client
            })
            .collect()
    });
    clients.join().unwrap()
}

/// The connections each shard accepted from the first core's clients, and then from the
/// second's.
fn accepted_from_each(server: &Server, cores: (usize, usize)) -> [Vec<u64>; 2] {
    let first = connect_from(cores.0, server, MANY);
    let before = server.per_shard("accepted");
    let second = connect_from(cores.1, server, MANY);
    let after = server.per_shard("accepted");
    for client in first.into_iter().chain(second) {
        client.close();
    }
    let second = after.iter().zip(&before).map(|(all, first)| all - first);
    [before.clone(), second.collect()]
}

#[test]
fn each_core_gets_the_connections_it_received() {
    let Some(cores) = two_cores() else { return };
    let server = start(&options(cores, "2", "cpu"));
    if !steers(&server) {
        return;
    }
    let many = MANY as u64;
    assert_eq!(accepted_from_each(&server, cores), [[many, 0], [0, many]]);
    assert_eq!(server.per_shard("accepted_on_own_core"), [many, many]);
    assert_eq!(server.stats()["balance"]["accepted_on_own_core"], 1.0);

    // The price: clients of one core alone leave the other's shard empty.
    server.wait_for("sessions", 0);
    let clients = connect_from(cores.0, &server, 10);
    let balance = &server.stats()["balance"];
    assert_eq!(balance["fullest_sessions"], 10);
    assert_eq!(balance["emptiest_sessions"], 0);
    assert_eq!(balance["fullest_to_mean"], 2.0);
    drop(clients);
}

#[test]
fn with_the_hash_every_shard_gets_some_of_a_core() {
    let Some(cores) = two_cores() else { return };
    for options in [
        options(cores, "2", "hash"),
        options(cores, "2", "hash")[..4].to_vec(),
    ] {
        let server = start(&options);
        assert_eq!(server.stats()["steer"], "hash");
        for shards in accepted_from_each(&server, cores) {
            assert!(shards.iter().all(|n| HALF.contains(n)), "{shards:?}");
        }
        let own_core = server.total("accepted_on_own_core");
        let share = own_core as f64 / (2 * MANY) as f64;
        assert!((0.35..0.65).contains(&share), "{own_core}");
        assert_eq!(server.stats()["balance"]["accepted_on_own_core"], share);
    }
}

#[test]
fn shards_of_one_core_share_what_it_received() {
    let Some(cores) = two_cores() else { return };
    let server = start(&options(cores, "4", "cpu"));
    if !steers(&server) {
        return;
    }
    let [first, second] = accepted_from_each(&server, cores);
    for (own, others) in [
        ([first[0], first[2]], [first[1], first[3]]),
        ([second[1], second[3]], [second[0], second[2]]),
    ] {
        assert!(own.iter().all(|n| HALF.contains(n)), "{first:?} {second:?}");
        assert_eq!(others, [0, 0]);
    }
}

#[test]
fn a_core_without_a_shard_is_served_by_the_others() {
    let Some((first, second)) = two_cores() else {
        return;
    };
    let server = start(&options((first, first), "2", "cpu"));
    if !steers(&server) {
        return;
    }
    let clients = connect_from(second, &server, MANY);
    let accepted = server.per_shard("accepted");
    assert!(accepted.iter().all(|n| HALF.contains(n)), "{accepted:?}");
    assert_eq!(server.total("accepted_on_own_core"), 0);
    drop(clients);
}

/// A server that takes over from another on the same port: while both are
/// there each gets some of a core's, and none is refused; afterwards everything
/// arrives where it should, although the places in the group have moved.
#[test]
fn a_new_process_on_the_same_port_steers_alike() {
    let Some(cores) = two_cores() else { return };
    let claim = Claim::new();
    let address = claim.address.to_string();
    let start = || {
        let mut command = corecast();
        command
            .args(["serve", "--listen", &address, "--share-port"])
            .args(["--admin", "127.0.0.1:0"])
            .args(options(cores, "2", "cpu"));
        Server::spawn(&mut command)
    };
    let old = start();
    if !steers(&old) {
        return;
    }
    let new = start();
    let clients = connect_from(cores.0, &new, MANY);
    for server in [&old, &new] {
        let accepted = server.per_shard("accepted");
        assert!(HALF.contains(&accepted[0]), "{accepted:?}");
        assert_eq!(accepted[1], 0);
    }
    for client in clients {
        client.close();
    }
    old.signal(libc::SIGTERM);
    assert_eq!(old.exit_status().code(), Some(0));

    let so_far = new.per_shard("accepted")[0];
    let many = MANY as u64;
    let [_, second] = accepted_from_each(&new, cores);
    assert_eq!(second, [0, many]);
    assert_eq!(new.per_shard("accepted"), [so_far + many, many]);
}
