//! # corecast
//!
//! A WebSocket server for millions of connections on one Linux host.

pub mod cli;
pub mod config;
#[cfg(feature = "control")]
pub mod control;
pub mod log;
pub mod metrics;
pub mod ws;
pub mod router;
pub mod upgrade;
pub mod shutdown;
