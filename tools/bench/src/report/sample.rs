//! Results for the tests: small ones to build, and a realistic run.

use crate::Cause;
use crate::host::Host;
use crate::results::{
    Contest, Entry, FORMAT, Failure, Goal, IdleSample, Latency, Reading, Results, Role, Sample,
    Settings,
};

/// A run with these scenarios.
pub(crate) fn results(contests: Vec<Contest>) -> Results {
    let sysctls = [
        ("fs.file-max", "9223372036854775807"),
        ("net.core.somaxconn", "4096"),
        ("net.ipv4.ip_local_port_range", "1024 65535"),
    ];
    Results {
        format: FORMAT,
        version: "0.1.0".into(),
        host: Host {
            date: "2026-11-22 14:39 UTC".into(),
            kernel: "6.18.44".into(),
            cpu: "AMD EPYC".into(),
            cores: 2,
            memory_mib: 24_105,
            governor: None,
            open_files: 20_000,
            sysctls: sysctls
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
        },
        settings: Settings {
            set: "standard".into(),
            command: vec!["corecast-bench".into(), "run".into()],
            is_partial: false,
            driver: "uring".into(),
            server_cpus: vec![0],
            load_cpus: vec![1],
            cores: "the first core serves, the second loads".into(),
            rounds: 3,
            warm_up_seconds: 1.0,
            measured_seconds: 3.0,
        },
        contests,
        absent: Vec::new(),
        skipped: Vec::new(),
    }
}

/// A scenario with these contestants and no goals.
pub(crate) fn contest(name: &str, entries: Vec<Entry>) -> Contest {
    Contest {
        name: name.into(),
        title: format!("Title of {name}"),
        group: "Echo".into(),
        unit: "messages".into(),
        note: String::new(),
        goals: Vec::new(),
        entries,
        failures: Vec::new(),
    }
}

/// A contestant with these windows.
pub(crate) fn entry(name: &str, role: Role, windows: impl IntoIterator<Item = Sample>) -> Entry {
    let rounds = windows
        .into_iter()
        .map(|window| Some(Reading::Timed(window)));
    Entry {
        rounds: rounds.collect(),
        ..Entry::new(name, role)
    }
}

/// A window of one second with this rate and busy shares of both sides.
pub(crate) fn window(rate: u64, server: f64, load: f64) -> Sample {
    Sample {
        messages: rate,
        seconds: 1.0,
        server_cpu_seconds: Some(server),
        server_cores: 1,
        load_cpu_seconds: load,
        load_cores: 1,
        ..Sample::default()
    }
}

/// Three rounds about `rate`, the server's core full. Which of them is the
/// fastest is not the same for all.
fn rounds(rate: f64) -> [Sample; 3] {
    let mut noise = [0.98, 1.0, 1.03];
    noise.rotate_left(rate as usize % 3);
    noise.map(|noise| window((rate * noise) as u64, 0.99, 0.88))
}

/// The same with the time that answers took, about `p50` in the middle.
fn timed(rate: f64, p50: f64) -> [Sample; 3] {
    rounds(rate).map(|sample| {
        let noise = sample.rate() / rate;
        let latency = Latency {
            p50: p50 * noise,
            p99: p50 * 6.0 * noise.powi(4),
            p99_9: p50 * 11.0,
            max: p50 * 40.0,
        };
        Sample {
            server_cpu_seconds: Some(0.52),
            load_cpu_seconds: 0.6,
            latency: Some(latency),
            ..sample
        }
    })
}

/// A contestant with three readings of memory.
pub(crate) fn memory(name: &str, role: Role, resident_bytes: f64) -> Entry {
    let round = |noise: f64| {
        Some(Reading::Idle(IdleSample {
            base_bytes: 5_169_152,
            resident_bytes: resident_bytes * noise,
            proportional_bytes: resident_bytes * noise * 0.99,
            kernel_bytes: 4_020.0 * noise,
        }))
    };
    Entry {
        rounds: [1.0, 0.99, 1.01].map(round).into(),
        ..Entry::new(name, role)
    }
}

/// Eight contestants of the usual kinds about `rate`, which is the server's.
fn field(rate: f64) -> Vec<Entry> {
    [
        ("corecast (uring)", Role::Server, 1.0),
        ("corecast (epoll)", Role::Variant, 0.97),
        ("baseline tokio-tungstenite", Role::Baseline, 0.71),
        ("Bun 1.3", Role::Rival, 0.93),
        ("Node 22 ws 8.18 with a rather long name", Role::Rival, 0.31),
        ("Go gorilla", Role::Rival, 0.55),
        ("floor epoll", Role::Floor, 1.02),
        ("floor uring", Role::Floor, 1.07),
    ]
    .map(|(name, role, share)| entry(name, role, rounds(rate * share)))
    .into()
}

