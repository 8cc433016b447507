//! Freshly received bytes, and how far they have been read.

use std::mem;

/// A cursor over bytes that were just received.
///
/// The bytes are borrowed mutably because a [`Decoder`](super::Decoder) undoes the mask
/// where they lie. Bytes that were read are no longer part of the cursor.
#[derive(Debug)]
pub struct Input<'b> {
    bytes: &'b mut [u8],
}

impl<'b> Input<'b> {
    /// A cursor at the start of `bytes`.
    #[inline]
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Input { bytes }
    }

    /// The bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> &[u8] {
        self.bytes
    }

    /// Whether all bytes were read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads the next `count` bytes, or as many as there are.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> &'b mut [u8] {
        let bytes = mem::take(&mut self.bytes);
        let (taken, rest) = bytes.split_at_mut(count.min(bytes.len()));
        self.bytes = rest;
        taken
    }
}
