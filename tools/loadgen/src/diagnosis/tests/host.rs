//! Limits of this host and of the load generator.

use super::super::client_bound;
use super::*;
use crate::outcome::Severity::{Failure, Limit, Note};

/// A run that asked for 100,000 connections and ran out of ports.
fn out_of_ports(change: impl FnOnce(&mut Evidence)) -> Evidence {
    but(|e| {
        e.asked = 100_000;
        e.opened = 28_232;
        e.peak = 28_232;
        e.failed.insert(Cause::PortsUsedUp, 71_768);
        change(e);
    })
}

#[test]
fn ports_are_counted_with_both_ends() {
    expect(
        &out_of_ports(|_| {}),
        Failure,
        &[
            "71,768 connections could not be opened",
            "32768–60999 are 60999 − 32768 + 1 = 28,232,",
            "1 source address and 1 target makes at most 28,232 connections at a time.",
        ],
        &[
            "Use --sources 127.0.0.2-127.0.0.5, or",
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535' for 64,512 ports",
        ],
    );
}

#[test]
fn the_range_of_macos_has_one_port_more_than_its_difference() {
    let evidence = out_of_ports(|e| {
        let range = e.limits.ports.as_mut().unwrap();
        (range.first, range.last) = (49_152, 65_535);
        e.peak = 16_384;
    });
    let what = ["65535 − 49152 + 1 = 16,384,", "at most 16,384 connections"];
    expect(
        &evidence,
        Failure,
        &what,
        &["Use --sources 127.0.0.2-127.0.0.8, or"],
    );
}

#[test]
fn reserved_ports_are_taken_off_and_targets_multiply() {
    let evidence = out_of_ports(|e| {
        e.limits.ports.as_mut().unwrap().reserved = 232;
        (e.sources, e.targets, e.peak) = (1, 2, 56_000);
        e.loopback = false;
    });
    expect(
        &evidence,
        Failure,
        &[
            "= 28,232 less 232 reserved = 28,000,",
            "1 source address and 2 targets makes at most 56,000",
        ],
        &["Use 2 source addresses", "ip address add"],
    );
}

#[test]
fn a_wide_range_cannot_be_made_wider() {
    let evidence = out_of_ports(|e| {
        let range = e.limits.ports.as_mut().unwrap();
        (range.first, range.last) = (1_024, 65_535);
        e.peak = 64_000;
    });
    assert!(!only(&evidence).remedy.contains("sysctl"));
}

#[test]
fn time_wait_keeps_ports() {
    let evidence = out_of_ports(|e| {
        e.peak = 8_000;
        e.seen.time_wait = 20_000;
    });
    let what = ["and 20,000 closed connections in TIME_WAIT kept their ports"];
    expect(&evidence, Failure, &what, &["--sources"]);
}

#[test]
fn ports_that_others_hold_are_no_arithmetic() {
    let evidence = out_of_ports(|e| e.peak = 12);
    let what = [
        "but only 12 were open",
        "a source address is not this host's",
    ];
    expect(&evidence, Failure, &what, &["ip -brief address"]);
}

#[test]
fn descriptors_are_counted_in_tables() {
    let evidence = but(|e| {
        (e.asked, e.threads, e.tables) = (100_000, 2, 2);
        e.failed.insert(Cause::Descriptors, 60_000);
    });
    expect(
        &evidence,
        Failure,
        &[
            "60,000 connections",
            "2 tables, each for 20,000, which makes 40,000",
        ],
        &[
            "As root, because the hard limit is 20,000: ulimit -n 50064",
            "or --threads 6, each with a table of its own",
        ],
    );
}

#[test]
fn a_soft_limit_can_be_raised_up_to_the_hard_one() {
    let evidence = but(|e| {
        let limit = e.limits.descriptors.as_mut().unwrap();
        (limit.soft, limit.hard) = (1_024, 1_048_576);
        (e.asked, e.threads, e.tables) = (5_000, 2, 1);
        e.failed.insert(Cause::Descriptors, 4_000);
    });
    expect(&evidence, Failure, &["1 table, each for 1,024"], &[]);
    assert_eq!(only(&evidence).remedy, "ulimit -n 5064.");
}

