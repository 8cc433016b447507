//! The text of a value, whichever way it is given: [`read`] by the kind of its
//! setting, and [`show`] as it would be written in the file.
//!
//! # Invariants worth naming
//!
//! - A flag, a variable and a key of the file all pass through [`read`], so they
//!   accept the same words.
//! - An error names the text that was written and those that are allowed instead.
//!   Ranges are not checked here but by
//!   [`Config::validate`](crate::config::Config::validate).

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use corecast_host::{cpus, number};
use ipnet::IpNet;
use toml::Value;

use super::text::from_text;
use crate::config::setting::Kind;
use crate::config::{PublishPolicy, SlowConsumerPolicy, show_bytes, show_time};
use crate::source::{canonical_address, canonical_network};

/// Puts what was written into the settings. A list may be in several texts, or in
/// one with commas.
///
/// # Errors
/// A sentence that says what was written and how a value is written.
pub(super) fn read<C>(kind: &Kind<C>, texts: &[String], settings: &mut C) -> Result<(), String> {
    match kind {
        Kind::Count(field, _) => (field.put)(settings, count(single(texts)?)?),
        Kind::Size(field, _) => (field.put)(settings, number::size(single(texts)?)?),
        Kind::Time(field, _) => (field.put)(settings, number::time_or_zero(single(texts)?)?),
        Kind::Microseconds(field, _) => (field.put)(settings, microseconds(single(texts)?)?),
        Kind::Choice(field, _) => (field.put)(settings, single(texts)?.to_owned()),
        Kind::Switch(field) => (field.put)(settings, switch(single(texts)?)?),
        Kind::Addresses(field) => (field.put)(settings, each(texts, address)?),
        Kind::AddressOrOff(field) => (field.put)(settings, address_or_off(single(texts)?)?),
        Kind::Cpus(field) => (field.put)(settings, cpus_of(texts)?),
        Kind::Origins(field) => (field.put)(settings, origins(texts)?),
        Kind::Networks(field) => (field.put)(settings, each(texts, network)?),
    }
}

/// A setting's value as it would be written in the file.
pub(super) fn show<C>(kind: &Kind<C>, settings: &C) -> Value {
    let list = |words: Vec<String>| Value::from(words);
    match kind {
        Kind::Count(field, _) => {
            Value::Integer((field.of)(settings).try_into().unwrap_or(i64::MAX))
        }
        Kind::Size(field, _) => Value::String(show_bytes((field.of)(settings))),
        Kind::Time(field, _) | Kind::Microseconds(field, _) => {
            Value::String(show_time((field.of)(settings)))
        }
        Kind::Choice(field, _) => Value::String((field.of)(settings)),
        Kind::Switch(field) => Value::Boolean((field.of)(settings)),
        Kind::Addresses(field) => match &(field.of)(settings)[..] {
            [one] => Value::String(one.to_string()),
            several => list(several.iter().map(SocketAddr::to_string).collect()),
        },
        Kind::AddressOrOff(field) => Value::String(
            (field.of)(settings).map_or(OFF.to_owned(), |address| address.to_string()),
        ),
        Kind::Cpus(field) => match &(field.of)(settings)[..] {
            [] => Value::from("all"),
            cpus => Value::from(cpus.iter().map(|cpu| *cpu as i64).collect::<Vec<_>>()),
        },
        Kind::Origins(field) => match (field.of)(settings) {
            any if any.is_empty() => list(vec!["*".to_owned()]),
            origins => list(origins),
        },
        Kind::Networks(field) => list((field.of)(settings).iter().map(IpNet::to_string).collect()),
    }
}

/// The one text of a setting that is no list.
fn single(texts: &[String]) -> Result<&str, String> {
    match texts {
        [text] => Ok(text),
        texts => Err(format!("{} values are given; give one", texts.len())),
    }
}

/// Each element of a list. Space around it does not count: people write `a, b`, and a
/// file ends its line.
fn each<T>(texts: &[String], read: fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let elements = texts.iter().flat_map(|text| text.split(','));
    elements.map(|element| read(element.trim())).collect()
}

fn count(text: &str) -> Result<u64, String> {
    // A number that is too large for any setting is out of range, not badly written.
    let read = number::count(text).or_else(|_| text.replace('_', "").parse());
    read.map_err(|_| format!("'{text}' is not a whole number"))
}

fn microseconds(text: &str) -> Result<Duration, String> {
    if let Ok(micros) = number::count(text) {
        return Ok(Duration::from_micros(micros));
    }
    number::time_or_zero(text)
        .map_err(|_| format!("'{text}' is not a time; write microseconds, as in 50, or 50us"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let address = text.trim().parse().map(canonical_address);
    address.map_err(|_| {
        format!("'{text}' is not an address; write IP:PORT, as in 0.0.0.0:8080 or [::]:8080")
    })
}

fn address_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        OFF => Ok(None),
        text => address(text)
            .map(Some)
            .map_err(|problem| format!("{problem}, or off")),
    }
}

/// Cores, such as `0-3,8`, or `all` (an empty list).
fn cpus_of(texts: &[String]) -> Result<Vec<usize>, String> {
    match texts.join(",") {
        all if all == "all" || texts.is_empty() => Ok(Vec::new()),
        list => cpus::parse(&list).map_err(|error| format!("{error}, or all")),
    }
}

