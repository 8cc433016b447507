//! Each limit of descriptors and files alone, as facts and the checks made from
//! them.

use super::*;
use crate::Unread;
use crate::doctor::Role;
use crate::doctor::testing::{Host, asked, of};

fn facts(limit: u64) -> Facts {
    Facts {
        own: Ok(Descriptors {
            soft: 1_024,
            hard: limit,
        }),
        server: None,
        systemd: false,
        unit: None,
        nr_open: Ok(1_048_576),
        file_max: Ok(1_000_000),
        open_files: Some(1_000),
        privileged: false,
        cores: 2,
    }
}

const SHARD: &str = "RLIMIT_NOFILE of each shard";
const THREAD: &str = "RLIMIT_NOFILE of each thread of corecast-load";

#[test]
fn the_limit_is_of_a_table_and_each_shard_has_one() {
    assert_eq!(reach(1, 20_000), 20_000 - 9);
    let two = reach(2, 20_000);
    assert!((38_000..39_900).contains(&two), "{two}");
    assert_eq!(reach(4, 10), 0);
    assert_eq!(reach(2, u64::MAX), u64::MAX);
    for (connections, shards) in [(100_000, 1), (100_000, 2), (1_000_000, 24), (50, 3)] {
        let needed = descriptors_for(connections, shards);
        assert!(
            reach(shards, needed) >= connections,
            "{connections} on {shards}"
        );
        assert!(
            reach(shards, needed - 40) < connections,
            "{connections} on {shards}"
        );
    }
}

#[test]
fn too_few_descriptors_name_what_raises_them_and_how_many_shards_would_do() {
    let checks = facts(20_000).checks(&asked(100_000));
    let check = of(&checks, SHARD);
    assert_eq!(check.verdict, Verdict::TooLow);
    assert_eq!(check.stops, Stops::Connections(reach(2, 20_000)));
    let fix = check.fix.as_ref().unwrap();
    let now = fix.now.as_ref().unwrap();
    assert!(
        now.starts_with("ulimit -n 50905") && now.ends_with("--shards 6"),
        "{now}"
    );
    assert_eq!(fix.for_good.as_ref().unwrap().line, "LimitNOFILE=65536");
    let mut more = asked(100_000);
    more.shards = 6;
    let checks = facts(20_000).checks(&more);
    assert_eq!(of(&checks, SHARD).verdict, Verdict::Fits);
}

#[test]
fn a_running_server_has_limits_of_its_own() {
    let limit = Descriptors {
        soft: 500,
        hard: 9_999,
    };
    let unit = Some("corecast.service".to_owned());
    let facts = Facts {
        server: Some((42, Ok(limit), unit)),
        ..facts(1 << 20)
    };
    let checks = facts.checks(&asked(100_000));
    let check = of(&checks, "RLIMIT_NOFILE of each shard of corecast 42");
    assert_eq!(check.value, Some(Amount::Count(500)));
    assert_eq!(check.verdict, Verdict::TooLow);
    assert!(check.why.contains("does not read limits.conf"));
    let now = check.fix.as_ref().unwrap().now.as_ref().unwrap();
    assert!(now.starts_with("prlimit --pid 42 --nofile="));
}

#[test]
fn who_may_pass_file_max_is_not_stopped_by_it() {
    let host = Host::new();
    host.put("/proc/self/status", "CapEff:\t0000000000200000\n");
    host.put("/proc/self/uid_map", "0 1000 1\n");
    assert!(
        !is_privileged(&host.root, None),
        "root of a user namespace only"
    );
    host.put("/proc/self/uid_map", "         0          0 4294967295\n");
    assert!(is_privileged(&host.root, None));
    let judged = |privileged| {
        let facts = Facts {
            file_max: Ok(10),
            privileged,
            ..facts(1 << 20)
        };
        let checks = facts.checks(&asked(100_000));
        let check = of(&checks, "fs.file-max");
        (check.verdict, check.stops)
    };
    assert_eq!(judged(true), (Verdict::Advice, Stops::Nothing));
    assert_eq!(judged(false), (Verdict::TooLow, Stops::Connections(0)));
}

