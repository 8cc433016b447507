//! The checks that make a [`Config`] fit to start a server with.
//!
//! # Invariants worth naming
//!
//! - Each relation between two settings is written once, here; code that runs
//!   later may rely on it without asking again.
//! - An error is about the option a person would change, and says to what.

use std::time::Duration;

use super::range::Range;
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
        self.validate_ranges()?;
        self.validate_addresses()?;
        self.validate_cpus(&cpus::usable())?;
        self.validate_relations()?;
        self.validate_origins()?;
        self.validate_proxies()?;
        self.validate_routes()
    }

    fn validate_ranges(&self) -> Result<(), ConfigError> {
        for (option, value) in [
            ("shards", self.shards as u64),
            ("busy-poll", nanos(self.busy_poll)),
            ("backlog", self.backlog.into()),
            ("max-sessions", self.max_sessions as u64),
            ("max-sessions-per-shard", self.max_sessions_per_shard as u64),
            ("max-handshakes", self.max_handshakes_per_shard as u64),
            ("max-header-bytes", self.max_header_bytes as u64),
            ("max-read-bytes", self.max_read_bytes as u64),
            ("max-frame-bytes", self.max_frame_bytes as u64),
            ("max-message-bytes", self.max_message_bytes as u64),
            ("high-water-mark", self.high_water_mark_bytes as u64),
            ("max-pending-bytes", self.max_pending_bytes as u64),
            (
                "max-connections-per-source",
                self.max_connections_per_source as u64,
            ),
            (
                "max-handshake-rate-per-source",
                self.max_handshake_rate_per_source as u64,
            ),
            ("source-prefix-ipv6", self.source_prefix_ipv6.into()),
            ("max-message-rate", self.max_message_rate as u64),
            ("max-byte-rate", self.max_byte_rate as u64),
            ("rate-burst", nanos(self.rate_burst)),
            ("handshake-timeout", nanos(self.handshake_timeout)),
            ("idle-timeout", nanos(self.idle_timeout)),
            ("ping-interval", nanos(self.ping_interval)),
            ("write-stall-timeout", nanos(self.write_stall_timeout)),
            ("close-timeout", nanos(self.close_timeout)),
            ("drain-timeout", nanos(self.drain_timeout)),
            ("ring-capacity", self.ring_capacity as u64),
            ("fan-out-slice", self.fan_out_slice as u64),
        ] {
            Range::of(option)
                .expect("every option checked here has a range")
                .check(value)?;
        }
        Ok(())
    }

    fn validate_addresses(&self) -> Result<(), ConfigError> {
        let problem = |problem: String| Err(ConfigError::new("listen", problem));
        if self.listen.is_empty() {
            return problem("there must be at least one address".to_owned());
        }
        if self.listen.len() > MAX_ENDPOINTS {
            let count = self.listen.len();
            return problem(format!("{count} addresses; allowed: up to {MAX_ENDPOINTS}"));
        }
        for (index, Endpoint { address, .. }) in self.listen.iter().enumerate() {
            let mut before = self.listen[..index].iter();
            if before.any(|other| other.address == *address) {
                return problem(format!("{address} is given twice; give each address once"));
            }
            if address.port() != 0 && self.admin == Some(*address) {
                return Err(ConfigError::new(
                    "admin",
                    format!(
                        "{address} is also --listen; use another port, or off for no control plane"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn validate_cpus(&self, usable: &[usize]) -> Result<(), ConfigError> {
        let Some(cpu) = self.cpus.iter().find(|cpu| !usable.contains(cpu)) else {
            return Ok(());
        };
        let usable: Vec<_> = usable.iter().map(usize::to_string).collect();
        Err(ConfigError::new(
            "cpus",
            format!(
                "core {cpu} does not exist or is closed to this process (taskset, cpuset); allowed: {}",
                usable.join(",")
            ),
        ))
    }

    fn validate_relations(&self) -> Result<(), ConfigError> {
        if self.max_frame_bytes > self.max_message_bytes {
            return Err(ConfigError::new(
                "max-frame-bytes",
                format!(
                    "a frame of {} could not be part of a message of --max-message-bytes {}; allowed: at most that",
                    show_bytes(self.max_frame_bytes as u64),
                    show_bytes(self.max_message_bytes as u64)
                ),
            ));
        }
        if self.high_water_mark_bytes > self.max_pending_bytes {
            return Err(ConfigError::new(
                "high-water-mark",
                format!(
                    "{} would never be reached under --max-pending-bytes {}; allowed: at most that",
                    show_bytes(self.high_water_mark_bytes as u64),
                    show_bytes(self.max_pending_bytes as u64)
                ),
            ));
        }
        // A ping at or after the idle limit could never save the session it asks about.
        if !self.idle_timeout.is_zero() && self.ping_interval >= self.idle_timeout {
            return Err(ConfigError::new(
                "ping-interval",
                format!(
                    "{} is not before --idle-timeout {}; allowed: less than that, or 0 for no pings",
                    show_time(self.ping_interval),
                    show_time(self.idle_timeout)
                ),
            ));
        }
        Ok(())
    }

    fn validate_origins(&self) -> Result<(), ConfigError> {
        let policy = OriginPolicy::new(&self.allowed_origins);
        policy
            .map(drop)
            .map_err(|error| ConfigError::new("origin", error.to_string()))
    }

    /// Who believes a client's word about itself believes anything.
    fn validate_proxies(&self) -> Result<(), ConfigError> {
        let asks_proxies = self.client_address != ClientAddress::Peer;
        match (asks_proxies, self.trusted_proxies.is_empty()) {
            (true, true) => Err(ConfigError::new(
                "client-address",
                format!(
                    "{} needs to know whom to believe; name the proxies' addresses or networks with --trusted-proxy",
                    self.client_address.as_str()
                ),
            )),
            (false, false) => Err(ConfigError::new(
                "trusted-proxy",
                "no proxy is asked; add --client-address forwarded-for or proxy-protocol, whichever it speaks",
            )),
            _ => Ok(()),
        }
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

/// A time as the range table counts it; what does not fit is far out of every range.
fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

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
            message.starts_with("--max-frame-bytes: a frame of 16MiB"),
            "{message}"
        );
        assert!(message.contains("--max-message-bytes 1KiB"), "{message}");
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
        let config = Config {
            cpus: vec![0, 5],
            ..Config::default()
        };
        let message = config.validate_cpus(&[0, 1]).unwrap_err().to_string();
        assert!(message.starts_with("--cpus: core 5 "), "{message}");
        assert!(message.ends_with("allowed: 0,1"), "{message}");
        config.validate_cpus(&[0, 5]).unwrap();
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
