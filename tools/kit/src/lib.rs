//! The parts that the tools of corecast share, so that none of them needs another
//! tool's program.
//!
//! A tool starts servers and loads ([`process`], [`address`], [`wait`]), talks to
//! them ([`sys`], [`websocket`], [`outgoing`]), looks at them and at this host
//! ([`host`]), and shows what it found: [`units`] and [`markdown`] for text,
//! [`chart`] and [`html`] for pages, [`stored`] for documents that it reads again.
//! [`outcome`] is what a load has found, with [`cause`] of its failures; [`spread`]
//! sums up rounds.
//!
//! # Invariants worth naming
//!
//! - Nothing here depends on the server's code: a checker that shares the code it
//!   checks shares its mistakes.
//! - Colours, fonts and the form of pages and charts stand in [`html`] and [`chart`]
//!   and nowhere else.
//! - All system calls that need `unsafe` are in [`sys`].

pub mod address;
pub mod cause;
pub mod chart;
mod error;
pub mod host;
pub mod html;
pub mod markdown;
pub mod outcome;
pub mod outgoing;
pub mod process;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
pub mod spread;
pub mod stored;
pub mod sys;
pub mod units;
pub mod wait;
pub mod websocket;

pub use error::{Cause, During, Error, Result};
