//! From what was typed to the options of a server: the defaults are filled in.
//!
//! # Invariants worth naming
//!
//! - A setting that was not typed never contradicts one that was: where two
//!   are related, the default gives way.

use super::ServeOptions;
use super::routes::Served;
use super::settings::Row;
use super::source::Layer;
use crate::config::{Config, ConfigError};

/// Fills in the defaults. The result is not yet validated.
///
/// # Errors
///
/// When a path is to be served no longer that never was.
pub(super) fn resolve(typed: &Layer) -> Result<ServeOptions, ConfigError> {
    let mut options = ServeOptions::default();
    for row in Row::all() {
        if let Some(texts) = typed.values.get(row.key()) {
            let read = row.read(texts, &mut options);
            read.map_err(|problem| ConfigError::new(row.key(), problem))?;
        }
    }
    let config = &mut options.config;
    give_way(config, |key| typed.values.contains_key(key));
    let demo = typed.values.contains_key("demo").then_some(options.demo);
    let routes = typed.routes.clone().unwrap_or_default();
    let served = Served::resolve(demo, routes, &config.listen)?;
    config.routes = served.routes;
    config.home_page = served.home_page;
    config.health_page = served.health_page;
    if let Some(handlers) = &typed.handlers {
        config.handlers.clone_from(handlers);
    }
    if let Some(access) = &typed.access {
        config.access.clone_from(access);
    }
    options.demo = served.demo;
    options.notes.clone_from(&typed.notes);
    Ok(options)
}

/// Lets the defaults of settings that were not typed follow those that were.
fn give_way(config: &mut Config, is_typed: impl Fn(&str) -> bool) {
    // Cores that are named get a shard each.
    if !is_typed("shards") && !config.cpus.is_empty() {
        config.shards = config.cpus.len();
    }
    // Of a frame and a message the one that was typed decides about the other.
    if !is_typed("max_message_bytes") && is_typed("max_frame_bytes") {
        config.max_message_bytes = config.max_message_bytes.max(config.max_frame_bytes);
    }
    if !is_typed("max_frame_bytes") {
        config.max_frame_bytes = config.max_frame_bytes.min(config.max_message_bytes);
    }
    if !is_typed("max_pending_bytes") && is_typed("high_water_mark") {
        config.max_pending_bytes = config.max_pending_bytes.max(config.high_water_mark_bytes);
    }
    if !is_typed("high_water_mark") {
        config.high_water_mark_bytes = config.high_water_mark_bytes.min(config.max_pending_bytes);
    }
    if !is_typed("ping_interval") && !config.idle_timeout.is_zero() {
        config.ping_interval = config.ping_interval.min(config.idle_timeout / 2);
    }
}