#[test]
fn beyond_nr_open_the_kernel_must_be_told() {
    let evidence = but(|e| {
        e.asked = 2_000_000;
        e.failed.insert(Cause::Descriptors, 1);
    });
    let remedy = ["ulimit -n 2000064 after sysctl -w fs.nr_open=2000064, which is 1,048,576 now"];
    expect(&evidence, Failure, &[], &remedy);
}

#[test]
fn the_host_may_have_no_file_left() {
    let evidence = but(|e| {
        e.seen.open_files = 1_950_000;
        e.failed.insert(Cause::Descriptors, 9);
    });
    let what = ["1,950,000 of at most 2,000,000 files open (fs.file-max)"];
    let remedy = ["sysctl -w fs.file-max=4000000"];
    expect(&evidence, Failure, &what, &remedy);
    let unharmed = but(|e| e.seen.open_files = 1_950_000);
    expect(&unharmed, Note, &what, &remedy);
}

#[test]
fn conntrack_explains_what_it_drops() {
    let full = |e: &mut Evidence| e.seen.conntrack = 262_144;
    let evidence = but(|e| {
        full(e);
        e.asked = 300_000;
        e.failed = [(Cause::ConnectTimeout, 30_000), (Cause::Forbidden, 5)].into();
    });
    let what = [
        "30,005 connections",
        "262,144 of at most 262,144 connections",
    ];
    let remedy = ["sysctl -w net.netfilter.nf_conntrack_max=600000"];
    expect(&evidence, Failure, &what, &remedy);
    expect(&but(full), Note, &["262,144 of at most"], &["=524288"]);
    assert_eq!(diagnose(&but(|e| e.seen.conntrack = 200_000)), []);
}

#[test]
fn socket_buffers_have_a_bound() {
    let evidence = but(|e| {
        e.seen.socket_bytes = 2 << 30;
        e.counters.aborts_on_memory = 40;
        e.failed.insert(Cause::Memory, 10);
        e.lost.insert(Cause::Reset, 40);
    });
    expect(
        &evidence,
        Failure,
        &[
            "10 connections could not be opened and 40 open ones were lost",
            "took 2.0 GiB of at most 2.0 GiB (net.ipv4.tcp_mem), for which the kernel closed 40",
        ],
        &["sysctl -w net.ipv4.tcp_mem='"],
    );
    let pressed = but(|e| e.counters.memory_pressures = 3);
    expect(
        &pressed,
        Limit,
        &["3 times the kernel made windows smaller"],
        &["tcp_mem"],
    );
}

#[test]
fn orphans_are_not_a_want_of_memory() {
    let evidence = but(|e| e.counters.aborts_on_memory = 7);
    let (what, remedy) = (
        ["cut 7 closing connections short"],
        ["net.ipv4.tcp_max_orphans"],
    );
    expect(&evidence, Note, &what, &remedy);
    let lost = but(|e| {
        e.counters.aborts_on_memory = 7;
        e.lost.insert(Cause::Reset, 7);
    });
    expect(&lost, Failure, &what, &remedy);
}

#[test]
fn refused_memory_says_what_was_left() {
    let evidence = failed(Cause::Memory, 2);
    expect(
        &evidence,
        Failure,
        &["had 11.0 GiB of 16.0 GiB left"],
        &["dmesg"],
    );
    let in_a_container = but(|e| {
        e.limits.cgroup_bytes = Some(1 << 30);
        e.seen.cgroup_bytes = (1 << 30) - 4096;
        e.failed.insert(Cause::Memory, 2);
    });
    expect(
        &in_a_container,
        Failure,
        &["control group", "of at most 1.0 GiB"],
        &[],
    );
}

#[test]
fn memory_that_is_nearly_used_up_is_worth_a_note() {
    let evidence = but(|e| e.seen.available_bytes = Some(512 << 20));
    expect(
        &evidence,
        Note,
        &["512.0 MiB of 16.0 GiB were left"],
        &["fewer"],
    );
}

#[test]
fn what_ran_out_here_is_the_clients_bound() {
    assert!(client_bound(&out_of_ports(|_| {})));
    assert!(client_bound(&failed(Cause::Descriptors, 1)));
    assert!(!client_bound(&failed(Cause::Refused, 1)));
}
