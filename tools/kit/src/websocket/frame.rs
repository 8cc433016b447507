//! The bytes of whole, unfragmented frames (RFC 6455, section 5.2).
//!
//! Written apart from the server's codec on purpose: a checker that shares the
//! code it checks shares its mistakes.

use clap::ValueEnum;

/// The two kinds of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Opcode {
    /// UTF-8 text; the server has to check it.
    Text = 1,
    /// Any bytes.
    Binary = 2,
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

fn header(opcode: Opcode, mask_bit: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![FIN | opcode as u8];
    match length {
        0..=125 => bytes.push(mask_bit | length as u8),
        126..=65_535 => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes
}

/// A frame as a client sends it.
pub fn client(opcode: Opcode, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(opcode, MASKED, payload.len());
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// A frame as a server sends it: not masked, with the shortest length form.
pub fn server(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(opcode, 0, payload.len());
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6455, section 5.7.
    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(server(Opcode::Text, b"Hello"), b"\x81\x05Hello");
        assert_eq!(
            client(Opcode::Text, [0x37, 0xfa, 0x21, 0x3d], b"Hello"),
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
        let medium = server(Opcode::Binary, &[0; 256]);
        assert_eq!(medium[..4], *b"\x82\x7e\x01\x00");
        let large = server(Opcode::Binary, &[0; 65_536]);
        assert_eq!(large[..10], *b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
    }

    #[test]
    fn each_length_takes_its_shortest_form() {
        for (length, header_bytes) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![7; length];
            assert_eq!(
                server(Opcode::Binary, &payload).len(),
                header_bytes + length
            );
            assert_eq!(
                client(Opcode::Binary, [1, 2, 3, 4], &payload).len(),
                header_bytes + 4 + length
            );
        }
    }
}
