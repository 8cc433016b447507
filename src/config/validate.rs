//! The checks that make a [`Config`] fit to start a server with.
//!
//! # Invariants worth naming
//!
//! - Each relation between two settings is written once, here, and named in the row
//!   of the setting it is about; code that runs later may rely on it.
//! - An error is about the option a person would change, and says to what.

use super::endpoint::MAX_UNIX_SOCKETS;
use super::table::SETTINGS;
use super::{ClientAddress, Config, ConfigError, Endpoint, MAX_ENDPOINTS, show_bytes, show_time};
use crate::cpus;
use crate::router::Router;
use crate::upgrade::OriginPolicy;

impl Config {
    /// Checks every range and every relation between settings.
    ///
    /// # Errors
    ///
    /// The first setting that cannot stand, with what is allowed instead. The settings
    /// of handlers are checked when a server is made.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for row in SETTINGS {
            let range = row.kind.check(self);
            range.map_err(|problem| ConfigError::new(row.about.key, problem))?;
        }
        for row in SETTINGS {
            let relation = row.relation.map_or(Ok(()), |holds| holds(self));
            relation.map_err(|problem| ConfigError::new(row.about.key, problem))?;
        }
        self.validate_routes()
    }

    fn validate_routes(&self) -> Result<(), ConfigError> {
        let error = |problem| Err(ConfigError::new("route", problem));
        let mut router = Router::new();
        for route in &self.routes {
            let path = &route.path;
            if !path.starts_with('/') || path.contains(char::is_whitespace) {
                return error(format!(
                    "'{path}' is not a path; it begins with / and has no spaces (%20 stands for one)"
                ));
            }
            match router.insert(path, path) {
                Ok(None) => {}
                Ok(Some(twin)) => {
                    return error(format!(
                        "'{path}' cannot be served: it is the path '{twin}' again; keep one of them"
                    ));
                }
                Err(cause) => return error(format!("'{path}' cannot be served: {cause}")),
            }
        }
        Ok(())
    }
}

/// There is an address to listen on, and no address twice.
pub(super) fn listeners(config: &Config) -> Result<(), String> {
    let count = config.listen.len();
    if count == 0 {
        return Err("there must be at least one address".to_owned());
    }
    if count > MAX_ENDPOINTS {
        return Err(format!("{count} addresses; allowed: up to {MAX_ENDPOINTS}"));
    }
    for (index, Endpoint { address, .. }) in config.listen.iter().enumerate() {
        let mut before = config.listen[..index].iter();
        if before.any(|other| other.address == *address) {
            return Err(format!("{address} is given twice; give each address once"));
        }
    }
    Ok(())
}

/// The control plane has an address of its own.
pub(super) fn admin_is_no_listener(config: &Config) -> Result<(), String> {
    let Some(admin) = config.admin.filter(|admin| admin.port() != 0) else {
        return Ok(());
    };
    let mut listen = config.listen.iter();
    if listen.all(|endpoint| endpoint.address != admin) {
        return Ok(());
    }
    Err(format!(
        "{admin} is also --listen; use another port, or off for no control plane"
    ))
}

/// The HTTP API has an address of its own, and keys unless it is to have none.
pub(super) fn api_is_no_other_listener(config: &Config) -> Result<(), String> {
    let Some(api) = config.api else {
        return Ok(());
    };
    let mut listen = config.listen.iter();
    let other = match api.port() {
        0 => None,
        _ if config.admin == Some(api) => Some("--admin"),
        _ => listen
            .any(|endpoint| endpoint.address == api)
            .then_some("--listen"),
    };
    match other {
        Some(other) => Err(format!(
            "{api} is also {other}; use another port, or off for no HTTP API"
        )),
        None if config.api_key_file.is_some() || config.api_insecure => Ok(()),
        None => Err(format!(
            "whoever reaches {api} could publish to every client; name the file with the keys \
             with --api-key-file FILE, or set --api-insecure for a first look without keys"
        )),
    }
}