#[test]
fn systemd_does_not_read_limits_conf() {
    let with = |unit| Facts {
        systemd: true,
        unit,
        ..facts(1 << 20)
    };
    let verdict = |unit| {
        let checks = with(unit).checks(&asked(100_000));
        of(&checks, "LimitNOFILE").verdict
    };
    let file = "/etc/systemd/system/corecast.service".to_owned();
    assert_eq!(verdict(None), Verdict::Advice);
    assert_eq!(verdict(Some((file.clone(), None))), Verdict::Advice);
    assert_eq!(verdict(Some((file.clone(), Some(1_024)))), Verdict::Advice);
    assert_eq!(verdict(Some((file, Some(1 << 20)))), Verdict::Fits);
    let checks = facts(1 << 20).checks(&asked(100_000));
    assert!(checks.iter().all(|check| check.limit != "LimitNOFILE"));
}

#[test]
fn units_say_their_limit_in_several_ways() {
    assert_eq!(
        limit_of_unit("[Service]\nLimitNOFILE=1024:2048\n"),
        Some(2_048)
    );
    assert_eq!(limit_of_unit("LimitNOFILE=infinity"), Some(u64::MAX));
    assert_eq!(limit_of_unit("LimitNOFILE=1\nLimitNOFILE=9\n"), Some(9));
    assert_eq!(limit_of_unit("#LimitNOFILE=1\n"), None);
}

#[test]
fn the_generator_takes_more_threads_before_it_gives_up() {
    let of_client = |connections, limit| {
        let asked = Asked {
            role: Role::Client,
            ..asked(connections)
        };
        let checks = facts(limit).checks(&asked);
        assert!(checks.iter().all(|check| check.limit != SHARD));
        of(&checks, THREAD).clone()
    };
    assert_eq!(of_client(30_000, 20_000).verdict, Verdict::Fits);
    let more = of_client(200_000, 20_000);
    assert_eq!(more.verdict, Verdict::Advice);
    assert!(more.why.contains("11 threads on 2 cores"), "{}", more.why);
    // Above the number that leaves something to spare, and below the wall itself.
    assert_eq!(of_client(400, 100).verdict, Verdict::Advice);
    let wall = of_client(1_333, 100);
    assert_eq!(wall.verdict, Verdict::TooLow);
    assert_eq!(wall.stops, Stops::Connections(18 * (100 - 8 - 18)));
}

#[test]
fn files_of_the_host_count_both_ends_when_both_are_here() {
    let both = Asked {
        role: Role::Both,
        ..asked(600_000)
    };
    let checks = facts(1 << 20).checks(&both);
    let check = of(&checks, "fs.file-max");
    assert_eq!(check.verdict, Verdict::TooLow);
    assert_eq!(
        check.needed,
        Some(Amount::Count(1_200_000 + 1_000 + 2 * 10))
    );
    assert_eq!(check.stops, Stops::Connections((1_000_000 - 1_020) / 2));
    let fix = check.fix.as_ref().unwrap();
    assert_eq!(fix.now.as_deref(), Some("sysctl -w fs.file-max=2097152"));
    assert_eq!(fix.for_good.as_ref().unwrap().file, FILES_CONF);
    let checks = facts(1 << 20).checks(&asked(600_000));
    assert_eq!(of(&checks, "fs.file-max").verdict, Verdict::Fits);
}

#[test]
fn nr_open_bounds_what_a_limit_can_be_raised_to() {
    let small = Facts {
        nr_open: Ok(1_024),
        ..facts(1_024)
    };
    let checks = small.checks(&asked(10_000));
    assert_eq!(of(&checks, "fs.nr_open").verdict, Verdict::TooLow);
    let checks = facts(1_024).checks(&asked(10_000));
    assert_eq!(of(&checks, "fs.nr_open").verdict, Verdict::Fits);
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let hidden = Unread::new("hidden");
    let facts = Facts {
        own: Err(hidden.clone()),
        nr_open: Err(hidden.clone()),
        file_max: Err(hidden),
        ..facts(1)
    };
    let both = Asked {
        role: Role::Both,
        ..asked(10)
    };
    for check in facts.checks(&both) {
        assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
        assert_eq!(check.why, "hidden");
    }
    let empty = Host::new();
    let checks = Facts::read(&empty.root, None).checks(&both);
    assert_eq!(of(&checks, "fs.nr_open").verdict, Verdict::Unknown);
}
