//! The resolved settings as a file that resolves to them again.

use std::fmt::Write;

use toml::Value;

use super::ServeOptions;
use super::resolve::is_same_path;
use super::settings::{PHOENIX, ROUTES, Row};
use super::source::Layer;
use super::value::OFF;
use crate::config::Config;

/// The whole file, with a comment on each line that says where it came from.
pub(super) fn print(resolved: &ServeOptions, typed: &Layer) -> String {
    let mut text = format!(
        "# corecast {}: the settings as resolved. Use them again with --config.\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut heading = "";
    for row in Row::all() {
        let group = row.about().group;
        if group != heading {
            heading = group;
            let _ = write!(text, "\n# {heading}\n");
        }
        let key = row.key();
        let line = format!("{key} = {}", row.show(resolved));
        let _ = writeln!(text, "{line:<40} # {}", typed.origin_of(key));
    }
    print_routes(&mut text, &resolved.config, &typed.origin_of(ROUTES));
    let origin = typed.origin_of(PHOENIX);
    super::phoenix::print(&mut text, &resolved.config.phoenix, &origin);
    text
}

/// Tables come last, because every key after one would belong to it.
fn print_routes(text: &mut String, config: &Config, origin: &str) {
    let _ = write!(text, "\n# Routes: {origin}\n");
    let quoted = |text: &str| Value::from(text);
    for route in &config.routes {
        let _ = writeln!(text, "[[routes]]");
        let _ = writeln!(text, "path = {}", quoted(&route.path));
        let _ = writeln!(text, "handler = {}", quoted(&route.handler));
        if let Some(policy) = route.slow_consumer {
            let _ = writeln!(text, "slow_consumer = {}", quoted(policy.as_str()));
        }
    }
    for default in Config::default().routes {
        let mut routes = config.routes.iter();
        if !routes.any(|route| is_same_path(&route.path, &default.path)) {
            let _ = writeln!(text, "[[routes]]");
            let _ = writeln!(text, "path = {}", quoted(&default.path));
            let _ = writeln!(text, "handler = {}", quoted(OFF));
        }
    }
}
