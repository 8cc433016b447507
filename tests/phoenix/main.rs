//! Phoenix Channels, spoken by hand and by clients that others wrote.

#[path = "../support/mod.rs"]
mod support;

mod binary;
mod browser;
mod channels;
mod js;
mod json_in_binary;
mod malformed;
mod one_way;
mod paths;
mod presence;
mod presence_room;
mod python;
mod reload;
mod rules;
mod sessions;
mod token_expiry;
mod token_keys;
mod tokens;
mod v1;
