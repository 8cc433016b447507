//! Start, signals, hand-over, drain and the operator's requests in between.

#[path = "../support/mod.rs"]
mod support;

mod check_command;
mod cli;
mod drain;
mod drain_delay;
mod drain_progress;
mod endpoints;
mod hand_over;
mod hand_over_addresses;
mod hand_over_by_hand;
mod hand_over_guarded;
mod hand_over_program;
mod hand_over_signals;
mod health_checks;
mod health_command;
mod logged_failures;
mod metrics;
mod service_manager;
mod service_manager_stuck;
mod signals;
mod signals_reload;
mod signals_stop;
mod start_lost_shard;
