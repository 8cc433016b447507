//! The server's network port: bits and packets per second, each way.

use super::words::{bits_per_second, count, figure, percent};
use super::{Line, Question, Section, Unit};
use crate::budget::wire::{EMPTY_PACKET_BYTES, PORT_SPEEDS, Traffic, header_bytes};

const HEADERS: &str = "RFC 6455, 5.2: a frame's header is 2 to 10 bytes, and 4 more from a client; TCP and \
                       IPv4 with timestamps 52, Ethernet with preamble and pause 38; 1,448 bytes of \
                       data in a packet";
const ACKNOWLEDGED: &str = "each packet is acknowledged by one of its own, but an echo carries the \
                            acknowledgement of its message";

pub(super) fn section(question: &Question) -> Section {
    let payload = question.payload_bytes;
    let (message, delivery) = (
        Traffic::of_message(payload, true),
        Traffic::of_message(payload, false),
    );
    let (rate, deliveries) = (question.rate, question.deliveries());
    let pings = pings(question);
    let arriving = message
        .times(rate)
        .and(delivery.acknowledged().times(deliveries))
        .and(pings.arriving);
    let answered = question.fan_out == 1;
    let acknowledgements = if answered { 0.0 } else { rate };
    let leaving = delivery
        .times(deliveries)
        .and(message.acknowledged().times(acknowledgements))
        .and(pings.leaving);
    let busier = arriving.bits().max(leaving.bits());
    let shares: Vec<String> = PORT_SPEEDS
        .iter()
        .map(|speed| {
            let share = percent(busier / *speed as f64);
            format!("{share} of {}G", speed / 1_000_000_000)
        })
        .collect();
    let per_message = |traffic: &Traffic, from_client| {
        format!(
            "{} + {} + {} × {EMPTY_PACKET_BYTES} B",
            count(payload as f64),
            header_bytes(payload, from_client),
            count(traffic.packets)
        )
    };
    let (inwards, outwards) = (per_message(&message, true), per_message(&delivery, false));
    let bits = |name, what, traffic: Traffic, arithmetic| {
        Line::new(name, what, traffic.bits(), Unit::BitsPerSecond, arithmetic)
            .from(HEADERS)
            .from(ACKNOWLEDGED)
    };
    let packets = |name, what, traffic: Traffic| {
        let arithmetic = "messages, acknowledgements and pings";
        Line::new(name, what, traffic.packets, Unit::PerSecond, arithmetic).from(ACKNOWLEDGED)
    };
    Section {
        title: "Network of the server, at the wire",
        lines: vec![
            bits(
                "bits_in",
                "arriving",
                arriving,
                format!("{}/s × ({inwards}), acknowledgements, pongs", figure(rate)),
            ),
            bits(
                "bits_out",
                "leaving",
                leaving,
                format!("{}/s × ({outwards}), pings", figure(deliveries)),
            ),
            packets("packets_in", "packets arriving", arriving),
            packets("packets_out", "packets leaving", leaving),
            Line::new(
                "busier_direction",
                format!("the busier way: {}", bits_per_second(busier)),
                busier,
                Unit::BitsPerSecond,
                shares.join(", "),
            ),
        ],
    }
}

/// The traffic of pings, each way.
pub(super) struct Pings {
    /// Pongs, and acknowledgements are on them.
    pub arriving: Traffic,
    /// Pings, and the acknowledgements of the pongs.
    pub leaving: Traffic,
}

/// The pings of a second.
pub(super) fn pings(question: &Question) -> Pings {
    let count = question.pings();
    let (ping, pong) = (Traffic::of_message(0, false), Traffic::of_message(0, true));
    Pings {
        arriving: pong.times(count),
        leaving: ping.and(pong.acknowledged()).times(count),
    }
}
