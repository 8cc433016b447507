//! Publications: who gets them, in which order, and what a slow reader costs.

#[path = "../support/mod.rs"]
mod support;

mod audiences;
mod back_pressure;
mod notices;
mod order;
mod pipelining;
mod slow_consumer;
mod unresponsive_clients;
