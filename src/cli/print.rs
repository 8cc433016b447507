//! The resolved settings as a file that resolves to them again.

use std::fmt::Write;

use toml::Value;

use super::ServeOptions;
use super::routes::is_same_path;
use super::settings::{ROUTES, Row};
use super::source::Layer;
use super::value::OFF;
use crate::config::RouteSetting;
use crate::upgrade::Pages;

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
    print_routes(&mut text, resolved, &typed.origin_of(ROUTES));
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
            (None, "FILE") => "off keys.toml".to_owned(),
            (None, "LIST") => "all 0-3,8".to_owned(),
            (None, "ORIGIN") => "* null https://a.example,https://b.example:8443".to_owned(),
            (None, "PATH") => "/run/a /run/a,/run/b".to_owned(),
            (None, "NETWORK") => "10.0.0.5 10.0.0.0/8,fd00::/8".to_owned(),
            (None, choice) => choice.replace('|', " "),
        };
        texts.split(' ').map(str::to_owned).collect()
    }

    /// Of every row: each value that may be typed is printed as a file that means the
    /// same, and that shows the value once.
    #[test]
    fn every_row_is_printed_as_it_is_read() {
        for row in Row::all() {
            let mut shown = Vec::new();
            for text in texts_of(row) {
                let mut options = ServeOptions::default();
                row.read(std::slice::from_ref(&text), &mut options)
                    .unwrap_or_else(|problem| panic!("{}: {problem}", row.key()));
                // The page is a part of the demo.
                options.config.home_page &= options.demo;
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
