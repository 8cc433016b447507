//! Idle sessions: the memory that each costs, the server's and the kernel's.
//!
//! Some sessions are opened first and have a message echoed each, so that what
//! every server allocates once (its scratch buffers, the allocator's arenas, the
//! code it touches) is not charged to the sessions. They stay open, so that no
//! idle session moves into their place for free.

use std::thread;
use std::time::Duration;

use super::{CHECK_LIMIT, Deadline, Fleet, Hello, OPEN_LIMIT, Peer, Protocol, payload};
use crate::results::IdleSample;
use crate::{Result, host};

/// Time for freed kernel memory to come back and for the server to fall silent.
const SETTLE: Duration = Duration::from_millis(700);

/// The load of an idle scenario.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Sessions that warm the server up.
    pub warm_up_sessions: usize,
    /// Sessions that are charged.
    pub sessions: usize,
}

impl Idle {
    /// Opens the sessions and reads how memory grew. `server` is the peer's process.
    pub fn measure(self, peer: &Peer, server: u32) -> Result<IdleSample> {
        let mut hello = match peer.protocol {
            Protocol::WebSocket => {
                Hello::upgrade(peer.address, &format!("{}/echo", peer.path_prefix), 0)
            }
            Protocol::Raw => Hello::raw_echo(),
        };
        let warm = Fleet::open(peer.address, self.warm_up_sessions, &mut hello, OPEN_LIMIT)?;
        let deadline = Deadline::after(CHECK_LIMIT);
        for index in 0..self.warm_up_sessions {
            let exchange = peer.exchange(&[payload(100, index)]);
            warm.check(index, &exchange, deadline)?;
        }
        thread::sleep(SETTLE);
        let before = host::memory(server)?;
        let idle = Fleet::open(peer.address, self.sessions, &mut hello, OPEN_LIMIT)?;
        thread::sleep(SETTLE);
        let after = host::memory(server)?;
        // A session that died in silence would be cheap; the last answers prove
        // that first, middle and last live, as all others did when opened.
        for index in [0, self.sessions / 2, self.sessions - 1] {
            let exchange = peer.exchange(&[payload(100, index)]);
            idle.check(index, &exchange, Deadline::after(CHECK_LIMIT))?;
        }
        idle.close();
        warm.close();
        let growth =
            |before: u64, after: u64| (after as f64 - before as f64) / self.sessions as f64;
        Ok(IdleSample {
            base_bytes: before.resident_bytes,
            resident_bytes: growth(before.resident_bytes, after.resident_bytes),
            proportional_bytes: growth(before.proportional_bytes, after.proportional_bytes),
            kernel_bytes: growth(before.kernel_bytes, after.kernel_bytes) / 2.0,
        })
    }
}