/// Keys are for an HTTP API.
pub(super) fn api_keys_have_an_api(config: &Config) -> Result<(), String> {
    match (&config.api_key_file, config.api) {
        (Some(_), None) => Err(
            "the keys are those of the HTTP API, which is off; set its address with --api, as in \
             127.0.0.1:9091"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// An HTTP API has keys or it has none.
pub(super) fn api_has_keys_or_none(config: &Config) -> Result<(), String> {
    match config.api_insecure && config.api_key_file.is_some() {
        true => Err("with it the keys of --api-key-file would not count; leave one out".to_owned()),
        false => Ok(()),
    }
}

/// Every core is one that this process may use.
pub(super) fn cpus_are_usable(config: &Config) -> Result<(), String> {
    cpus_are_among(&config.cpus, &cpus::usable())
}

fn cpus_are_among(cpus: &[usize], usable: &[usize]) -> Result<(), String> {
    let Some(cpu) = cpus.iter().find(|cpu| !usable.contains(cpu)) else {
        return Ok(());
    };
    let usable: Vec<_> = usable.iter().map(usize::to_string).collect();
    Err(format!(
        "core {cpu} does not exist or is closed to this process (taskset, cpuset); allowed: {}",
        usable.join(",")
    ))
}

/// A message can hold the largest frame.
pub(super) fn frame_fits_in_message(config: &Config) -> Result<(), String> {
    if config.max_frame_bytes <= config.max_message_bytes {
        return Ok(());
    }
    Err(format!(
        "a frame of {} could not be part of a message of --max-message-bytes {}; allowed: at most that",
        show_bytes(config.max_frame_bytes as u64),
        show_bytes(config.max_message_bytes as u64)
    ))
}

/// A message that is as large as allowed can arrive in pieces.
pub(super) fn each_shard_has_room_for_a_message(config: &Config) -> Result<(), String> {
    let least = config.max_message_bytes.saturating_mul(config.shards);
    if config.max_unfinished_bytes >= least {
        return Ok(());
    }
    Err(format!(
        "{} for --shards {} has no room for a message of --max-message-bytes {} on each; allowed: {} or more",
        show_bytes(config.max_unfinished_bytes as u64),
        config.shards,
        show_bytes(config.max_message_bytes as u64),
        show_bytes(least as u64)
    ))
}

/// A session is no longer read before its queue is full.
pub(super) fn high_water_mark_is_reached(config: &Config) -> Result<(), String> {
    if config.high_water_mark_bytes <= config.max_pending_bytes {
        return Ok(());
    }
    Err(format!(
        "{} would never be reached under --max-pending-bytes {}; allowed: at most that",
        show_bytes(config.high_water_mark_bytes as u64),
        show_bytes(config.max_pending_bytes as u64)
    ))
}

/// A ping at or after the idle limit could never save the session it asks about.
pub(super) fn ping_comes_in_time(config: &Config) -> Result<(), String> {
    if config.idle_timeout.is_zero() || config.ping_interval < config.idle_timeout {
        return Ok(());
    }
    Err(format!(
        "{} is not before --idle-timeout {}; allowed: less than that, or 0 for no pings",
        show_time(config.ping_interval),
        show_time(config.idle_timeout)
    ))
}

/// Every origin looks like one.
pub(super) fn origins(config: &Config) -> Result<(), String> {
    let policy = OriginPolicy::new(&config.allowed_origins);
    policy.map(drop).map_err(|error| error.to_string())
}

/// Each Unix socket is a path that an address of the kernel has room for, and no two
/// are the same.
pub(super) fn unix_sockets(config: &Config) -> Result<(), String> {
    /// Bytes of `sun_path` without the zero at its end (unix(7)).
    const MAX_PATH_BYTES: usize = 107;
    let paths = &config.listen_unix;
    if paths.len() > MAX_UNIX_SOCKETS {
        return Err(format!(
            "{} sockets; allowed: up to {MAX_UNIX_SOCKETS}",
            paths.len()
        ));
    }
    for (place, path) in paths.iter().enumerate() {
        if !path.starts_with('/') || path.contains('\0') || path.len() > MAX_PATH_BYTES {
            return Err(format!(
                "'{path}' cannot be a socket; give a path from the root of {MAX_PATH_BYTES} \
                 bytes at most"
            ));
        }
        if paths[..place].contains(path) {
            return Err(format!("{path} is given twice; leave one out"));
        }
    }
    Ok(())
}

/// Proxies are named where they are asked: a server that believes a client's word
/// about itself believes anything.
pub(super) fn proxies_are_named(config: &Config) -> Result<(), String> {
    if config.client_address == ClientAddress::Peer || !config.trusted_proxies.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} needs to know whom to believe; name the proxies' addresses or networks with --trusted-proxy",
        config.client_address.as_str()
    ))
}

