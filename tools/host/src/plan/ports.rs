//! Ports: the need of a test's clients, and never of the server.

use super::words::{count, things};
use super::{Line, Question, Section, Unit};

/// Linux's ephemeral ports, 32768 to 60999.
pub(super) const DEFAULT_PORTS: f64 = (60_999 - 32_768 + 1) as f64;
/// The widest range: 1024 to 65535.
pub(super) const WIDEST_PORTS: f64 = (65_535 - 1_024 + 1) as f64;
/// The share of an address's ports that corecast-load uses by itself.
const QUARTER: f64 = 4.0;

const DEFAULT: &str =
    "net.ipv4.ip_local_port_range by default: 60,999 − 32,768 + 1 = 28,232 (ip-sysctl.rst)";
const WIDEST: &str = "sysctl/40-corecast-ports.conf: 65,535 − 1,024 + 1 = 64,512; those below 1,024 are \
                      privileged";
const PARITY: &str = "corecast-load takes a quarter of an address's ports. Linux gives those of one parity \
                      first and then searches ever longer: with 28,232 ports, 24,600 connections a \
                      second to 13,000, and 240 a second beyond 14,116";
const TUPLE: &str = "a connection is told apart by source address, source port, target address and \
                     target port (RFC 9293)";

pub(super) fn section(question: &Question) -> Section {
    let (connections, targets) = (question.connections as f64, question.targets as f64);
    let needed = |ports: f64| (connections / (ports * targets)).ceil();
    let arithmetic = |ports: f64| {
        let by = match question.targets {
            1 => count(ports),
            _ => format!("({} × {} targets)", count(ports), count(targets)),
        };
        format!("{} / {by}, rounded up", count(connections))
    };
    let line = |name, what, ports: f64| {
        Line::new(name, what, needed(ports), Unit::Count, arithmetic(ports))
    };
    let mut lines = vec![
        Line::new(
            "server_ports",
            "ports of the server",
            targets,
            Unit::Count,
            "all connections to it share its port",
        )
        .from(TUPLE),
        line(
            "sources_default_range",
            "client addresses with the default port range",
            DEFAULT_PORTS,
        )
        .from(DEFAULT),
        line(
            "sources_widest_range",
            "client addresses with the widest range",
            WIDEST_PORTS,
        )
        .from(WIDEST),
        line(
            "sources_fast_default_range",
            "client addresses at which opening stays fast, default range",
            DEFAULT_PORTS / QUARTER,
        )
        .from(PARITY),
        line(
            "sources_fast",
            "client addresses at which opening stays fast, widest range",
            WIDEST_PORTS / QUARTER,
        )
        .from(PARITY),
    ];
    if let Some(sources) = question.sources {
        let room = |ports: f64| sources as f64 * ports * targets;
        let arithmetic = |ports| {
            format!(
                "{} × {} × {}",
                things(sources as f64, "source", "sources"),
                count(ports),
                things(targets, "target", "targets")
            )
        };
        lines.push(
            Line::new(
                "room_default_range",
                "connections that these sources can open by default",
                room(DEFAULT_PORTS),
                Unit::Count,
                arithmetic(DEFAULT_PORTS),
            )
            .from(DEFAULT),
        );
        lines.push(
            Line::new(
                "room_widest_range",
                "connections that they can open with the widest range",
                room(WIDEST_PORTS),
                Unit::Count,
                arithmetic(WIDEST_PORTS),
            )
            .from(WIDEST),
        );
    }
    Section {
        title: "Ports of the clients in a test",
        lines,
    }
}
