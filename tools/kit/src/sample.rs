//! Outcomes for the tests: a realistic run, and one in which nothing happened.

use crate::cause::Cause;
use crate::outcome::{
    Connections, Deliveries, Finding, Latency, Machine, Messages, Outcome, Resources, Sample,
    ServerResources, Setting, Severity,
};

const MIB: u64 = 1 << 20;
/// Connections of the sample.
const ASKED: u64 = 20_000;
/// Samples of the sample, one a second.
const SAMPLES: usize = 120;

/// A run of two minutes: 20,000 connections are opened in 12 s, then echo. A
/// few handshakes are refused, and the server stalls once for a moment.
pub fn sample_outcome() -> Outcome {
    outcome_of(SAMPLES)
}

/// The same with so many samples.
pub fn outcome_of(samples: usize) -> Outcome {
    let mut noise = Noise(7);
    let mut latencies = [
        ("handshake", Latency::default()),
        ("echo", Latency::default()),
    ];
    let mut series: Vec<Sample> = (0..samples.min(SAMPLES))
        .map(|index| sample(index, &mut noise, &mut latencies))
        .collect();
    // Timing is slow in a test: a longer run repeats its busy time.
    for index in series.len()..samples {
        series.push(Sample {
            at: index as f64 + 1.0,
            ..series[SAMPLES / 2 + index % (SAMPLES / 2)].clone()
        });
    }
    let (sent, received) = (sum(&series, |s| s.sent), sum(&series, |s| s.received));
    let opened = sum(&series, |s| s.opened);
    Outcome {
        command: [
            "corecast-load",
            "echo",
            "-c",
            "20000",
            "ws://127.0.0.1:8080/echo",
        ]
        .map(str::to_owned)
        .to_vec(),
        settings: [
            ("connections", "20,000"),
            ("opening rate", "2,000 per second"),
            ("message", "64 bytes, binary"),
            ("in flight", "4 per connection"),
            ("duration", "100 s after 5 s of warm-up"),
        ]
        .map(|(name, value)| Setting {
            name: name.into(),
            value: value.into(),
        })
        .to_vec(),
        machines: vec![Machine {
            hostname: "anvil".into(),
            boot: String::new(),
            kernel: "6.8.0".into(),
            cpu: "EPYC 7543P".into(),
            cores: 4,
            memory_bytes: 16_384 * MIB,
            threads: 2,
        }],
        seconds: samples as f64,
        connections: Connections {
            asked: ASKED,
            opened,
            failed: [(Cause::Status(503), 37), (Cause::Descriptors, 3)].into(),
            lost: [(Cause::Reset, 2)].into(),
            closed: opened.saturating_sub(2),
            peak: opened,
            opening_seconds: 12.0,
        },
        messages: Messages {
            seconds: 100.0,
            sent,
            received,
            sent_bytes: sent * 64,
            received_bytes: received * 64,
            confirmed: Some(sent),
        },
        deliveries: Some(Deliveries {
            publications: sent,
            expected: sent,
            received,
            lost: sent - received,
            ..Deliveries::default()
        }),
        latencies: latencies
            .into_iter()
            .map(|(name, latency)| (name.to_owned(), latency))
            .collect(),
        resources: Resources {
            client_cpu_seconds: 196.0,
            busiest_thread: 0.99,
            client_memory_bytes: 96 * MIB,
            client_memory_before_bytes: 9 * MIB,
            server: Some(ServerResources {
                pid: 4_321,
                name: "corecast".into(),
                cpu_seconds: 171.0,
                busiest_thread: 0.88,
                memory_bytes: 61 * MIB,
                memory_before_bytes: 12 * MIB,
            }),
            kernel_memory_bytes: Some(148 * MIB),
            client_bound: true,
        },
        series,
        findings: vec![
            Finding {
                severity: Severity::Failure,
                what: "3 connections found no free descriptor: the limit is 20,000".into(),
                remedy: "ulimit -n 1048576".into(),
            },
            Finding {
                severity: Severity::Limit,
                what: "the generator's threads were busy 99 % of the time".into(),
                remedy: "give it more cores: --threads 4".into(),
            },
        ],
        ..empty_outcome()
    }
}

/// A run in which nothing was asked for and nothing happened.
pub fn empty_outcome() -> Outcome {
    Outcome {
        targets: vec!["ws://127.0.0.1:8080/echo".into()],
        started_unix_ms: 1_760_000_000_000,
        ..Outcome::new("echo")
    }
}

fn sample(index: usize, noise: &mut Noise, latencies: &mut [(&str, Latency); 2]) -> Sample {
    let second = index as u64 + 1;
    let connected = (second * ASKED / 12).min(ASKED - 40);
    let before = (index as u64 * ASKED / 12).min(ASKED - 40);
    let opened = connected - before;
    let busy = second > 15;
    let stall = if index == 70 { 30.0 } else { 1.0 };
    let mut timed = std::collections::BTreeMap::new();
    for (name, latency) in latencies.iter_mut() {
        let times = match *name {
            "handshake" => opened.min(500),
            _ if busy => 500,
            _ => 0,
        };
        if times == 0 {
            continue;
        }
        let mut here = Latency::default();
        for _ in 0..times {
            let tail = if noise.next() > 0.985 { 14.0 } else { 1.0 };
            let shape = (noise.next() + noise.next() + noise.next()) / 1.5;
            here.record_nanos((180_000.0 * (0.3 + shape.powi(3)) * tail * stall) as u64);
        }
        latency.add(&here);
        timed.insert((*name).to_owned(), here.percentiles());
    }
    let sent = if busy {
        ((310_000.0 + 12_000.0 * noise.next()) / stall.sqrt()) as u64
    } else {
        0
    };
    Sample {
        at: second as f64,
        seconds: 1.0,
        users: (connected + 40 * u64::from(index < 14)).min(ASKED),
        connected,
        opened,
        failed: if index == 11 { 40 } else { 0 },
        sent,
        received: sent - u64::from(index == 70) * 12,
        sent_bytes: sent * 64,
        received_bytes: sent * 64,
        latencies: timed,
        client_cpu: if busy { 1.9 + 0.08 * noise.next() } else { 0.4 },
        server_cpu: Some(if busy { 1.6 + 0.2 * noise.next() } else { 0.3 }),
        cores: (0..4)
            .map(|core| (0.7 + 0.06 * f64::from(core) + 0.1 * noise.next()).min(1.0))
            .collect(),
        client_memory_bytes: 9 * MIB + connected * 4_560,
        server_memory_bytes: Some(12 * MIB + connected * 2_570),
        kernel_memory_bytes: Some(300 * MIB + connected * 7_760),
        server_descriptors: Some(connected + 24),
        server_sessions: Some(connected),
    }
}

fn sum(series: &[Sample], of: impl Fn(&Sample) -> u64) -> u64 {
    series.iter().map(of).sum()
}

/// Numbers from 0 to 1 that are the same on every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(u32::MAX >> 1)
    }
}
