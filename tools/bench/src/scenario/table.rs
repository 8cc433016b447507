//! Every scenario, with its goals.

use super::{Load, Scenario};
use crate::contestant::{Field, GENERATOR, ONE_SHARD, PLAIN};
use crate::floor::Floor;
use crate::load::broadcast::Broadcast;
use crate::load::echo::Echo;
use crate::load::handshake::Handshakes;
use crate::load::idle::Idle;
use crate::load::lobby::{Joins, Lobby};
use crate::load::part_load::PartLoad;
use crate::results::Goal;
use crate::tool::{Counts, ToolLoad};

const KIB: usize = 1024;

/// The floor without io_uring, the best such a kernel can do, and the two with it.
const ECHO_FLOORS: &[Floor] = &[Floor::Epoll, Floor::Uring, Floor::UringQueued];

/// The family of those that speak Phoenix Channels.
const PHOENIX: &str = "Phoenix Channels";

/// Everything but the seeds' tests.
pub(super) fn full() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for payload_bytes in [20, KIB, 16 * KIB] {
        for outstanding in [1, 16] {
            for connections in [1, 100, 1_000, 10_000] {
                let echo = Echo {
                    connections,
                    outstanding,
                    payload_bytes,
                };
                // 2.6 GB would be on their way at once.
                if echo.bytes_under_way() < 1 << 30 {
                    scenarios.push(self::echo(echo));
                }
            }
        }
    }
    scenarios.extend([0.1, 0.5].map(part_load));
    for payload_bytes in [20, KIB] {
        for outstanding in [1, 16] {
            for subscribers in [1_000, 10_000, 18_000] {
                scenarios.push(broadcast(Broadcast {
                    subscribers,
                    outstanding,
                    payload_bytes,
                }));
            }
        }
    }
    scenarios.extend([500, 10_000, 18_000].map(lobby));
    scenarios.extend([500, 10_000].map(joins));
    scenarios.extend([shards(), chat(), handshakes(), churn()]);
    scenarios.extend([0.5, 0.8].map(latency));
    scenarios.extend([generators_echo(), idle_memory()]);
    scenarios
}

/// A size as names have it, `20B`, or with a space as titles have it, `1 KiB`.
fn size(bytes: usize, space: &str) -> String {
    match bytes {
        0..KIB => format!("{bytes}{space}B"),
        _ => format!("{}{space}KiB", bytes / KIB),
    }
}

fn plural(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        1_000.. => format!("{},{:03} {one}s", count / 1_000, count % 1_000),
        _ => format!("{count} {one}s"),
    }
}

fn depth_in_name(outstanding: usize) -> String {
    match outstanding {
        1 => String::new(),
        _ => format!("-p{outstanding}"),
    }
}

fn depth_in_title(outstanding: usize) -> String {
    match outstanding {
        1 => String::new(),
        _ => format!(", {outstanding} outstanding"),
    }
}

fn of_plain_baseline(times: f64) -> Goal {
    let of = PLAIN.into();
    Goal::Times { of, times }
}

fn echo(echo: Echo) -> Scenario {
    let Echo {
        connections,
        outstanding,
        payload_bytes,
    } = echo;
    let goals = match (payload_bytes, connections, outstanding) {
        (20, 10_000, 1) => vec![
            Goal::OfFloor(0.97),
            Goal::OfBaseline(1.3),
            of_plain_baseline(1.3),
        ],
        (20, 100, 16) | (16_384, 100, 1) => vec![Goal::OfFloor(0.95)],
        _ => Vec::new(),
    };
    Scenario {
        name: format!(
            "echo-{}{}-c{connections}",
            size(payload_bytes, ""),
            depth_in_name(outstanding)
        ),
        title: format!(
            "Echo of {}, {}{}",
            size(payload_bytes, " "),
            plural(connections, "connection"),
            depth_in_title(outstanding)
        ),
        group: "Echo",
        unit: "messages",
        note: "",
        is_standard: !goals.is_empty(),
        load: Load::Echo(echo),
        field: Field::OneCore,
        floors: ECHO_FLOORS,
        goals,
    }
}

fn part_load(share: f64) -> Scenario {
    let percent = share * 100.0;
    Scenario {
        name: format!("part-load-{percent:.0}"),
        title: format!("Echo of 20 B on 100 connections at {percent:.0} % of its own highest rate"),
        group: "Echo",
        unit: "messages",
        note: "What counts here is CPU time per message: each contestant is offered a part of \
               what it can do itself, one message at a time, and sleeps in between.",
        load: Load::PartLoad(PartLoad {
            echo: Echo {
                connections: 100,
                outstanding: 1,
                payload_bytes: 20,
            },
            share,
        }),
        field: Field::OneCore,
        floors: &[Floor::Epoll],
        goals: vec![Goal::OfFloor(0.97)],
        is_standard: true,
    }
}

