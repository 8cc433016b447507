//! # corecast-load
//!
//! A WebSocket load generator.

pub mod cause;
pub mod outcome;
