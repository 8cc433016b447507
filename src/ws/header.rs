//! A frame's opcode and header (RFC 6455 §5.2).

use super::error::ProtocolError;

/// The longest header: two bytes, a 64-bit length and a mask.
pub const MAX_HEADER_BYTES: usize = 14;

/// Payload bytes a control frame may have (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD_BYTES: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// In the place of the length: the length follows in two bytes.
const LENGTH_16: u8 = 126;
/// In the place of the length: the length follows in eight bytes.
const LENGTH_64: u8 = 127;

/// The kind of a frame (RFC 6455 §11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further fragment of the message that has begun.
    Continuation = 0,
    /// A text message, or the first fragment of one.
    Text = 1,
    /// A binary message, or the first fragment of one.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// A question whether the other end is there.
    Ping = 9,
    /// The answer to a ping.
    Pong = 10,
}

impl OpCode {
    /// The opcode with this number, or `None` if it has no meaning.
    #[inline]
    pub const fn new(number: u8) -> Option<OpCode> {
        Some(match number {
            0 => OpCode::Continuation,
            1 => OpCode::Text,
            2 => OpCode::Binary,
            8 => OpCode::Close,
            9 => OpCode::Ping,
            10 => OpCode::Pong,
            _ => return None,
        })
    }

    /// Whether this is a control frame, which is short and never fragmented (§5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// The header before a frame's payload (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// The kind of the frame.
    pub opcode: OpCode,
    /// The key a client's payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that follow; less than 2⁶³.
    pub payload_len: u64,
}

impl FrameHeader {
    /// Reads the header at the start of `bytes` and says how long it is. `None`: the
    /// header is not whole yet, and its bytes so far are without fault.
    ///
    /// # Errors
    ///
    /// The faults of a header by itself: reserved bits, an unknown opcode, a control
    /// frame in fragments or too long, a length not in its shortest form or with its
    /// top bit set. Each is found with the byte that brings it.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, ProtocolError> {
        let [first, rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & RESERVED != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        let number = first & 0x0f;
        let opcode = OpCode::new(number).ok_or(ProtocolError::UnknownOpCode(number))?;
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }

        let [second, rest @ ..] = rest else {
            return Ok(None);
        };
        let length = second & !MASKED;
        if opcode.is_control() && length >= LENGTH_16 {
            return Err(ProtocolError::ControlTooLong);
        }
        let Some((payload_len, rest)) = parse_length(length, rest)? else {
            return Ok(None);
        };

        let (mask, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            let Some((key, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(*key), rest)
        };
        let header = FrameHeader {
            fin,
            opcode,
            mask,
            payload_len,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// The header as bytes: the first `n` of the array, with the length in its
    /// shortest form.
    #[inline]
    pub fn encode(&self) -> ([u8; MAX_HEADER_BYTES], usize) {
        let mut bytes = [0; MAX_HEADER_BYTES];
        bytes[0] = if self.fin { FIN } else { 0 } | self.opcode as u8;
        let mut len = match self.payload_len {
            short @ 0..=125 => {
                bytes[1] = short as u8;
                2
            }
            medium @ 126..=0xffff => {
                bytes[1] = LENGTH_16;
                bytes[2..4].copy_from_slice(&(medium as u16).to_be_bytes());
                4
            }
            long => {
                bytes[1] = LENGTH_64;
                bytes[2..10].copy_from_slice(&long.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.mask {
            bytes[1] |= MASKED;
            bytes[len..len + 4].copy_from_slice(&key);
            len += 4;
        }
        (bytes, len)
    }
}

/// Reads the extended length, if the seven bits in `length` say there is one.
#[inline]
fn parse_length(length: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    let (payload_len, shortest, rest) = match length {
        LENGTH_16 => {
            let Some((bytes, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(*bytes)), 126, rest)
        }
        LENGTH_64 => {
            let Some((bytes, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from_be_bytes(*bytes), 0x1_0000, rest)
        }
        short => return Ok(Some((u64::from(short), rest))),
    };
    if payload_len < shortest {
        return Err(ProtocolError::NonMinimalLength);
    }
    if payload_len > i64::MAX as u64 {
        return Err(ProtocolError::LengthTopBit);
    }
    Ok(Some((payload_len, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_round_trip_and_is_never_guessed_from_less() {
        let lengths = [0, 1, 125, 126, 127, 0xffff, 0x1_0000, i64::MAX as u64];
        for opcode in (0..16).filter_map(OpCode::new) {
            for payload_len in lengths {
                for mask in [None, Some([1, 2, 3, 4])] {
                    if opcode.is_control() && payload_len > 125 {
                        continue;
                    }
                    let header = FrameHeader {
                        fin: true,
                        opcode,
                        mask,
                        payload_len,
                    };
                    let (bytes, len) = header.encode();
                    assert_eq!(FrameHeader::parse(&bytes), Ok(Some((header, len))));
                    for short in 0..len {
                        assert_eq!(FrameHeader::parse(&bytes[..short]), Ok(None));
                    }
                }
            }
        }
    }

    #[test]
    fn a_fault_is_found_with_the_byte_that_brings_it() {
        use ProtocolError::*;
        let cases: [(&[u8], ProtocolError); 11] = [
            (&[0xc1], ReservedBits),
            (&[0xa1], ReservedBits),
            (&[0x91], ReservedBits),
            (&[0x83], UnknownOpCode(3)),
            (&[0x8f], UnknownOpCode(15)),
            (&[0x08], FragmentedControl),
            (&[0x89, 0xfe], ControlTooLong),
            (&[0x8a, 0x7f], ControlTooLong),
            (&[0x82, 0xfe, 0, 125], NonMinimalLength),
            (
                &[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                NonMinimalLength,
            ),
            (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], LengthTopBit),
        ];
        for (bytes, error) in cases {
            assert_eq!(FrameHeader::parse(bytes), Err(error), "{bytes:x?}");
            assert_eq!(FrameHeader::parse(&bytes[..bytes.len() - 1]), Ok(None));
        }
    }
}
