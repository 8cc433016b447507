//! Tests that measure, or that fill a core or a table: one at a time, each of which
//! begins with [`alone`].

#[path = "../support/mod.rs"]
mod support;

mod busy_shard;
mod descriptor_exhaustion;
mod descriptors;
mod fault_clock;
mod fault_full_ring;
mod fault_kill_and_reconnect;
mod fault_many_ready;
mod hand_over_storm;
mod many_sessions;
mod many_shards;
mod slow_readers_memory;
mod steer_kernels;
mod system_calls;
mod tick_full;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other test of this program runs.
fn alone() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
