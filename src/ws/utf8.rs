//! UTF-8 that arrives in pieces (RFC 6455 §8.1).
//!
//! # Invariants worth naming
//!
//! - Each byte is checked once, when it arrives, and a wrong one is reported then.
//! - At most one character that was cut off is held apart, and it may still become a
//!   right one.

/// The bytes are not UTF-8 and no further byte can make them so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidUtf8;

/// Checks a text that is whole.
#[inline]
pub(super) fn check(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| InvalidUtf8)
}

/// A text received so far.
#[derive(Debug, Default)]
pub(super) struct PartialText {
    text: String,
    /// The first bytes of a character whose rest has not arrived.
    cut_off: [u8; 4],
    cut_off_len: usize,
}

impl PartialText {
    /// Bytes received.
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.cut_off_len
    }

    /// Bytes there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Makes room for `capacity` bytes in all.
    pub(super) fn grow_to(&mut self, capacity: usize) {
        self.text
            .reserve_exact(capacity.saturating_sub(self.text.len()));
    }

    /// Appends a piece.
    ///
    /// # Errors
    ///
    /// No UTF-8 text begins with the bytes received so far.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.cut_off_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.cut_off[self.cut_off_len] = byte;
            self.cut_off_len += 1;
            let character = &self.cut_off[..self.cut_off_len];
            match str::from_utf8(character) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.cut_off_len = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8),
            }
        }

        let (whole, cut_off) = piece.split_at(piece.len() - cut_off_len(piece));
        self.text.push_str(check(whole)?);
        if may_become_a_character(cut_off) {
            self.cut_off[..cut_off.len()].copy_from_slice(cut_off);
            self.cut_off_len = cut_off.len();
            Ok(())
        } else {
            Err(InvalidUtf8)
        }
    }

    /// The text, if it does not end within a character.
    pub(super) fn finish(&self) -> Result<&str, InvalidUtf8> {
        match self.cut_off_len {
            0 => Ok(&self.text),
            _ => Err(InvalidUtf8),
        }
    }
}

/// How many of the last bytes begin a character that does not end in `piece`.
/// Looks at first bytes only: whether the character is right is not asked.
fn cut_off_len(piece: &[u8]) -> usize {
    for (index, byte) in piece.iter().rev().take(3).enumerate() {
        let missing = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => return 0,
        };
        return if missing > index + 1 { index + 1 } else { 0 };
    }
    0
}

fn may_become_a_character(bytes: &[u8]) -> bool {
    match str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether some text begins with `bytes`, by the standard library's word.
    fn begins_a_text(bytes: &[u8]) -> bool {
        str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
    }

    fn push_all(pieces: &[&[u8]]) -> Result<PartialText, InvalidUtf8> {
        let mut text = PartialText::default();
        for piece in pieces {
            text.push(piece)?;
        }
        Ok(text)
    }

    /// Edge cases of every length of character, right and wrong, alone and between
    /// letters, cut in every place into three: accepted or refused exactly as the
    /// standard library would.
    #[test]
    fn every_cut_of_every_edge_case_agrees_with_the_standard_library() {
        let cases: [&[u8]; 22] = [
            b"",
            b"a",
            "é".as_bytes(),
            "€".as_bytes(),
            "𐍈".as_bytes(),
            "\u{10ffff}".as_bytes(),
            "\u{d7ff}\u{e000}".as_bytes(),
            "κόσμε".as_bytes(),
            b"\x80",
            b"\xbf\xbf\xbf\xbf",
            b"\xc0\x80",
            b"\xc1\xbf",
            b"\xc3",
            b"\xc3\xc3",
            b"\xe0\x80\x80",
            b"\xe2\x82",
            b"\xed\xa0\x80",
            b"\xf0\x80\x80\x80",
            b"\xf0\x90\x8d",
            b"\xf4\x90\x80\x80",
            b"\xf5\x80\x80\x80",
            b"\xff",
        ];
        let stride = if cfg!(miri) { 2 } else { 1 };
        for case in cases {
            for bytes in [case.to_vec(), [b"ab", case, b"cd"].concat()] {
                for first in (0..=bytes.len()).step_by(stride) {
                    for second in (first..=bytes.len()).step_by(stride) {
                        let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                        match push_all(&pieces) {
                            Ok(text) => {
                                assert!(begins_a_text(&bytes), "{bytes:x?} {first} {second}");
                                assert_eq!(text.len(), bytes.len());
                                assert_eq!(text.finish().ok(), str::from_utf8(&bytes).ok());
                            }
                            Err(_) => assert!(!begins_a_text(&bytes), "{bytes:x?}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_byte_is_reported_with_its_piece() {
        assert!(push_all(&[b"\xf4", b"\x8f"]).is_ok());
        assert!(push_all(&[b"\xf4", b"\x90"]).is_err());
        assert!(push_all(&[b"\xf4\x90"]).is_err());
    }
}
