//! Publishing from outside: the HTTP API that backends speak.

#[path = "../support/mod.rs"]
mod support;

mod backend;
mod bodies;
mod counted;
mod full_rings;
mod hand_over;
mod idempotency;
mod keys;
mod libraries;
mod lists;
mod malformed;
mod openapi;
mod pipelining;
mod reach;