fn broadcast(broadcast: Broadcast) -> Scenario {
    let Broadcast {
        subscribers,
        outstanding,
        payload_bytes,
    } = broadcast;
    let goals = match (payload_bytes, subscribers, outstanding) {
        (20, 10_000, 1) => vec![Goal::OfFloor(0.95)],
        (20, 18_000, 1) => vec![
            Goal::OfFloor(0.95),
            Goal::OfBaseline(1.4),
            of_plain_baseline(1.4),
        ],
        // 2,000 k/s where a loop of sends made 237 k/s.
        (20, 10_000, 16) => vec![
            Goal::OfFloor(8.4),
            Goal::OfBaseline(5.0),
            of_plain_baseline(5.0),
        ],
        _ => Vec::new(),
    };
    Scenario {
        name: format!(
            "broadcast-{}{}-s{subscribers}",
            size(payload_bytes, ""),
            depth_in_name(outstanding)
        ),
        title: format!(
            "Broadcast of {} to {}{}",
            size(payload_bytes, " "),
            plural(subscribers, "subscriber"),
            depth_in_title(outstanding)
        ),
        group: "Broadcast",
        unit: "deliveries",
        note: "",
        is_standard: matches!(
            (payload_bytes, subscribers, outstanding),
            (20, 18_000, 1) | (20, 10_000, 16)
        ),
        load: Load::Broadcast(broadcast),
        field: Field::OneCore,
        floors: &[Floor::Sendloop],
        goals,
    }
}

fn lobby(members: usize) -> Scenario {
    Scenario {
        name: format!("phoenix-lobby-s{members}"),
        title: format!(
            "Phoenix: broadcast of 20 B to rooms:lobby with {}",
            plural(members, "member")
        ),
        group: PHOENIX,
        unit: "deliveries",
        note: "V2 JSON; the publisher is a member, gets its own copy and a reply. Times are those \
               from the push until the last member has the message. Nobody else here speaks \
               this protocol; the floor sends each member as many bytes.",
        load: Load::Lobby(Lobby {
            members,
            body_bytes: 20,
        }),
        field: Field::Phoenix,
        floors: &[Floor::Sendloop],
        goals: Vec::new(),
        is_standard: members == 10_000,
    }
}

fn joins(members: usize) -> Scenario {
    Scenario {
        name: format!("phoenix-joins-c{members}"),
        title: format!(
            "Phoenix: leave rooms:lobby and join it again, {}, all the time",
            plural(members, "member")
        ),
        group: PHOENIX,
        unit: "joins",
        note: "V2 JSON, the two messages in one write, three answers to them. With each join \
               goes a leave.",
        load: Load::Joins(Joins { members }),
        field: Field::Phoenix,
        floors: &[],
        goals: Vec::new(),
        is_standard: members == 10_000,
    }
}

fn shards() -> Scenario {
    Scenario {
        name: "cross-core-s10000".into(),
        title:
            "Broadcast of 20 B to 10,000 subscribers on two shards, the publisher on one of them"
                .into(),
        group: "Across cores",
        unit: "deliveries",
        note: "Two cores for the server. On a host with two cores the load shares the second, \
               so rates are not comparable with those of one core; each core's deliveries per \
               second of its own CPU time are. The one shard beside it has the first core for \
               itself: on the core of the load it would find sockets in the cache that the \
               load has just read, and be faster than any server on a core of its own.",
        load: Load::Broadcast(Broadcast {
            subscribers: 10_000,
            outstanding: 1,
            payload_bytes: 20,
        }),
        field: Field::TwoShards,
        floors: &[],
        goals: vec![Goal::SlowestCore {
            of: ONE_SHARD.into(),
            share: 0.9,
        }],
        is_standard: true,
    }
}

fn chat() -> Scenario {
    Scenario {
        name: "chat-two-shards".into(),
        title: "JSON chat of 1,000 users on two shards, 50 of whom write".into(),
        group: "Across cores",
        unit: "deliveries",
        note: "Two cores for the server; on a host with two cores the load shares them.",
        load: Load::Tool(ToolLoad {
            arguments: "broadcast {url}/ws --protocol chat -s 1000 -p 50 --outstanding 1 \
                        --size 64 -d {seconds}s --warm-up {warm_up}s",
            counts: Counts::Received,
            latency: Some("delivery"),
            connections: 1_000,
            seconds: None,
        }),
        field: Field::Chat,
        floors: &[],
        goals: Vec::new(),
        is_standard: false,
    }
}

fn handshakes() -> Scenario {
    Scenario {
        name: "handshakes".into(),
        title: "Opening handshakes, 64 in flight".into(),
        group: "Connections",
        unit: "handshakes",
        note: "",
        load: Load::Handshakes(Handshakes { in_flight: 64 }),
        field: Field::OneCore,
        floors: &[Floor::Accept],
        // 55 k/s where Bun made 49 k/s.
        goals: vec![Goal::Times {
            of: "bun".into(),
            times: 1.12,
        }],
        is_standard: true,
    }
}

