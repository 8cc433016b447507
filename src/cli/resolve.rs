//! From what was typed to the options of a server: the defaults are filled in.
//!
//! # Invariants worth naming
//!
//! - A setting that was not typed never contradicts one that was: where two
//!   are related, the default gives way.

use super::ServeOptions;
use super::phoenix::PhoenixTable;
use super::settings::Row;
use super::source::Layer;
use super::value::{OFF, Route};
use crate::config::{Config, ConfigError, RouteSetting};
use crate::router::decode_pattern;

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
    let routes = typed.routes.clone().unwrap_or_default();
    config.routes = resolve_routes(std::mem::take(&mut config.routes), routes)?;
    if let Some(phoenix) = typed.phoenix.clone() {
        config.phoenix = PhoenixTable::resolve(phoenix);
    }
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

/// The default routes with the typed ones added, or put in the place of those
/// with the same path. The last word about a path counts, which is that of the
/// strongest source, because each source names a path once at most.
fn resolve_routes(
    mut routes: Vec<RouteSetting>,
    typed: Vec<Route>,
) -> Result<Vec<RouteSetting>, ConfigError> {
    // What one source has taken away, another may take away too.
    let mut known = routes.clone();
    for route in typed {
        if route.handler != OFF {
            let setting = RouteSetting {
                path: route.path,
                handler: route.handler,
                slow_consumer: route.slow_consumer,
            };
            known.push(setting.clone());
            match routes
                .iter_mut()
                .find(|known| is_same_path(&known.path, &setting.path))
            {
                Some(route) => *route = setting,
                None => routes.push(setting),
            }
            continue;
        }
        if !known
            .iter()
            .any(|known| is_same_path(&known.path, &route.path))
        {
            let paths: Vec<&str> = known.iter().map(|known| &*known.path).collect();
            return Err(ConfigError::new(
                "route",
                format!(
                    "'{}' cannot be off, because it is no path that is served; those are {}",
                    route.path,
                    paths.join(", ")
                ),
            ));
        }
        routes.retain(|known| !is_same_path(&known.path, &route.path));
    }
    Ok(routes)
}

/// Whether two paths are one, however they are encoded. What is no path is so
/// to the letter only; it is refused later.
pub(super) fn is_same_path(a: &str, b: &str) -> bool {
    a == b || matches!((decode_pattern(a), decode_pattern(b)), (Ok(a), Ok(b)) if a == b)
}

/// The place of the first route of one source whose path it has named before, and
/// what is wrong with that.
pub(super) fn repeated_route(routes: &[Route]) -> Option<(usize, String)> {
    routes.iter().enumerate().find_map(|(place, route)| {
        let mut before = routes[..place].iter();
        let twin = before.find(|before| is_same_path(&before.path, &route.path))?;
        let problem = format!(
            "the path '{}' is there twice, with {} and {}; keep one of them",
            route.path, twin.handler, route.handler
        );
        Some((place, problem))
    })
}
