//! The network traffic of messages and pings.
//!
//! # Invariants worth naming
//!
//! - Bytes are those at the wire: all that occupy an Ethernet port, the pause
//!   between two frames included.
//! - A packet that carries data is acknowledged by one of its own, unless an
//!   answer carries the acknowledgement. That is the worst case, and the usual
//!   one where messages are rare: TCP waits 40 ms for something to put it on.

/// Headers of a TCP packet over IPv4: 20 of each, and 12 for timestamps.
pub const TCP_IP_BYTES: u64 = 52;

/// The bytes that Ethernet adds to a packet: header 14, checksum 4, preamble 8,
/// pause 12.
pub const ETHERNET_BYTES: u64 = 38;

/// Payload of one packet: an Ethernet frame carries 1,500 bytes.
pub const SEGMENT_BYTES: u64 = 1_500 - TCP_IP_BYTES;

/// Bytes at the wire of a packet without data, such as an acknowledgement.
pub const EMPTY_PACKET_BYTES: u64 = TCP_IP_BYTES + ETHERNET_BYTES;

/// The speeds that ports come in, in bits per second.
pub const PORT_SPEEDS: [u64; 4] = [
    1_000_000_000,
    10_000_000_000,
    25_000_000_000,
    100_000_000_000,
];

/// Packets and bytes at the wire, of one thing or per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// How many packets.
    pub packets: f64,
    /// Their bytes at the wire.
    pub bytes: f64,
}

impl Traffic {
    /// A WebSocket message in packets of its own.
    pub fn of_message(payload_bytes: u64, from_client: bool) -> Traffic {
        let bytes = payload_bytes + header_bytes(payload_bytes, from_client);
        let packets = bytes.div_ceil(SEGMENT_BYTES);
        Traffic {
            packets: packets as f64,
            bytes: (bytes + packets * EMPTY_PACKET_BYTES) as f64,
        }
    }

    /// The packets that acknowledge these.
    pub fn acknowledged(&self) -> Traffic {
        Traffic {
            packets: self.packets,
            bytes: self.packets * EMPTY_PACKET_BYTES as f64,
        }
    }

    /// So many of these.
    pub fn times(&self, count: f64) -> Traffic {
        Traffic {
            packets: self.packets * count,
            bytes: self.bytes * count,
        }
    }

    /// Both together.
    pub fn and(&self, other: Traffic) -> Traffic {
        Traffic {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
        }
    }

    /// The same in bits.
    pub fn bits(&self) -> f64 {
        self.bytes * 8.0
    }
}

/// The bytes of a frame's header (RFC 6455 §5.2); a client's frames are masked.
pub fn header_bytes(payload_bytes: u64, from_client: bool) -> u64 {
    let length = match payload_bytes {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    let mask = if from_client { 4 } else { 0 };
    2 + length + mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_two_to_fourteen_bytes() {
        for (payload, from_server) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            assert_eq!(header_bytes(payload, false), from_server, "{payload}");
            assert_eq!(header_bytes(payload, true), from_server + 4, "{payload}");
        }
    }

    #[test]
    fn a_small_message_is_mostly_headers() {
        let message = Traffic::of_message(20, false);
        assert_eq!((message.packets, message.bytes), (1.0, 112.0));
        let acknowledgement = message.acknowledged();
        assert_eq!(
            (acknowledgement.packets, acknowledgement.bytes),
            (1.0, 90.0)
        );
    }

    #[test]
    fn a_large_message_is_cut_into_packets() {
        let message = Traffic::of_message(16 * 1024, false);
        assert_eq!(message.packets, 12.0);
        assert_eq!(message.bytes, (16_384 + 4 + 12 * 90) as f64);
    }
}
