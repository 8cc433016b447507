//! Rates that did not rise any further.

use super::super::client_bound;
use super::*;
use crate::outcome::Severity::{Limit, Note};

/// A closed loop without a pace.
fn at_maximum(change: impl FnOnce(&mut Evidence)) -> Evidence {
    but(|e| {
        e.rate = None;
        e.at_maximum = true;
        change(e);
    })
}

#[test]
fn a_full_server_is_what_a_benchmark_wants() {
    let evidence = at_maximum(|e| load(e, 0.99, 0.61));
    expect(
        &evidence,
        Limit,
        &[
            "The server was full (its busiest thread (shard-0) was 99 % busy",
            "the load generator's busiest 61 %",
            "the server's limit",
        ],
        &["Nothing to mend"],
    );
    assert!(!client_bound(&evidence));
}

#[test]
fn a_server_that_waits_for_its_core_now_and_then_is_full() {
    let waiting = |share, waited| {
        at_maximum(|e| {
            load(e, share, 0.3);
            e.usage.server_threads[0].waited = waited;
        })
    };
    let what = [
        "was 88 % busy and waited 9 % of the time for a core",
        "the server's limit",
    ];
    expect(&waiting(0.88, 0.09), Limit, &what, &["Nothing to mend"]);
    // One that had half a core is not at its own limit.
    for evidence in [waiting(0.5, 0.49), waiting(0.88, 0.01)] {
        assert!(!only(&evidence).what.contains("The server was full"));
    }
}

#[test]
fn a_server_on_all_its_cores_is_full_without_a_full_thread() {
    let evidence = at_maximum(|e| {
        load(e, 0.5, 0.6);
        e.usage.server_cpu = Some(1.96);
    });
    expect(&evidence, Limit, &["its threads took 1.96 cores"], &[]);
    assert!(!client_bound(&evidence));
}

#[test]
fn when_both_are_full_the_server_is_at_its_limit() {
    let evidence = at_maximum(|e| load(e, 0.98, 0.99));
    expect(&evidence, Limit, &["the server's limit"], &[]);
    assert!(!client_bound(&evidence));
}

#[test]
fn a_full_client_makes_a_lower_bound() {
    let evidence = at_maximum(|e| load(e, 0.60, 0.97));
    expect(
        &evidence,
        Limit,
        &[
            "its busiest thread was 97 % busy",
            "60 % busy",
            "client-bound",
            "lower bound",
        ],
        &["more cores", "merge"],
    );
    assert!(client_bound(&evidence));
}

#[test]
fn a_full_client_with_idle_cores_wants_threads() {
    let evidence = at_maximum(|e| {
        load(e, 0.60, 0.97);
        e.pinned.clear();
        e.usage.cores = vec![0.6, 0.97, 0.0, 0.0];
    });
    expect(
        &evidence,
        Limit,
        &["client-bound"],
        &["Use --threads 3, because 2 cores of this host had room"],
    );
}

#[test]
fn a_full_core_with_the_client_on_most_of_it_is_the_client() {
    let evidence = at_maximum(|e| {
        load(e, 0.60, 0.85);
        e.usage.cores[1] = 1.0;
    });
    let what = [
        "its cores had no time left, of which it took 0.85",
        "client-bound",
    ];
    expect(&evidence, Limit, &what, &[]);
}

#[test]
fn a_remote_server_behind_a_full_client_is_not_judged() {
    let evidence = at_maximum(|e| {
        load(e, 0.0, 0.99);
        (e.usage.server_cpu, e.usage.server_threads) = (None, Vec::new());
        e.seen.server = None;
    });
    expect(&evidence, Limit, &["client-bound"], &[]);
    assert!(!only(&evidence).what.contains("the server was not"));
    assert!(client_bound(&evidence));
}

#[test]
fn two_on_the_same_full_cores_are_both_cut_short() {
    let evidence = at_maximum(|e| {
        load(e, 0.52, 0.80);
        e.pinned.clear();
        e.usage.cores = vec![1.0, 0.99];
        (e.usage.client_cpu, e.usage.server_cpu) = (0.9, Some(1.04));
        e.threads = 2;
    });
    expect(
        &evidence,
        Limit,
        &[
            "The server and the load generator share 2 full cores",
            "it took 0.90 cores, the server 1.04",
            "lower bound",
        ],
        &["taskset -c"],
    );
    assert!(client_bound(&evidence));
}