fn churn() -> Scenario {
    Scenario {
        name: "churn".into(),
        title: "Connect, echo once, close with a close frame; 64 at a time".into(),
        group: "Connections",
        unit: "connections",
        note: "",
        load: Load::Tool(ToolLoad {
            arguments: "churn {url}/echo -c 64 --exchanges 1 --size 20 -d {seconds}s",
            counts: Counts::Received,
            latency: Some("echo"),
            connections: 64,
            seconds: None,
        }),
        field: Field::OneCore,
        floors: &[],
        goals: Vec::new(),
        is_standard: false,
    }
}

fn latency(share: f64) -> Scenario {
    let percent = share * 100.0;
    Scenario {
        name: format!("latency-{percent:.0}"),
        title: format!(
            "Echo of 20 B on 1,000 connections at {percent:.0} % of its own highest rate"
        ),
        group: "Latency",
        unit: "messages",
        note: "Each server is offered a share of what it can do itself, in an open loop: times \
               count from the planned moment, so that a stall is charged to everybody who \
               waited.",
        load: Load::Latency {
            echo: Echo {
                connections: 1_000,
                outstanding: 1,
                payload_bytes: 20,
            },
            share,
        },
        field: Field::OneCore,
        floors: &[],
        goals: Vec::new(),
        is_standard: share == 0.5,
    }
}

fn generators_echo() -> Scenario {
    Scenario {
        name: "generators-echo".into(),
        title: "Echo of 20 B on 1,000 connections, measured by two generators".into(),
        group: "Generators",
        unit: "messages",
        note: "The same server under two generators that share no code: the benchmark's own and \
               corecast-load.",
        load: Load::Echo(Echo {
            connections: 1_000,
            outstanding: 1,
            payload_bytes: 20,
        }),
        field: Field::TwoGenerators(ToolLoad {
            arguments: "echo {url}/echo -c 1000 --size 20 -d {seconds}s --warm-up {warm_up}s",
            counts: Counts::Received,
            latency: None,
            connections: 1_000,
            seconds: None,
        }),
        floors: &[],
        goals: vec![Goal::Within {
            of: GENERATOR.into(),
            share: 0.1,
        }],
        is_standard: false,
    }
}

fn idle_memory() -> Scenario {
    Scenario {
        name: "idle-memory".into(),
        title: "18,000 idle sessions on /echo".into(),
        group: "Memory",
        unit: "sessions",
        note: "Growth from a server warmed up by 200 sessions with one message echoed on each, \
               which stay open; transparent huge pages are off here, so that growth shows to \
               the page. Kernel memory is the growth of all slabs, halved for the two ends of \
               a loopback connection.",
        load: Load::Idle(Idle {
            warm_up_sessions: 200,
            sessions: 18_000,
        }),
        field: Field::OneCore,
        floors: &[Floor::Epoll],
        goals: vec![
            Goal::Bytes(256.0),
            Goal::Bytes(128.0),
            Goal::MemoryOfBaseline(1.0 / 50.0),
        ],
        is_standard: true,
    }
}

/// The three load tests of the documents this project began with: a chat server
/// under 50,000 connections.
pub(super) fn seeds() -> Vec<Scenario> {
    const CONNECTIONS: usize = 50_000;
    let seed = |name: &str, title: &str, unit, printed, tool| Scenario {
        name: name.into(),
        title: title.into(),
        group: "The seeds' tests",
        unit,
        note: "The printed figures are of an Elixir server and its client on a MacBook Pro, \
               with all its cores for both; here both sides have the cores named above. \
               They say where the project began, not which design is faster.",
        load: Load::Tool(tool),
        field: Field::Seeds { printed },
        floors: &[],
        goals: Vec::new(),
        is_standard: false,
    };
    vec![
        seed(
            "seed-connections",
            "Open 50,000 chat connections",
            "connections",
            1_146.6,
            ToolLoad {
                arguments: "connect {url}/ws -c 50k --hold 2s",
                counts: Counts::Opened,
                latency: Some("handshake"),
                connections: CONNECTIONS,
                seconds: Some(30),
            },
        ),
        seed(
            "seed-messages",
            "750,000 chat messages over 50,000 connections",
            "messages",
            27_910.0,
            ToolLoad {
                arguments: "message {url}/ws --protocol chat -c 50k -m 750k",
                counts: Counts::Sent,
                latency: None,
                connections: CONNECTIONS,
                seconds: Some(60),
            },
        ),
        seed(
            "seed-endurance",
            "Chat messages over 50,000 connections for 60 s",
            "messages",
            44_573.0,
            ToolLoad {
                arguments: "endurance {url}/ws --protocol chat -c 50k -d 60s",
                counts: Counts::Sent,
                latency: None,
                connections: CONNECTIONS,
                seconds: Some(120),
            },
        ),
    ]
}
