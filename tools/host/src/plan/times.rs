//! How long it takes: to open all connections, to reach all, to notice the dead.

use super::network;
use super::processor;
use super::words::{count, figure, time};
use super::{Line, Question, Section, Unit};
use crate::Settings;
use crate::budget::processor::{DELIVERY, HANDSHAKE};

const BACKLOG: &str = "--backlog of each shard, as far as net.core.somaxconn allows it";

pub(super) fn section(question: &Question, cores: u64, settings: &Settings) -> Section {
    let backlog = settings.backlog as f64;
    let connections = question.connections as f64;
    let possible = processor::openings(question, cores);
    let rate = question.connect_rate.unwrap_or(possible);
    let shards = count(cores as f64);
    let mut lines = vec![
        Line::new(
            "connect_rate",
            "connections that these cores can open",
            possible,
            Unit::PerSecond,
            format!(
                "{shards} × {} / {} µs",
                processor::FILL,
                figure(HANDSHAKE.micros(question.connections))
            ),
        )
        .from(HANDSHAKE.origin),
        Line::new(
            "seconds_to_connect",
            "to open all",
            connections / rate,
            Unit::Seconds,
            format!("{} / {}/s", count(connections), figure(rate)),
        ),
        Line::new(
            "seconds_of_stall",
            "a shard may stop accepting before any is lost",
            backlog * cores as f64 / rate,
            Unit::Seconds,
            format!("{} × {shards} / {}/s", count(backlog), figure(rate)),
        )
        .from(BACKLOG),
    ];
    if question.fan_out > 1 {
        lines.push(
            Line::new(
                "seconds_to_reach_all",
                "one message, to all it is for",
                processor::fan_out(question, cores),
                Unit::Seconds,
                format!(
                    "{} × {} µs / {shards}",
                    count(question.fan_out as f64),
                    figure(DELIVERY.micros(question.connections))
                ),
            )
            .from(DELIVERY.origin),
        );
    }
    lines.extend(heartbeats(question));
    Section {
        title: "Times and heartbeats",
        lines,
    }
}

fn heartbeats(question: &Question) -> Vec<Line> {
    let Some(interval) = question
        .ping_interval
        .map(|interval| interval.as_secs_f64())
    else {
        return Vec::new();
    };
    let pings = question.pings();
    let arithmetic = if pings > 0.0 {
        format!(
            "{} / {}",
            count(question.connections as f64),
            time(interval)
        )
    } else {
        format!(
            "none: each connection is heard every {}, and only silence is pinged",
            time(question.connections as f64 / question.rate)
        )
    };
    let traffic = network::pings(question);
    vec![
        Line::new("pings", "pings", pings, Unit::PerSecond, arithmetic),
        Line::new(
            "ping_bits",
            "on the wire, both ways",
            traffic.arriving.bits() + traffic.leaving.bits(),
            Unit::BitsPerSecond,
            format!(
                "{}/s × (92 B ping + 96 B pong + 90 B acknowledgement)",
                figure(pings)
            ),
        ),
    ]
}