/// Proxies are asked where they are named.
pub(super) fn proxies_are_asked(config: &Config) -> Result<(), String> {
    if config.client_address != ClientAddress::Peer || config.trusted_proxies.is_empty() {
        return Ok(());
    }
    Err(
        "no proxy is asked; add --client-address forwarded-for or proxy-protocol, whichever it speaks"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::super::RouteSetting;
    use super::*;

    /// The message about the default configuration with one change.
    fn complaint(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config
            .validate()
            .expect_err("the change should be refused")
            .to_string()
    }

    fn accepted(change: impl FnOnce(&mut Config)) {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap();
    }

    #[test]
    fn the_defaults_stand() {
        accepted(|_| {});
    }

    #[test]
    fn a_range_is_checked() {
        assert_eq!(
            complaint(|config| config.shards = 0),
            "--shards: 0 is out of range; allowed: 1 to 1024"
        );
        assert_eq!(
            complaint(|config| config.idle_timeout = Duration::MAX)
                .split(':')
                .next(),
            Some("--idle-timeout")
        );
    }

    #[test]
    fn a_frame_fits_in_a_message() {
        let message = complaint(|config| config.max_message_bytes = 1024);
        assert!(
            message.starts_with("--max-frame-bytes: a frame of 256KiB"),
            "{message}"
        );
        assert!(message.contains("--max-message-bytes 1KiB"), "{message}");
    }

    #[test]
    fn each_shard_has_room_for_an_unfinished_message() {
        let shards = |config: &mut Config| {
            config.shards = 4;
            config.max_unfinished_bytes = 4 * config.max_message_bytes;
        };
        accepted(shards);
        let message = complaint(|config| {
            shards(config);
            config.max_unfinished_bytes -= 1;
        });
        assert!(
            message.starts_with("--max-unfinished-bytes: 1048575B for --shards 4"),
            "{message}"
        );
        assert!(message.ends_with("allowed: 1MiB or more"), "{message}");
    }

    #[test]
    fn the_high_water_mark_is_reached_before_the_queue_is_full() {
        let message = complaint(|config| config.max_pending_bytes = 32 * 1024);
        assert!(message.starts_with("--high-water-mark: 64KiB"), "{message}");
        accepted(|config| config.high_water_mark_bytes = config.max_pending_bytes);
    }

    #[test]
    fn a_ping_comes_before_the_idle_limit_unless_either_is_off() {
        let message = complaint(|config| config.ping_interval = config.idle_timeout);
        assert!(message.starts_with("--ping-interval: 1m"), "{message}");
        accepted(|config| config.ping_interval = Duration::ZERO);
        accepted(|config| config.idle_timeout = Duration::ZERO);
    }

    #[test]
    fn a_core_must_be_usable() {
        let message = cpus_are_among(&[0, 5], &[0, 1]).unwrap_err();
        assert!(message.starts_with("core 5 "), "{message}");
        assert!(message.ends_with("allowed: 0,1"), "{message}");
        cpus_are_among(&[0, 5], &[0, 5]).unwrap();
        let message = complaint(|config| config.cpus = vec![9_999]);
        assert!(message.starts_with("--cpus: core 9999 "), "{message}");
    }

    #[test]
    fn the_two_listeners_differ() {
        let same: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        assert!(complaint(|config| config.admin = Some(same)).starts_with("--admin: "));
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        accepted(|config| {
            config.listen = vec![any.into()];
            config.admin = Some(any);
        });
    }

    #[test]
    fn an_api_has_an_address_of_its_own_and_keys() {
        let api: SocketAddr = "127.0.0.1:9091".parse().unwrap();
        let message = complaint(|config| config.api = Some(api));
        assert!(message.starts_with("--api: whoever reaches"), "{message}");
        assert!(message.contains("--api-key-file FILE"), "{message}");
        assert!(message.contains("--api-insecure"), "{message}");
        let with_keys = |config: &mut Config| {
            config.api = Some(api);
            config.api_key_file = Some("keys.toml".into());
        };
        accepted(with_keys);
        accepted(|config| {
            config.api = Some(api);
            config.api_insecure = true;
        });
        for (change, start) in [
            (
                (|config| config.admin = config.api) as fn(&mut Config),
                "--api: 127.0.0.1:9091 is also --admin",
            ),
            (
                |config| config.listen = vec![config.api.unwrap().into()],
                "--api: 127.0.0.1:9091 is also --listen",
            ),
            (|config| config.api = None, "--api-key-file: the keys are"),
            (|config| config.api_insecure = true, "--api-insecure: with"),
        ] {
            let message = complaint(|config| {
                with_keys(config);
                change(config);
            });
            assert!(message.starts_with(start), "{message}");
        }
    }

    #[test]
    fn each_endpoint_has_an_address_of_its_own() {
        let endpoints = |addresses: &[&str]| -> Vec<Endpoint> {
            addresses.iter().map(|text| text.parse().unwrap()).collect()
        };
        for (addresses, part) in [
            (&[][..], "at least one address"),
            (
                &["127.0.0.1:80", "[::1]:80", "127.0.0.1:80"],
                "127.0.0.1:80 is given twice",
            ),
            (
                &["127.0.0.1:0", "127.0.0.1:0"],
                "127.0.0.1:0 is given twice",
            ),
        ] {
            let message = complaint(|config| config.listen = endpoints(addresses));
            assert!(message.starts_with("--listen: "), "{message}");
            assert!(message.contains(part), "{message}");
        }
        let many = |count: u16| -> Vec<Endpoint> {
            let address = |port| SocketAddr::from(([127, 0, 0, 1], 1_000 + port));
            (0..count).map(|port| address(port).into()).collect()
        };
        accepted(|config| config.listen = many(32));
        let message = complaint(|config| config.listen = many(33));
        assert!(
            message.contains("33 addresses; allowed: up to 32"),
            "{message}"
        );
        // The second is the control plane's too.
        let message = complaint(|config| {
            config.listen = endpoints(&["127.0.0.1:80", "[::1]:80"]);
            config.admin = Some("[::1]:80".parse().unwrap());
        });
        assert!(
            message.starts_with("--admin: [::1]:80 is also"),
            "{message}"
        );
        accepted(|config| config.listen = endpoints(&["0.0.0.0:80", "[::]:80", "127.0.0.1:80"]));
    }

    #[test]
    fn an_origin_looks_like_one() {
        for origin in [
            "",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a b",
        ] {
            let message = complaint(|config| config.allowed_origins = vec![origin.to_owned()]);
            assert!(message.starts_with("--origin: "), "{message}");
        }
        for origin in ["https://a.example", "http://localhost:3000", "null"] {
            accepted(|config| config.allowed_origins = vec![origin.to_owned()]);
        }
    }

    #[test]
    fn proxies_are_named_where_they_are_asked_and_only_there() {
        let message = complaint(|config| config.client_address = ClientAddress::ProxyProtocol);
        assert!(
            message.starts_with("--client-address: proxy-protocol needs"),
            "{message}"
        );
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let message = complaint(|config| config.trusted_proxies = proxies.clone());
        assert!(
            message.starts_with("--trusted-proxy: no proxy is asked"),
            "{message}"
        );
        accepted(|config| {
            config.client_address = ClientAddress::ForwardedFor;
            config.trusted_proxies = proxies;
        });
    }

    #[test]
    fn a_route_has_a_path_and_no_rival() {
        for (path, handler, part) in [
            ("chat", "chat", "is not a path"),
            ("/a b", "chat", "is not a path"),
            ("/%65cho", "chat", "'/%65cho' cannot be served"),
            ("/a?b", "chat", "%3F"),
            ("/100%", "chat", "%25"),
            ("/echo", "chat", "'/echo' cannot be served"),
            ("/{", "chat", "'/{' cannot be served"),
        ] {
            let message = complaint(|config| {
                config.routes = RouteSetting::demo();
                config.routes.push(RouteSetting::new(path, handler));
            });
            assert!(message.starts_with("--route: "), "{message}");
            assert!(message.contains(part), "{message}");
        }
        // The library's user adds routes of its own.
        accepted(|config| config.routes.clear());
    }
}
