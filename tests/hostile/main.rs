//! Clients that attack: see `docs/hostile-input.md`.

#[path = "../support/mod.rs"]
mod support;

mod churn;
mod corpus;
mod drip;
mod floods;
mod frames;
mod half_open;
mod handshakes;
mod header_bytes;
mod no_readers;
mod request_lines;
mod silent_readers;
mod smuggling;
mod unfinished;
