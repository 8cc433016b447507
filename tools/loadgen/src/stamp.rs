//! The stamp in a message of ours: its sender, its number in the sender's
//! sequence, and the time at which it was to be sent. A receiver can tell from
//! it the time under way, and whether a message is missing, late or there
//! twice.
//!
//! Times are those *planned*, not those at which the message really left: a
//! generator or server that falls behind must not hide its delay by sending
//! later (the error known as coordinated omission).

/// The stamp's size in a binary message.
pub const BINARY_BYTES: usize = 16;
/// The stamp's size in text.
pub const TEXT_BYTES: usize = MARK.len() + 2 * BINARY_BYTES;

/// Begins a stamp in text.
const MARK: &[u8] = b"~cc~";

/// The stamp of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds of the run at which it was to be sent.
    pub planned: u64,
    /// Number of the connection that sent it.
    pub sender: u32,
    /// Its number in the sender's sequence, from zero.
    pub sequence: u32,
}

impl Stamp {
    /// As the first bytes of a binary message.
    #[inline]
    pub fn to_binary(self) -> [u8; BINARY_BYTES] {
        let mut bytes = [0; BINARY_BYTES];
        bytes[..8].copy_from_slice(&self.planned.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.sender.to_le_bytes());
        bytes[12..].copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }

    /// From the first bytes of a binary message, if it is long enough.
    #[inline]
    pub fn from_binary(bytes: &[u8]) -> Option<Stamp> {
        let bytes = bytes.first_chunk::<BINARY_BYTES>()?;
        Some(Stamp {
            planned: u64::from_le_bytes(bytes[..8].try_into().ok()?),
            sender: u32::from_le_bytes(bytes[8..12].try_into().ok()?),
            sequence: u32::from_le_bytes(bytes[12..].try_into().ok()?),
        })
    }

    /// Appends it as text that passes unchanged through JSON.
    pub fn write_text(self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        out.extend_from_slice(MARK);
        for byte in self.to_binary() {
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    }

    /// The first stamp in a text, whatever a server has wrapped around it, and
    /// the place where it ends.
    pub fn find_text(text: &[u8]) -> Option<(Stamp, usize)> {
        let mut from = 0;
        loop {
            let at = from + text[from..].iter().position(|&byte| byte == MARK[0])?;
            let end = at + TEXT_BYTES;
            if text[at..].starts_with(MARK)
                && let Some(stamp) = text.get(at + MARK.len()..end).and_then(from_hex)
            {
                return Some((stamp, end));
            }
            from = at + 1;
        }
    }
}

fn from_hex(digits: &[u8]) -> Option<Stamp> {
    let mut bytes = [0; BINARY_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| (digit as char).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Stamp::from_binary(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        planned: 0x0102_0304_0506_0708,
        sender: 77,
        sequence: u32::MAX,
    };

    #[test]
    fn binary_and_back() {
        let mut bytes = STAMP.to_binary().to_vec();
        bytes.extend_from_slice(b"and more");
        assert_eq!(Stamp::from_binary(&bytes), Some(STAMP));
        assert_eq!(Stamp::from_binary(&bytes[..15]), None);
    }

    #[test]
    fn text_is_found_inside_of_json() {
        let mut text = br#"{"a":"~","b":"~cc~no","c":""#.to_vec();
        STAMP.write_text(&mut text);
        let end = text.len();
        text.extend_from_slice(br#"~xx"}"#);
        assert_eq!(Stamp::find_text(&text), Some((STAMP, end)));
        assert_eq!(Stamp::find_text(&text[..end - 1]), None);
        assert_eq!(Stamp::find_text(b"nothing here"), None);
    }
}
