//! The answers that a session is sent while it is being served.

use super::Outlet;
use crate::metrics::ShardMetrics;
use crate::ws::{CloseCode, FrameHeader, OpCode, PreparedFrame, encode_close, encode_frame};

/// Payloads from this size on are handed to the kernel where they lie; smaller ones are
/// cheaper to copy one after the other.
const DIRECT_BYTES: usize = 4 * 1024;
/// Answers collected before they are sent even though more may follow.
const MAX_COLLECTED_BYTES: usize = 128 * 1024;

/// Collects a session's answers, so that all of one turn leave in one send.
pub(crate) struct Answers<'a> {
    outlet: &'a mut Outlet,
    /// Encoded answers, in a buffer all sessions of the shard use in turn.
    collected: &'a mut Vec<u8>,
    metrics: &'a ShardMetrics,
    now_ms: u32,
    /// Messages added, to be counted when all are.
    messages: u64,
    /// The connection is lost: it takes nothing any more, and queueing for it
    /// would only grow.
    broken: bool,
}

impl<'a> Answers<'a> {
    pub(crate) fn new(
        outlet: &'a mut Outlet,
        collected: &'a mut Vec<u8>,
        metrics: &'a ShardMetrics,
        now_ms: u32,
    ) -> Self {
        Answers {
            outlet,
            collected,
            metrics,
            now_ms,
            messages: 0,
            broken: false,
        }
    }

    /// Adds a data message.
    #[inline]
    pub(crate) fn message(&mut self, opcode: OpCode, payload: &[u8]) {
        self.messages += 1;
        if payload.len() >= DIRECT_BYTES {
            return self.large(opcode, payload);
        }
        encode_frame(self.collected, opcode, payload);
        self.flush_if_long();
    }

    /// Adds a data message that is already encoded.
    pub(crate) fn prepared(&mut self, frame: &PreparedFrame) {
        self.messages += 1;
        self.raw(frame.as_bytes());
    }

    /// Adds a control frame.
    pub(crate) fn control(&mut self, opcode: OpCode, payload: &[u8]) {
        encode_frame(self.collected, opcode, payload);
        self.flush_if_long();
    }

    /// Adds a close frame.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) {
        encode_close(self.collected, code, reason);
    }

    /// Adds bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.collected.extend_from_slice(bytes);
        self.flush_if_long();
    }

    /// Bytes that have not left yet.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.collected.len() + self.outlet.pending_bytes()
    }

    /// Sends what was collected; what the socket does not take is queued.
    pub(crate) fn flush(&mut self) {
        if !self.collected.is_empty() {
            self.push(&[]);
        }
    }

    /// Sends what was collected, and says whether the connection is lost.
    pub(crate) fn finish(mut self) -> bool {
        self.flush();
        self.metrics.messages_out.add(self.messages);
        self.broken
    }

    fn flush_if_long(&mut self) {
        if self.collected.len() > MAX_COLLECTED_BYTES {
            self.flush();
        }
    }

    /// Sends a message without copying its payload, after the bytes that were
    /// collected.
    fn large(&mut self, opcode: OpCode, payload: &[u8]) {
        let header = FrameHeader {
            fin: true,
            opcode,
            mask: None,
            payload_len: payload.len() as u64,
        };
        let (bytes, len) = header.encode();
        self.collected.extend_from_slice(&bytes[..len]);
        self.push(payload);
    }

    /// Hands over the collected bytes and the payload after them.
    fn push(&mut self, payload: &[u8]) {
        if !self.broken {
            let sent = if payload.is_empty() {
                self.outlet.push(self.collected, self.now_ms)
            } else {
                self.outlet.push_both(self.collected, payload, self.now_ms)
            };
            match sent {
                Ok(sent) => self.metrics.bytes_out.add(sent as u64),
                Err(_) => self.broken = true,
            }
        }
        self.collected.clear();
    }
}
