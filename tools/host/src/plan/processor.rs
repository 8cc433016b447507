//! Cores: for messages, deliveries, pings and handshakes.

use super::words::{count, figure, percent};
use super::{Line, Question, Section, Unit};
use crate::budget::processor::{DELIVERY, HANDSHAKE, Measured, RECEIPT};

/// How full a core should be in the steady state, so that it can take a burst.
pub(super) const FILL: f64 = 0.8;

const EIGHTY: &str = "the 100k guide: keep each scheduler under 80 % in the steady state";

/// Microseconds of a core for something with so many sessions.
fn seconds(cost: Measured, question: &Question) -> f64 {
    cost.micros(question.connections) / 1e6
}

/// Cores that are full in the steady state.
fn steady(question: &Question) -> f64 {
    let (receipt, delivery) = (seconds(RECEIPT, question), seconds(DELIVERY, question));
    question.rate * receipt
        + question.deliveries() * delivery
        + question.pings() * (receipt + delivery)
}

/// Cores that are needed.
pub(super) fn needed(question: &Question) -> f64 {
    (steady(question) / FILL).ceil().max(1.0)
}

/// More cores than any host has; a load that needs more is counted as if it had
/// these.
const MOST: f64 = 1e9;

/// Cores that the server has, or as many as are needed.
pub(super) fn cores(question: &Question) -> u64 {
    let needed = needed(question).min(MOST) as u64;
    question.cores.unwrap_or(needed).max(1)
}

/// Connections that so many cores can open per second when that is all they do.
pub(super) fn openings(question: &Question, cores: u64) -> f64 {
    cores as f64 * FILL / seconds(HANDSHAKE, question)
}

/// How long one message takes to all it is for, in seconds, on so many cores.
pub(super) fn fan_out(question: &Question, cores: u64) -> f64 {
    question.fan_out as f64 * seconds(DELIVERY, question) / cores as f64
}

pub(super) fn section(question: &Question, cores: u64) -> Section {
    let line = |name, what, per_second: f64, costs: &[Measured]| {
        let micros: f64 = costs
            .iter()
            .map(|cost| cost.micros(question.connections))
            .sum();
        let mut line = Line::new(
            name,
            what,
            per_second * micros / 1e6,
            Unit::Cores,
            format!("{}/s × {} µs", figure(per_second), figure(micros)),
        );
        line.origins.extend(costs.iter().map(|cost| cost.origin));
        line
    };
    let steady = steady(question);
    let mut lines = vec![
        line(
            "cores_messages",
            "messages received",
            question.rate,
            &[RECEIPT],
        ),
        line(
            "cores_deliveries",
            "messages sent",
            question.deliveries(),
            &[DELIVERY],
        ),
        line(
            "cores_pings",
            "pings, and the pongs received",
            question.pings(),
            &[DELIVERY, RECEIPT],
        ),
        Line::new(
            "cores_needed",
            "needed",
            needed(question),
            Unit::Cores,
            format!("{} / {FILL}, rounded up", figure(steady)),
        )
        .from(EIGHTY),
    ];
    if question.cores.is_some() {
        lines.push(Line::new(
            "cores_busy",
            format!("so busy is each of {}", count(cores as f64)),
            steady / cores as f64,
            Unit::Cores,
            format!(
                "{} / {} = {}",
                figure(steady),
                count(cores as f64),
                percent(steady / cores as f64)
            ),
        ));
    }
    if let Some(rate) = question.connect_rate {
        lines.push(line(
            "cores_handshakes",
            "handshakes, while connections are opened",
            rate,
            &[HANDSHAKE],
        ));
    }
    Section {
        title: "Cores of the server",
        lines,
    }
}
