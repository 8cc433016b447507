//! The library, as somebody who builds a server of their own uses it.

#[path = "../support/mod.rs"]
mod support;

mod built_in_settings;
mod embedding;
mod example_publishers;
mod example_rooms;
mod handler_panics;
mod latest_of_each_key;
mod publisher;
mod publisher_full;
mod session_orders;
