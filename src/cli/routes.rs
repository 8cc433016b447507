//! The content that is served: the routes as typed, and the demo.
//!
//! # Invariants worth naming
//!
//! - A server that others can reach serves nothing that was not asked for: without
//!   routes and without `--demo` it does not start.
//! - `corecast serve` alone serves the demo, because only programs on the same host
//!   can reach it.

use super::value::{OFF, Route};
use crate::config::{Config, ConfigError, Endpoint, RouteSetting};
use crate::router::decode_pattern;
use crate::upgrade::Pages;

/// The routes and pages that are served.
#[derive(Debug)]
pub(super) struct Served {
    pub routes: Vec<RouteSetting>,
    pub home_page: bool,
    pub health_page: bool,
    /// Whether the demo is among it, but for what is off.
    pub demo: bool,
}

impl Served {
    /// Decides what is served at `listen`. `demo` is what was typed of it.
    ///
    /// # Errors
    ///
    /// When a path is to be served no longer that never was.
    pub(super) fn resolve(
        demo: Option<bool>,
        typed: Vec<Route>,
        listen: &[Endpoint],
    ) -> Result<Served, ConfigError> {
        let has_routes = typed.iter().any(|route| route.handler != OFF);
        let demo = demo.unwrap_or(!has_routes && reachable(listen).is_none());
        let base = if demo {
            RouteSetting::demo()
        } else {
            Vec::new()
        };
        let is_off = |page: &str| {
            let mut words = typed.iter().filter(|route| is_same_path(&route.path, page));
            words.next_back().is_some_and(|route| route.handler == OFF)
        };
        let [home_page, health_page] = Pages::PATHS.map(|page| !is_off(page));
        let routes = resolve_routes(base, typed)?;
        Ok(Served {
            routes,
            home_page: demo && home_page,
            health_page,
            demo,
        })
    }
}

/// Checks that something is served.
///
/// # Errors
///
/// When there is no route.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    if !config.routes.is_empty() {
        return Ok(());
    }
    let reason = match reachable(&config.listen) {
        Some(endpoint) => format!("and others can reach {endpoint}"),
        None => "and the demo is off".to_owned(),
    };
    Err(ConfigError::new(
        "route",
        format!(
            "no path is served, {reason}; name what is served, as in --route /news=broadcast, \
             or give --demo for routes that anybody may use"
        ),
    ))
}

/// The first endpoint that programs on other hosts may reach.
fn reachable(listen: &[Endpoint]) -> Option<&Endpoint> {
    let mut endpoints = listen.iter();
    endpoints.find(|endpoint| !endpoint.address.ip().is_loopback())
}

/// The routes of the demo with the typed ones added, or put in the place of those
/// with the same path. The last word about a path counts, which is that of the
/// strongest source, because each source names a path once at most.
fn resolve_routes(
    mut routes: Vec<RouteSetting>,
    typed: Vec<Route>,
) -> Result<Vec<RouteSetting>, ConfigError> {
    // Two sources may take the same path away; and a path of the demo may be off without
    // the demo, so that one list does for both.
    let mut known: Vec<String> = RouteSetting::demo()
        .into_iter()
        .map(|route| route.path)
        .chain(Pages::PATHS.map(str::to_owned))
        .collect();
    for route in typed {
        if route.handler != OFF {
            let setting = RouteSetting {
                path: route.path,
                handler: route.handler,
                slow_consumer: route.slow_consumer,
                publish: route.publish,
            };
            known.push(setting.path.clone());
            match routes
                .iter_mut()
                .find(|known| is_same_path(&known.path, &setting.path))
            {
                Some(route) => *route = setting,
                None => routes.push(setting),
            }
            continue;
        }
        if !known.iter().any(|known| is_same_path(known, &route.path)) {
            return Err(ConfigError::new(
                "route",
                format!(
                    "'{}' cannot be off, because it is no path that is served; those are {}",
                    route.path,
                    known.join(", ")
                ),
            ));
        }
        routes.retain(|known| !is_same_path(&known.path, &route.path));
    }
    Ok(routes)
}

/// Whether two paths are one, however they are encoded. Texts that are not paths are
/// compared to the letter; they are refused later.
pub(super) fn is_same_path(a: &str, b: &str) -> bool {
    a == b || matches!((decode_pattern(a), decode_pattern(b)), (Ok(a), Ok(b)) if a == b)
}

/// The place of the first route of one source whose path it has named before, and the
/// error for that.
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