/// A run such as `make bench` makes, with something of everything in it.
pub(crate) fn sample_results() -> Results {
    let goals = || vec![Goal::OfFloor(0.9), Goal::OfBaseline(1.3)];
    let titled = |name: &str, title: &str, group: &str, entries, goals| Contest {
        title: title.into(),
        group: group.into(),
        goals,
        ..contest(name, entries)
    };

    let mut pipelined = titled(
        "echo-20B-p16-c100",
        "Echo of 20 B, 100 connections, 16 outstanding",
        "Echo",
        field(1_695_756.0),
        goals(),
    );
    pipelined.entries[4].rounds[1] = None;
    pipelined.failures = vec![Failure {
        contestant: pipelined.entries[4].name.clone(),
        round: 2,
        cause: Cause::Contestant,
        reason: "stalled: 40 of 100 answers after 5 s".into(),
    }];

    let broadcast = titled(
        "broadcast-20B-p16-s10000",
        "Broadcast of 20 B to 10,000, 16 outstanding",
        "Broadcast",
        vec![
            entry("corecast (uring)", Role::Server, rounds(1_534_069.0)),
            entry(
                "baseline tokio-tungstenite",
                Role::Baseline,
                rounds(161_000.0),
            ),
            entry("floor sendloop", Role::Floor, rounds(112_503.0)),
        ],
        vec![Goal::OfFloor(14.0), Goal::OfBaseline(5.0)],
    );

    let bound =
        |rate: f64, server| [0.99, 1.0, 1.01].map(|n| window((rate * n) as u64, server, 1.0));
    let printed = Sample {
        server_cpu_seconds: None,
        ..window(16_000, 0.0, 0.0)
    };
    let mut handshakes = titled(
        "handshakes",
        "Opening handshakes, 64 in flight",
        "Opening",
        vec![
            entry("corecast (uring)", Role::Server, bound(13_010.0, 0.7)),
            entry(
                "baseline tokio-tungstenite",
                Role::Baseline,
                bound(12_100.0, 0.95),
            ),
            entry("floor accept", Role::Floor, bound(12_433.0, 0.56)),
            entry(
                "printed by a seed, on another machine",
                Role::Printed,
                [printed],
            ),
        ],
        vec![Goal::OfFloor(0.9)],
    );
    handshakes.unit = "handshakes".into();
    handshakes.note = "Each connection is reset as soon as it was upgraded.".into();

    let latency = titled(
        "latency-50",
        "Latency of an echo at half of the contestant's own maximum",
        "Latency",
        vec![
            entry("corecast (uring)", Role::Server, timed(34_000.0, 85.0)),
            entry(
                "baseline tokio-tungstenite",
                Role::Baseline,
                timed(24_000.0, 140.0),
            ),
            entry(
                "Node 22 ws 8.18 with a rather long name",
                Role::Rival,
                timed(10_000.0, 2_400.0),
            ),
        ],
        Vec::new(),
    );

    let idle = titled(
        "idle-memory",
        "Memory of 18,000 idle sessions",
        "Memory",
        vec![
            memory("corecast (uring)", Role::Server, 58.0),
            memory("corecast (epoll)", Role::Variant, 58.0),
            memory("baseline tokio-tungstenite", Role::Baseline, 9_800.0),
            memory(
                "Node 22 ws 8.18 with a rather long name",
                Role::Rival,
                14_200.0,
            ),
            memory("floor epoll", Role::Floor, 0.0),
        ],
        vec![Goal::Bytes(128.0), Goal::MemoryOfBaseline(0.02)],
    );

    let mut results = results(vec![
        titled(
            "echo-20B-c10000",
            "Echo of 20 B, 10,000 connections",
            "Echo",
            field(68_573.0),
            goals(),
        ),
        pipelined,
        broadcast,
        handshakes,
        latency,
        idle,
    ]);
    results.absent = vec!["uWebSockets: no C++ compiler was found".into()];
    results.skipped = vec!["echo-20B-c50000: it needs 50,200 open files".into()];
    let first = &mut results.contests[0].entries[0].rounds[1];
    if let Some(Reading::Timed(sample)) = first {
        sample.other_cpu_seconds = Some(0.18);
    }
    results
}
