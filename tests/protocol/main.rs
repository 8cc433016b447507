//! Handshakes, frames and the plain protocols, one connection or a few at a time.

#[path = "../support/mod.rs"]
mod support;

mod browser_chat;
mod chat;
mod foreign_clients;
mod http;
mod idle;
mod malformed_frames;
mod one_way;
mod route_beside_page;
mod session_limits;
mod session_rates;
mod sources;
mod topics;
mod trusted_proxy;
mod vanishing_clients;
mod words_after_close;
