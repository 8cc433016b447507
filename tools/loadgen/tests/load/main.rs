//! The scenarios, against corecast, servers by other authors and servers with a
//! deliberate fault.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod foreign_servers;
mod handshake;
mod interrupted;
mod lies_are_caught;
mod outputs;
mod phoenix_on_corecast;
mod scenarios_on_corecast;
mod scripted;
