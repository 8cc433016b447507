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

#[cfg(test)]
mod tests {
    use super::super::{file, resolve};
    use super::*;

    /// Texts that a row's value may have: the words and bounds that describe it.
    fn texts_of(row: Row) -> Vec<String> {
        let texts = match (row.range(), row.value_name().as_str()) {
            (Some(range), _) => range.replace(" (off) or ", " ").replace(" to ", " "),
            (None, "ADDR") if row.is_list() => "[::1]:80 127.0.0.1:80,[::1]:81".to_owned(),
            (None, "ADDR") => "off [::1]:80".to_owned(),
            (None, "LIST") => "all 0-3,8".to_owned(),
            (None, "ORIGIN") => "* null https://a.example,https://b.example:8443".to_owned(),
            (None, "NETWORK") => "10.0.0.5 10.0.0.0/8,fd00::/8".to_owned(),
            (None, choice) => choice.replace('|', " "),
        };
        texts.split(' ').map(str::to_owned).collect()
    }

    /// Of every row: what may be typed is printed as a file that means the same, and
    /// that shows the value once.
    #[test]
    fn every_row_is_printed_as_it_is_read() {
        for row in Row::all() {
            let mut shown = Vec::new();
            for text in texts_of(row) {
                let mut options = ServeOptions::default();
                row.read(std::slice::from_ref(&text), &mut options)
                    .unwrap_or_else(|problem| panic!("{}: {problem}", row.key()));
                let printed = print(&options, &Layer::default());
                let read = file::parse("printed", &printed);
                let again = resolve::resolve(&read.unwrap()).unwrap();
                assert_eq!(again, options, "{} = {text}:\n{printed}", row.key());
                shown.push(row.show_plain(&options));
            }
            shown.sort();
            shown.dedup();
            assert!(shown.len() > 1, "{} has one value: {shown:?}", row.key());
        }
    }
}
