//! Publications: their recipients, their order, and the cost of a slow reader.

#[path = "../support/mod.rs"]
mod support;

mod audiences;
mod back_pressure;
mod latest;
mod max_rate;
mod notices;
mod order;
mod pipelining;
mod slow_consumer;
mod unresponsive_clients;