#[test]
fn one_pinned_core_can_be_shared_too() {
    let evidence = at_maximum(|e| {
        load(e, 0.45, 0.50);
        e.usage.cores = vec![0.1, 1.0];
        e.usage.server_threads[0].core = 1;
    });
    expect(&evidence, Limit, &["share 1 full core "], &[]);
}

/// The server's time on its own core is not missing from another's.
#[test]
fn a_server_on_another_core_shares_nothing() {
    let evidence = at_maximum(|e| {
        load(e, 0.48, 0.52);
        e.usage.cores = vec![0.5, 1.0];
    });
    let what = ["Other programs or interrupts took 0.48 of the load generator's full cores"];
    expect(&evidence, Limit, &what, &["Stop the other programs"]);
}

#[test]
fn a_thread_that_never_waits_for_a_core_shares_none() {
    let evidence = at_maximum(|e| {
        load(e, 0.90, 0.98);
        e.pinned.clear();
        e.usage.cores = vec![0.97, 0.98];
    });
    expect(&evidence, Limit, &["client-bound"], &[]);
}

#[test]
fn other_programs_are_told_from_the_server() {
    let evidence = at_maximum(|e| {
        load(e, 0.10, 0.40);
        e.usage.cores = vec![0.1, 1.0];
        e.usage.server_threads[0].core = 1;
    });
    let what = ["Other programs or interrupts took 0.50 of the load generator's full cores"];
    expect(&evidence, Limit, &what, &["top"]);
    assert!(client_bound(&evidence));
}

#[test]
fn when_nobody_is_full_the_round_trip_bounds_the_rate() {
    let evidence = at_maximum(|e| load(e, 0.43, 0.51));
    let what = [
        "busiest thread 51 %",
        "busiest thread 43 %",
        "waits for its answer",
    ];
    expect(&evidence, Limit, &what, &["more connections", "--pipeline"]);
    assert!(!client_bound(&evidence));
}

#[test]
fn an_unseen_server_leaves_the_question_open() {
    let evidence = at_maximum(|e| {
        (e.usage.server_cpu, e.usage.server_threads) = (None, Vec::new());
        e.seen.server = None;
    });
    expect(&evidence, Note, &["cannot be seen from here"], &["top -H"]);
    assert!(!client_bound(&evidence));
}

#[test]
fn a_missed_rate_says_why() {
    let missed = |server: f64, client: f64| {
        but(|e| {
            load(e, server, client);
            let rate = e.rate.as_mut().unwrap();
            (rate.asked, rate.achieved) = (50_000.0, 41_000.0);
        })
    };
    let only_so_many = "Only 41,000 of 50,000 messages per second were reached (82 %): ";
    let server = missed(0.99, 0.4);
    expect(&server, Limit, &[only_so_many, "the server was full"], &[]);
    assert!(!client_bound(&server));
    let client = missed(0.4, 0.99);
    expect(
        &client,
        Limit,
        &[only_so_many, "the load generator was full"],
        &[],
    );
    assert!(client_bound(&client));
    let neither = missed(0.4, 0.4);
    expect(
        &neither,
        Limit,
        &[only_so_many, "neither"],
        &["more connections"],
    );
    assert!(!client_bound(&neither));
}

#[test]
fn a_rate_that_was_reached_is_no_limit() {
    let server = but(|e| load(e, 0.97, 0.4));
    expect(
        &server,
        Note,
        &["The load was reached, but the server was full"],
        &[],
    );
    let client = but(|e| load(e, 0.4, 0.97));
    expect(&client, Note, &["latencies may hold time"], &[]);
    assert!(!client_bound(&client));
}

#[test]
fn latency_that_grows_at_a_fixed_rate_is_a_queue() {
    let evidence = but(|e| e.latency_growth = Some(3.24));
    expect(
        &evidence,
        Limit,
        &["grew 3.2-fold", "a queue grows"],
        &["Lower the rate"],
    );
    let closed = but(|e| {
        (e.rate, e.latency_growth) = (None, Some(3.24));
    });
    expect(&closed, Note, &["became slower"], &[]);
}

#[test]
fn stolen_time_is_told() {
    let evidence = but(|e| e.usage.stolen = 0.12);
    expect(
        &evidence,
        Note,
        &["12 % of this machine's processor time"],
        &["quiet"],
    );
}
