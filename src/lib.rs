//! # corecast
//!
//! A WebSocket server for millions of connections on one Linux host.

pub mod config;
pub mod metrics;
pub mod ws;
pub mod router;
pub mod upgrade;
