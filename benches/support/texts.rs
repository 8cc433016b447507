//! Payloads.

use std::fmt;
use std::ops::Deref;

/// Numbers with no pattern that a predictor could learn, the same in every run.
fn random() -> impl Iterator<Item = u32> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    })
}

/// Bytes of any kind.
pub fn noise(len: usize) -> Vec<u8> {
    random().map(|number| number as u8).take(len).collect()
}

const PAGE_BYTES: usize = 4096;

/// Bytes that begin in the middle of a page, as a shard's receive buffer does: some
/// processors copy ten times slower between places whose distance is near a whole
/// number of pages, and memory for what is copied begins near the start of one.
pub struct MidPage {
    bytes: Vec<u8>,
    start: usize,
}

impl MidPage {
    pub fn new(payload: &[u8]) -> MidPage {
        let mut bytes = vec![0; PAGE_BYTES + payload.len()];
        let place = bytes.as_ptr() as usize % PAGE_BYTES;
        let start = (PAGE_BYTES + PAGE_BYTES / 2 - place) % PAGE_BYTES;
        bytes[start..][..payload.len()].copy_from_slice(payload);
        bytes.truncate(start + payload.len());
        MidPage { bytes, start }
    }
}

impl Deref for MidPage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Lower-case letters.
pub fn letters(len: usize) -> Vec<u8> {
    Script::Ascii.text(len).into_bytes()
}

/// A kind of text, by the bytes that each of its characters takes in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    Ascii,
    TwoBytes,
    ThreeBytes,
    Emoji,
}

impl Script {
    pub const ALL: [Script; 4] = [
        Script::Ascii,
        Script::TwoBytes,
        Script::ThreeBytes,
        Script::Emoji,
    ];

    /// Bytes of one character.
    pub fn width(self) -> usize {
        self.first().len_utf8()
    }

    /// As many characters as `len` bytes have room for.
    pub fn text(self, len: usize) -> String {
        random()
            .take(len / self.width())
            .map(|number| char::from_u32(self.first() as u32 + number % 26))
            .collect::<Option<String>>()
            .expect("26 characters follow the first")
    }

    fn first(self) -> char {
        match self {
            Script::Ascii => 'a',
            Script::TwoBytes => 'а', // Cyrillic
            Script::ThreeBytes => '一',
            Script::Emoji => '😀',
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Script::Ascii => "ASCII",
            Script::TwoBytes => "two bytes",
            Script::ThreeBytes => "three bytes",
            Script::Emoji => "emoji",
        })
    }
}
