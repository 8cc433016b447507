//! What a person may write for one option, whichever way it is given.
//!
//! # Invariants worth naming
//!
//! - Each type is read by its [`FromStr`] alone: a flag, a variable and a key
//!   of the file all pass through it, so they accept the same words.
//! - An error says what was written and what may be written instead. Ranges
//!   are not checked here but by [`Config::validate`](crate::config::Config::validate).

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use corecast_host::cpus;
use ipnet::IpNet;
use tracing::level_filters::LevelFilter;

use super::text::from_text;
use crate::config::SlowConsumerPolicy;
use crate::source::{canonical_address, canonical_network};

/// An address with a port. Space around it does not count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address(pub SocketAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .map(|address| Address(canonical_address(address)))
            .map_err(|_| {
                format!(
                    "'{text}' is not an address; write IP:PORT, as in 0.0.0.0:8080 or [::]:8080"
                )
            })
    }
}

/// An address with a port, or `off`.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddressOrOff(pub Option<SocketAddr>);

impl FromStr for AddressOrOff {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(AddressOrOff(None));
        }
        text.parse()
            .map(|Address(address)| AddressOrOff(Some(address)))
            .map_err(|problem| format!("{problem}, or off"))
    }
}

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub usize);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // `1_000_000` is how Rust and TOML write it, and is easier to get right.
        text.replace('_', "")
            .parse()
            .map(Count)
            .map_err(|_| format!("'{text}' is not a whole number"))
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<ByteSize>()
            .ok()
            .and_then(|size| usize::try_from(size.as_u64()).ok())
            .map(Size)
            .ok_or_else(|| {
                format!("'{text}' is not a size; write bytes, as in 65536, or 64KiB or 1MiB")
            })
    }
}

/// A length of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Time(Duration::ZERO));
        }
        humantime::parse_duration(text).map(Time).map_err(|_| {
            format!("'{text}' is not a time; write a number and a unit, as in 500ms, 10s or 2m")
        })
    }
}

/// A length of time that is in microseconds where no unit is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Microseconds(pub Duration);

impl FromStr for Microseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(micros) = text.parse() {
            return Ok(Microseconds(Duration::from_micros(micros)));
        }
        text.parse::<Time>()
            .map(|Time(time)| Microseconds(time))
            .map_err(|_| format!("'{text}' is not a time; write microseconds, as in 50, or 50us"))
    }
}

/// Cores, such as `0-3,8`, or `all` (an empty list).
#[derive(Debug, Clone)]
pub(super) struct Cpus(pub Vec<usize>);

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Cpus(Vec::new()));
        }
        let cpus = cpus::parse(text).map_err(|error| format!("{error}, or all"))?;
        Ok(Cpus(cpus))
    }
}

/// An origin, or `*` for any. Space around it does not count, nor around other
/// elements of lists: people write `a, b`, and a file ends its line.
#[derive(Debug, Clone)]
pub(super) struct Origin(pub String);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("'' is not an origin; write https://example.com, or * for any".to_owned());
        }
        Ok(Origin(text.to_owned()))
    }
}

/// A network, or an address, which is a network of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network(pub IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        text.parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map(|network| Network(canonical_network(network)))
            .map_err(|_| {
                format!(
                    "'{text}' is not a network; write an address, as in 10.0.0.5, \
                     or with its prefix's length, as in 10.0.0.0/8 or fd00::/8"
                )
            })
    }
}

/// The least severe level that is logged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level(pub LevelFilter);

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The filter itself would also read digits, which nobody remembers.
        match text {
            "off" | "error" | "warn" | "info" | "debug" | "trace" => {
                text.parse().map(Level).map_err(|_| unreachable!())
            }
            _ => Err(format!(
                "'{text}' is not a level; use off, error, warn, info, debug or trace"
            )),
        }
    }
}

/// The handler's name that takes a path off the list.
pub(super) const OFF: &str = "off";

/// One route: `PATH=HANDLER` or `PATH=HANDLER:POLICY`, or a `[[routes]]` table.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub path: String,
    pub handler: String,
    #[serde(default, deserialize_with = "from_text")]
    pub slow_consumer: Option<SlowConsumerPolicy>,
}

impl Route {
    /// The keys of a `[[routes]]` table.
    pub const KEYS: &[&str] = &["path", "handler", "slow_consumer"];
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (path, handler) = text.rsplit_once('=').ok_or_else(|| {
            format!("'{text}' is not a route; write PATH=HANDLER, as in /news=broadcast")
        })?;
        let (handler, policy) = match handler.split_once(':') {
            Some((handler, policy)) => (handler, Some(policy.parse()?)),
            None => (handler, None),
        };
        Ok(Route {
            path: path.to_owned(),
            handler: handler.to_owned(),
            slow_consumer: policy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_none() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65536),
            ("64KiB", 65536),
            ("64 KiB", 65536),
            ("1MiB", 1 << 20),
            ("1kB", 1000),
        ] {
            assert_eq!(text.parse::<Size>().unwrap().0, bytes, "{text}");
        }
        for text in ["", "-1", "abc", "1XB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_need_a_unit_except_zero_and_microseconds() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1m 30s", 90_000),
        ] {
            assert_eq!(
                text.parse::<Time>().unwrap().0,
                Duration::from_millis(millis),
                "{text}"
            );
        }
        for text in ["", "10", "-1s", "soon"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
        for text in ["50", "50us"] {
            assert_eq!(
                text.parse::<Microseconds>().unwrap().0,
                Duration::from_micros(50)
            );
        }
        assert!("".parse::<Microseconds>().is_err());
    }

    #[test]
    fn networks_are_addresses_with_or_without_a_prefix() {
        for (text, shown) in [
            ("10.0.0.5", "10.0.0.5/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::1", "::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:10.0.0.5", "10.0.0.5/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().0.to_string(), shown);
        }
        for text in ["", "10.0.0", "10.0.0.0/33", "localhost", "10.0.0.0/8,::1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn cores_are_numbers_and_ranges() {
        for (text, cpus) in [
            ("0", vec![0]),
            ("0-3,8", vec![0, 1, 2, 3, 8]),
            ("2, 1", vec![2, 1]),
            ("all", vec![]),
        ] {
            assert_eq!(text.parse::<Cpus>().unwrap().0, cpus, "{text}");
        }
        for text in ["", "3-0", "a", "1,", "0-", "-1", "0-99999999999"] {
            assert!(text.parse::<Cpus>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_route_is_a_path_a_handler_and_perhaps_a_policy() {
        let route: Route = "/ws/{user_id}=chat:drop".parse().unwrap();
        assert_eq!(
            (route.path.as_str(), route.handler.as_str()),
            ("/ws/{user_id}", "chat")
        );
        assert_eq!(route.slow_consumer, Some(SlowConsumerPolicy::Drop));
        assert!("/ws".parse::<Route>().is_err());
        assert!(
            "/ws=chat:wait"
                .parse::<Route>()
                .unwrap_err()
                .contains("close or drop")
        );
    }

    #[test]
    fn levels_are_words() {
        assert_eq!("debug".parse::<Level>().unwrap().0, LevelFilter::DEBUG);
        for text in ["", "loud", "3", "INFO"] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }
}