/// Origins; none of them, meaning any, if one is `*`.
fn origins(texts: &[String]) -> Result<Vec<String>, String> {
    let origins = each(texts, |text| match text {
        "" => Err("'' is not an origin; write https://example.com, or * for any".to_owned()),
        text => Ok(text.to_owned()),
    })?;
    match origins.iter().any(|origin| origin == "*") {
        true => Ok(Vec::new()),
        false => Ok(origins),
    }
}

/// A network, or an address, which is a network of one.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map(canonical_network)
        .map_err(|_| {
            format!(
                "'{text}' is not a network; write an address, as in 10.0.0.5, \
                 or with its prefix's length, as in 10.0.0.0/8 or fd00::/8"
            )
        })
}

/// On or off. Variables are often 1 or 0.
fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("'{text}' is not a switch; use true or false")),
    }
}

/// The handler's name that takes a path off the list.
pub(super) const OFF: &str = "off";

/// One route: `PATH=HANDLER`, its policies after colons, as in
/// `PATH=HANDLER:drop:publish=nobody`, or a `[[routes]]` table.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub path: String,
    pub handler: String,
    #[serde(default, deserialize_with = "from_text")]
    pub slow_consumer: Option<SlowConsumerPolicy>,
    #[serde(default, deserialize_with = "from_text")]
    pub publish: Option<PublishPolicy>,
}

impl Route {
    /// The keys of a `[[routes]]` table.
    pub const KEYS: &[&str] = &["path", "handler", "slow_consumer", "publish"];
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let not_one =
            || format!("'{text}' is not a route; write PATH=HANDLER, as in /news=broadcast");
        // A path may hold signs of both kinds, and so may the text after the handler.
        // So the policies are taken off the end, until a handler's name is left.
        let (mut rest, mut slow_consumer, mut publish) = (text, None, None);
        while let Some((before, policy)) = rest.rsplit_once(':') {
            if !before.contains('=') {
                break;
            }
            if let Some(word) = policy.strip_prefix("publish=") {
                publish = Some(word.parse()?);
            } else if !policy.contains('=') {
                slow_consumer = Some(policy.parse()?);
            } else {
                break;
            }
            rest = before;
        }
        let (path, handler) = rest.rsplit_once('=').ok_or_else(not_one)?;
        Ok(Route {
            path: path.to_owned(),
            handler: handler.to_owned(),
            slow_consumer,
            publish,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_the_tools_read_them() {
        for (text, number) in [
            ("0", 0),
            ("1_000", 1_000),
            ("50k", 50_000),
            ("1M", 1_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(count(text), Ok(number), "{text}");
        }
        for text in ["", "-1", "1.5", "many", "1,2"] {
            assert_eq!(count(text), Err(format!("'{text}' is not a whole number")));
        }
    }

    #[test]
    fn microseconds_need_no_unit() {
        for text in ["50", "50us"] {
            assert_eq!(microseconds(text), Ok(Duration::from_micros(50)));
        }
        for text in ["", "-5", "soon"] {
            let problem = microseconds(text).unwrap_err();
            assert!(problem.ends_with("as in 50, or 50us"), "{problem}");
        }
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
            assert_eq!(network(text).unwrap().to_string(), shown);
        }
        for text in ["", "10.0.0", "10.0.0.0/33", "localhost", "10.0.0.0/8,::1"] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cores_are_numbers_and_ranges() {
        let cpus = |text: &str| cpus_of(&[text.to_owned()]);
        for (text, numbers) in [
            ("0", vec![0]),
            ("0-3,8", vec![0, 1, 2, 3, 8]),
            ("2, 1", vec![2, 1]),
            ("all", vec![]),
        ] {
            assert_eq!(cpus(text), Ok(numbers), "{text}");
        }
        for text in ["", "3-0", "a", "1,", "0-", "-1", "0-99999999999"] {
            assert!(cpus(text).is_err(), "{text}");
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
        for (text, path, slow_consumer, publish) in [
            ("/a=b:c=chat", "/a=b:c", None, None),
            (
                "/a:b=chat:drop",
                "/a:b",
                Some(SlowConsumerPolicy::Drop),
                None,
            ),
            (
                "/a=chat:publish=nobody",
                "/a",
                None,
                Some(PublishPolicy::Nobody),
            ),
            (
                "/a=chat:drop:publish=token",
                "/a",
                Some(SlowConsumerPolicy::Drop),
                Some(PublishPolicy::Token),
            ),
            (
                "/a:publish=x=chat:publish=everyone:close",
                "/a:publish=x",
                Some(SlowConsumerPolicy::Close),
                Some(PublishPolicy::Everyone),
            ),
        ] {
            let route: Route = text.parse().unwrap();
            assert_eq!((&*route.path, &*route.handler), (path, "chat"), "{text}");
            assert_eq!(
                (route.slow_consumer, route.publish),
                (slow_consumer, publish)
            );
        }
        let error = "/a=chat:publish=all".parse::<Route>().unwrap_err();
        assert!(error.contains("everyone, token or nobody"), "{error}");
        assert!(
            "/ws=chat:wait"
                .parse::<Route>()
                .unwrap_err()
                .contains("close, drop or latest")
        );
    }
}
