//! Faults of the host: see `docs/hostile-input.md`.

#[path = "../support/mod.rs"]
mod support;

mod control_plane;
mod descriptors;
mod failing_calls;
mod log;
mod socket_memory;
mod start;
mod stopped_process;
