//! The parts that the benchmarks share: texts, frames, subscribers, and a second core.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub mod audience;
pub mod cores;
pub mod frames;
pub mod texts;
pub mod timing;
