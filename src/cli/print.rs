//! The resolved settings as a file that resolves to them again.

use std::fmt::Write;

use ipnet::IpNet;
use toml::Value;

use super::ServeOptions;
use super::routes::is_same_path;
use super::source::{Layer, options_command};
use super::value::OFF;
use crate::config::{Endpoint, RouteSetting, show_bytes, show_time};
use crate::upgrade::Pages;

/// The whole file, with a comment on each line that says where it came from.
pub(super) fn print(resolved: &ServeOptions, typed: &Layer) -> String {
    let mut text = format!(
        "# corecast {}: the settings as resolved. Use them again with --config.\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut heading = "";
    let command = options_command();
    for arg in command.get_arguments() {
        let key = arg.get_id().as_str();
        let Some(value) = value_of(key, resolved) else {
            continue;
        };
        let group = arg.get_help_heading().unwrap_or_default();
        if group != heading {
            heading = group;
            let _ = write!(text, "\n# {heading}\n");
        }
        let line = format!("{key} = {value}");
        let _ = writeln!(text, "{line:<40} # {}", typed.origin_of(key));
    }
    print_routes(&mut text, resolved, &typed.origin_of("routes"));
    super::handlers::print(&mut text, resolved, typed);
    text
}

/// Tables come last, because every key after one would belong to it.
fn print_routes(text: &mut String, resolved: &ServeOptions, origin: &str) {
    let config = &resolved.config;
    let _ = write!(text, "\n# Routes: {origin}\n");
    let quoted = |text: &str| Value::from(text);
    for route in &config.routes {
        let _ = writeln!(text, "[[routes]]");
        let _ = writeln!(text, "path = {}", quoted(&route.path));
        let _ = writeln!(text, "handler = {}", quoted(&route.handler));
        if let Some(policy) = route.slow_consumer {
            let _ = writeln!(text, "slow_consumer = {}", quoted(policy.as_str()));
        }
        if let Some(policy) = route.publish {
            let _ = writeln!(text, "publish = {}", quoted(policy.as_str()));
        }
    }
    let mut off = Vec::new();
    if resolved.demo {
        off.extend(RouteSetting::demo().into_iter().map(|route| route.path));
        off.retain(|path| {
            let mut routes = config.routes.iter();
            !routes.any(|route| is_same_path(&route.path, path))
        });
    }
    let pages = [config.home_page || !resolved.demo, config.health_page];
    let hidden = Pages::PATHS.iter().zip(pages).filter(|(_, shown)| !shown);
    off.extend(hidden.map(|(path, _)| (*path).to_owned()));
    for path in off {
        let _ = writeln!(text, "[[routes]]");
        let _ = writeln!(text, "path = {}", quoted(&path));
        let _ = writeln!(text, "handler = {}", quoted(OFF));
    }
}

/// An option's resolved value in the words a person would use; `None` for
/// the routes, which are tables.
pub(super) fn value_of(key: &str, resolved: &ServeOptions) -> Option<Value> {
    let ServeOptions {
        config,
        demo,
        notes: _,
        log,
        log_level,
    } = resolved;
    let count = |n: usize| Value::Integer(n.try_into().unwrap_or(i64::MAX));
    let size = |bytes: usize| Value::String(show_bytes(bytes as u64));
    let time = |time| Value::String(show_time(time));
    Some(match key {
        "listen" => match &config.listen[..] {
            [one] => Value::String(one.to_string()),
            several => Value::from(several.iter().map(Endpoint::to_string).collect::<Vec<_>>()),
        },
        "admin" => Value::String(
            config
                .admin
                .map_or(OFF.to_owned(), |address| address.to_string()),
        ),
        "backlog" => Value::from(config.backlog),
        "origin" if config.allowed_origins.is_empty() => Value::from(vec!["*"]),
        "origin" => Value::from(config.allowed_origins.clone()),
        "routes" => return None,
        "demo" => Value::from(*demo),
        "shards" => count(config.shards),
        "cpus" if config.cpus.is_empty() => Value::from("all"),
        "cpus" => Value::from(config.cpus.iter().copied().map(count).collect::<Vec<_>>()),
        "steer" => Value::from(config.steer.as_str()),
        "driver" => Value::from(config.driver.as_str()),
        "busy_poll" => time(config.busy_poll),
        "max_sessions" => count(config.max_sessions),
        "max_sessions_per_shard" => count(config.max_sessions_per_shard),
        "max_handshakes" => count(config.max_handshakes_per_shard),
        "max_header_bytes" => size(config.max_header_bytes),
        "max_read_bytes" => size(config.max_read_bytes),
        "max_frame_bytes" => size(config.max_frame_bytes),
        "max_message_bytes" => size(config.max_message_bytes),
        "high_water_mark" => size(config.high_water_mark_bytes),
        "max_pending_bytes" => size(config.max_pending_bytes),
        "slow_consumer" => Value::from(config.slow_consumer.as_str()),
        "client_address" => Value::from(config.client_address.as_str()),
        "trusted_proxy" => Value::from(
            config
                .trusted_proxies
                .iter()
                .map(IpNet::to_string)
                .collect::<Vec<_>>(),
        ),
        "max_connections_per_source" => count(config.max_connections_per_source),
        "max_handshake_rate_per_source" => count(config.max_handshake_rate_per_source),
        "source_prefix_ipv6" => Value::from(i64::from(config.source_prefix_ipv6)),
        "max_message_rate" => count(config.max_message_rate),
        "max_byte_rate" => size(config.max_byte_rate),
        "rate_burst" => time(config.rate_burst),
        "over_rate" => Value::from(config.over_rate.as_str()),
        "handshake_timeout" => time(config.handshake_timeout),
        "idle_timeout" => time(config.idle_timeout),
        "ping_interval" => time(config.ping_interval),
        "write_stall_timeout" => time(config.write_stall_timeout),
        "close_timeout" => time(config.close_timeout),
        "drain_timeout" => time(config.drain_timeout),
        "ring_capacity" => count(config.ring_capacity),
        "fan_out_slice" => count(config.fan_out_slice),
        "log" => Value::from(log.as_str()),
        "log_level" => Value::String(log_level.to_string()),
        unknown => unreachable!("the option {unknown} has no value to show"),
    })
}
