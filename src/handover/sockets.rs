//! The sockets that a server keeps for a process that replaces it.

#![cfg_attr(
    not(feature = "service"),
    expect(dead_code, reason = "only a hand-over reads them")
)]

use std::fmt;

use socket2::Socket;

/// The listening sockets that a running server hands over to the new process.
/// Dropping it closes this process's hold on the listeners; the shards have their own.
pub struct HandOverSockets {
    pub(crate) listeners: Vec<Socket>,
    pub(crate) control: Option<ControlHandOver>,
}

/// The part of the control plane and the HTTP API in the [`HandOverSockets`].
pub(crate) struct ControlHandOver {
    pub(crate) admin: Option<Socket>,
    pub(crate) api: Option<Socket>,
    /// Makes both stop accepting.
    pub(crate) retire: Box<dyn Fn() + Send>,
}

impl fmt::Debug for HandOverSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOverSockets")
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}
