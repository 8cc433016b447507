//! From received bytes to events.
//!
//! The fast path is here, the fallback beside it in [`super::partial`].

use super::error::ProtocolError;
use super::event::Event;
use super::header::FrameHeader;
use super::input::Input;
use super::mask::apply_mask;
use super::partial::Partial;
use super::rules::Rules;

/// The receiving half of a session (RFC 6455 §5 and §6.2).
///
/// One pointer, null while nothing is in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[inline]
    pub const fn new() -> Decoder {
        Decoder { partial: None }
    }

    /// Whether it holds no memory: no frame or message is in pieces.
    ///
    /// An assembled message is kept until the call of [`next`](Decoder::next) after
    /// the one that yielded it, so ask once that has returned `None`.
    #[inline]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// The memory it holds for a frame or message in pieces, in bytes: none while it
    /// [is idle](Decoder::is_idle).
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            size_of::<Partial>() + partial.message_capacity()
        })
    }

    /// The next event, or `None` when all input was read. That an event's bytes
    /// have not all arrived is normal: the next input goes on where this one ended.
    ///
    /// After [`Event::Close`] the other end may send nothing more; the caller
    /// ignores what is left of the input and does not call again.
    ///
    /// # Errors
    ///
    /// The protocol error of the other end. Neither decoder nor input may be used
    /// again, as they may stand in the middle of a frame.
    #[inline]
    pub fn next<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        rules: &Rules,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        if self.partial.is_none() {
            if let Some((header, header_len)) = whole_frame(input.remaining(), rules) {
                let payload_len = header.payload_len as usize;
                let payload = &mut input.take(header_len + payload_len)[header_len..];
                if let Some(key) = header.mask {
                    apply_mask(payload, key, 0);
                }
                return Event::of_frame(header.opcode, payload).map(Some);
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
        self.next_in_pieces(input, rules)
    }

    /// Gives up the memory of a message that was yielded, without reading on.
    /// For a caller that will not call [`next`](Decoder::next) for a while.
    pub fn release(&mut self) {
        self.partial.take_if(|partial| !partial.is_pending());
    }

    /// The fallback: a frame or message in pieces, or a fault.
    #[inline(never)]
    fn next_in_pieces<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        rules: &Rules,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        if let Some(partial) = &mut self.partial
            && !partial.is_pending()
        {
            self.partial = None;
            return self.next(input, rules);
        }
        let partial = self.partial.get_or_insert_default();
        match partial.advance(input, rules)? {
            Some(whole) => partial.event(whole).map(Some),
            None => Ok(None),
        }
    }

    /// Bytes of message that there is room for.
    #[cfg(test)]
    pub(super) fn message_capacity(&self) -> usize {
        self.partial
            .as_ref()
            .map_or(0, |partial| partial.message_capacity())
    }
}

/// The fast path's question: does the input begin with a frame that is an event of
/// its own, whole, and faultless as far as its header tells? Its header and the
/// header's length, if so.
#[inline]
fn whole_frame(bytes: &[u8], rules: &Rules) -> Option<(FrameHeader, usize)> {
    let (header, header_len) = FrameHeader::parse(bytes).ok()??;
    rules.admit(&header, None).ok()?;
    let is_whole = header.payload_len <= (bytes.len() - header_len) as u64;
    (header.fin && is_whole).then_some((header, header_len))
}
