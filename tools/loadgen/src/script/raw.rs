//! A script as it is written: every key with the type it has in TOML, nothing
//! yet checked against anything else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use corecast_host::number;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use super::arrivals::Arrival;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScript {
    pub name: Spanned<String>,
    #[serde(default)]
    pub targets: Vec<Spanned<String>>,
    pub timeout: Option<Spanned<Time>>,
    pub duration: Option<Spanned<Time>>,
    pub rooms: Option<Spanned<Count>>,
    #[serde(default)]
    pub phase: Vec<Spanned<RawPhase>>,
    #[serde(default)]
    pub session: Vec<Spanned<RawSession>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPhase {
    pub name: Option<String>,
    pub duration: Spanned<Time>,
    pub arrival_rate: Spanned<Rate>,
    #[serde(default)]
    pub arrival: Arrival,
    pub max_users: Option<Spanned<Count>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSession {
    pub name: Option<Spanned<String>>,
    pub weight: Option<Spanned<Count>>,
    pub path: Option<Spanned<String>>,
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    pub subprotocol: Option<Spanned<String>>,
    #[serde(default)]
    pub step: Vec<Spanned<RawStep>>,
}

/// One of the keys but `steps`, which belongs to `repeat`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStep {
    pub send: Option<Spanned<String>>,
    pub send_hex: Option<Spanned<String>>,
    pub receive: Option<Spanned<RawReceive>>,
    pub think: Option<Spanned<RawThink>>,
    pub until: Option<Spanned<Time>>,
    pub ping: Option<Spanned<bool>>,
    pub close: Option<Spanned<Count>>,
    pub repeat: Option<Spanned<RawRepeat>>,
    pub steps: Option<Spanned<Vec<Spanned<RawStep>>>>,
}

/// A length of time, as in "10s".
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        struct TimeVisitor;

        impl Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time, as in \"500ms\", \"10s\" or \"2m\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                parse_time(text).map(Time).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(TimeVisitor)
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    number::time_or_zero(text).map_err(|_| {
        format!(
            "'{text}' is not a time; write a number and a unit, as in \"500ms\", \"10s\" or \"2m\""
        )
    })
}

/// A whole number that is not negative, or text as in "50k".
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        struct CountVisitor;

        impl Visitor<'_> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
                number::count(text).map(Count).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
                Ok(Count(number))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
                u64::try_from(number)
                    .map(Count)
                    .map_err(|_| E::custom(format!("{number} is negative")))
            }
        }

        deserializer.deserialize_any(CountVisitor)
    }
}

/// A number with or without a fraction, or text as in "1.5k".
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate(pub f64);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        struct RateVisitor;

        impl Visitor<'_> for RateVisitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of users per second")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
                number::rate(text).map(Rate).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Rate, E> {
                Ok(Rate(number as f64))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Rate, E> {
                Ok(Rate(number as f64))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Rate, E> {
                Ok(Rate(number))
            }
        }

        deserializer.deserialize_any(RateVisitor)
    }
}

/// `"any"`, or a table that says which message.
#[derive(Debug, Default)]
pub(super) struct RawReceive {
    pub contains: Option<Spanned<String>>,
    pub json: Option<Spanned<String>>,
    pub equals: Option<Spanned<toml::Value>>,
    pub timeout: Option<Spanned<Time>>,
}

impl<'de> Deserialize<'de> for RawReceive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawReceive, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            contains: Option<Spanned<String>>,
            json: Option<Spanned<String>>,
            equals: Option<Spanned<toml::Value>>,
            timeout: Option<Spanned<Time>>,
        }

        struct ReceiveVisitor;

        impl<'de> Visitor<'de> for ReceiveVisitor {
            type Value = RawReceive;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"any\", or a table as in { contains = \"ok\", timeout = \"5s\" }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawReceive, E> {
                match text {
                    "any" => Ok(RawReceive::default()),
                    _ => Err(E::custom(format!(
                        "'{text}' is not a message to wait for; write \"any\", or {{ contains = \
                         '{text}' }} for one with this text"
                    ))),
                }
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RawReceive, M::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawReceive {
                    contains: table.contains,
                    json: table.json,
                    equals: table.equals,
                    timeout: table.timeout,
                })
            }
        }

        deserializer.deserialize_any(ReceiveVisitor)
    }
}

/// A time, or a table that says how times are distributed.
#[derive(Debug)]
pub(super) enum RawThink {
    Fixed(Duration),
    Table(RawDistribution),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDistribution {
    pub mean: Option<Spanned<Time>>,
    /// Only one is known, but writing it makes a script easier to read.
    pub distribution: Option<Spanned<Distribution>>,
    pub from: Option<Spanned<Time>>,
    pub to: Option<Spanned<Time>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Distribution {
    Exponential,
}

impl<'de> Deserialize<'de> for RawThink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawThink, D::Error> {
        struct ThinkVisitor;

        impl<'de> Visitor<'de> for ThinkVisitor {
            type Value = RawThink;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a time as in \"30s\", or a table as in { mean = \"3s\" } or \
                     { from = \"1s\", to = \"5s\" }",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawThink, E> {
                parse_time(text).map(RawThink::Fixed).map_err(E::custom)
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RawThink, M::Error> {
                RawDistribution::deserialize(MapAccessDeserializer::new(map)).map(RawThink::Table)
            }
        }

        deserializer.deserialize_any(ThinkVisitor)
    }
}

/// A number of times, or `"forever"`.
#[derive(Debug, Clone, Copy)]
pub(super) enum RawRepeat {
    Times(u64),
    Forever,
}

impl<'de> Deserialize<'de> for RawRepeat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawRepeat, D::Error> {
        struct RepeatVisitor;

        impl Visitor<'_> for RepeatVisitor {
            type Value = RawRepeat;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or \"forever\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RawRepeat, E> {
                u64::try_from(number)
                    .map(RawRepeat::Times)
                    .map_err(|_| E::custom(format!("{number} is negative")))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawRepeat, E> {
                Ok(RawRepeat::Times(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawRepeat, E> {
                match text {
                    "forever" => Ok(RawRepeat::Forever),
                    _ => Err(E::custom(format!(
                        "'{text}' is not a number of times; write a whole number, or \"forever\""
                    ))),
                }
            }
        }

        deserializer.deserialize_any(RepeatVisitor)
    }
}
