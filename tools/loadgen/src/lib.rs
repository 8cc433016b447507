//! # corecast-load
//!
//! A WebSocket load generator.

pub mod app;
pub mod cause;
pub mod cli;
pub mod diagnosis;
pub mod dialect;
pub mod engine;
pub mod host;
pub mod live;
pub mod order;
pub mod outcome;
pub mod progress;
pub mod report;
pub mod scenario;
pub mod script;
pub mod sources;
pub mod stamp;
pub mod sys;
pub mod target;
pub mod trend;
