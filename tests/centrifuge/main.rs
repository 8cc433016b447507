//! The Centrifuge protocol, spoken by hand and by clients that others wrote.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod js;
mod malformed;
mod ping;
mod presence;
mod protobuf;
mod python;
mod tokens;
