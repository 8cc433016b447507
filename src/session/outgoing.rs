//! What a session is sent while it is being served.

use std::io::{self, IoSlice};

use crate::metrics::ShardMetrics;
use crate::send_queue::SendQueue;
use crate::sys::{Sink, Socket, is_temporary};
use crate::ws::{CloseCode, FrameHeader, OpCode, PreparedFrame, encode_close, encode_frame};

/// Payloads from this size on are handed to the kernel where they lie; smaller
/// ones are cheaper to copy behind each other.
const DIRECT_BYTES: usize = 4 * 1024;
/// Answers collected before they are sent even though more may follow.
const MAX_COLLECTED_BYTES: usize = 128 * 1024;

/// Collects a session's answers, so that all of one turn leave in one send.
pub(crate) struct Outgoing<'a> {
    socket: &'a Socket,
    queue: &'a mut Option<Box<SendQueue>>,
    /// Encoded answers, in a buffer all sessions of the shard use in turn.
    collected: &'a mut Vec<u8>,
    metrics: &'a ShardMetrics,
    now_ms: u32,
    /// Messages added, to be counted when all are.
    messages: u64,
    /// What the connection died of.
    error: Option<io::Error>,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(
        socket: &'a Socket,
        queue: &'a mut Option<Box<SendQueue>>,
        collected: &'a mut Vec<u8>,
        metrics: &'a ShardMetrics,
        now_ms: u32,
    ) -> Self {
        Outgoing {
            socket,
            queue,
            collected,
            metrics,
            now_ms,
            messages: 0,
            error: None,
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

    /// Adds a close frame; `None` makes one without a code.
    pub(crate) fn close(&mut self, close: Option<(CloseCode, &str)>) {
        match close {
            Some((code, reason)) => encode_close(self.collected, code, reason),
            None => encode_frame(self.collected, OpCode::Close, &[]),
        }
    }

    /// Adds bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.collected.extend_from_slice(bytes);
        self.flush_if_long();
    }

    /// Bytes that have not left yet.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.collected.len() + self.queue.as_ref().map_or(0, |queue| queue.pending_bytes())
    }

    /// Sends what was collected; what the socket does not take is queued.
    pub(crate) fn flush(&mut self) {
        if self.collected.is_empty() {
            return;
        }
        let sent = match self.queue {
            None if self.error.is_none() => self.socket.send_bytes(self.collected),
            _ => Ok(0),
        };
        self.settle(sent, &[]);
    }

    /// Sends what was collected, and says whether the connection is broken.
    pub(crate) fn finish(mut self) -> bool {
        self.flush();
        self.metrics.messages_out.add(self.messages);
        self.error.is_some()
    }

    fn flush_if_long(&mut self) {
        if self.collected.len() > MAX_COLLECTED_BYTES {
            self.flush();
        }
    }

    /// Sends a message without copying its payload, behind what was collected.
    fn large(&mut self, opcode: OpCode, payload: &[u8]) {
        let header = FrameHeader {
            fin: true,
            opcode,
            mask: None,
            payload_len: payload.len() as u64,
        };
        let (bytes, len) = header.encode();
        self.collected.extend_from_slice(&bytes[..len]);
        let sent = match self.queue {
            None if self.error.is_none() => self
                .socket
                .send(&[IoSlice::new(self.collected), IoSlice::new(payload)]),
            _ => Ok(0),
        };
        self.settle(sent, payload);
    }

    /// Queues what did not leave of the collected bytes and the payload behind them.
    fn settle(&mut self, sent: io::Result<usize>, payload: &[u8]) {
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) if is_temporary(&error) => 0,
            Err(error) => {
                self.error = Some(error);
                0
            }
        };
        self.metrics.bytes_out.add(sent as u64);
        // A broken connection takes nothing any more; queueing for it would only grow.
        if self.error.is_none() && sent < self.collected.len() + payload.len() {
            let queue = self
                .queue
                .get_or_insert_with(|| SendQueue::new(self.now_ms));
            let of_collected = sent.min(self.collected.len());
            queue.push_own(&self.collected[of_collected..]);
            queue.push_own(&payload[sent - of_collected..]);
            if sent > 0 {
                queue.mark_begun();
            }
        }
        self.collected.clear();
    }
}
