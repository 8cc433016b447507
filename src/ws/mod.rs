//! RFC 6455 as a value: bytes in, events out; messages in, bytes out.
//!
//! The modules stand in the order in which data flows. Received bytes arrive in
//! an [`Input`]; the [`Decoder`] reads each [`FrameHeader`], undoes the mask
//! ([`apply_mask`]), checks the text and yields an [`Event`], or the
//! [`ProtocolError`] that ends the session. Outgoing messages become frames
//! through [`encode_frame`] and its siblings, or, when many sessions are to have
//! the same bytes, a [`PreparedFrame`].
//!
//! Nothing in here knows a socket, a clock or a runtime, and nothing is `unsafe`.
//! The codec speaks for both ends: [`Rules`] says which one it is.
//!
//! # Invariants worth naming
//!
//! - An idle [`Decoder`] is one null pointer. The state for a frame or message in
//!   pieces is boxed when the first piece arrives and freed with the last.
//! - A message that lies whole in the input is unmasked, checked and yielded where
//!   it lies: no copy, no allocation.
//! - The events depend on the bytes received, never on how they were cut into
//!   inputs; and a fault is reported with the input that brings it, not with the
//!   end of its frame.
//! - Buffers grow with the bytes received, never with the length announced, and
//!   never beyond [`Rules::max_message_bytes`].
//! - Bytes are limited, fragments are not: a frame costs nothing once it is read.
//!
//! ```
//! use corecast::ws::{Decoder, Event, Input, OpCode, Role, Rules};
//! use corecast::Message;
//!
//! let rules = Rules { role: Role::Server, max_frame_bytes: 1024, max_message_bytes: 1024 };
//! let mut received = Vec::new();
//! corecast::ws::encode_masked_frame(&mut received, OpCode::Text, b"hello", [1, 2, 3, 4]);
//!
//! let mut decoder = Decoder::new();
//! let mut input = Input::new(&mut received);
//! while let Some(event) = decoder.next(&mut input, &rules)? {
//!     assert_eq!(event, Event::Message(Message::Text("hello")));
//! }
//! assert!(input.is_empty() && decoder.is_idle());
//! # Ok::<(), corecast::ws::ProtocolError>(())
//! ```

mod close;
mod decoder;
mod encode;
mod error;
mod event;
mod header;
mod input;
mod mask;
mod partial;
mod prepared;
mod rules;
mod utf8;

#[cfg(test)]
mod tests;

pub use close::{Close, CloseCode};
pub use decoder::Decoder;
pub use encode::{encode_close, encode_frame, encode_masked_close, encode_masked_frame};
pub use error::ProtocolError;
pub use event::{Event, Message};
pub use header::{FrameHeader, MAX_CONTROL_PAYLOAD_BYTES, MAX_HEADER_BYTES, OpCode};
pub use input::Input;
pub use mask::apply_mask;
pub use prepared::PreparedFrame;
pub use rules::{Role, Rules};
