//! Every limit, default and unit of a server, in one place: the rows of `table`.
//!
//! [`Config`] is what was *resolved*: plain values with the relations between them
//! checked once by [`Config::validate`]. The text a person *typed* (flags, environment,
//! a TOML file) is the concern of `cli`, which makes a `Config` of it before any thread
//! starts.

pub(crate) mod choice;
mod endpoint;
mod range;
#[cfg_attr(
    not(feature = "cli"),
    allow(dead_code, reason = "only the command line reads all of a row")
)]
pub(crate) mod setting;
mod table;
mod time;
mod unread;
mod validate;

use std::borrow::Cow;
use std::fmt;

pub use choice::{
    ClientAddress, Driver, JoinPolicy, OverRatePolicy, PublishPolicy, SlowConsumerPolicy, Steer,
    TokenAlgorithm,
};
pub use endpoint::{Endpoint, EndpointKind, MAX_ENDPOINTS};
pub(crate) use range::show_bytes;
pub use table::Config;
#[cfg(feature = "cli")]
pub(crate) use table::SETTINGS;
pub(crate) use time::show_time;
#[cfg(feature = "cli")]
pub(crate) use unread::nearest;
pub(crate) use unread::{TableError, parsed};
pub use unread::{UnreadTable, UnreadValue};

/// Which handler answers a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSetting {
    /// The path; a segment in braces, as in `/ws/{user_id}`, matches any one segment.
    pub path: String,
    /// The name of a built-in handler: `echo`, `broadcast`, `chat` or `phoenix`.
    pub handler: String,
    /// This route's policy, or `None` for [`Config::slow_consumer`].
    pub slow_consumer: Option<SlowConsumerPolicy>,
    /// Which clients may publish on this route, where its handler's protocol has
    /// publications; `None` for all. With topics that have rules of their own, the
    /// stricter of the two counts.
    pub publish: Option<PublishPolicy>,
}

impl RouteSetting {
    /// A route with the server's own slow-consumer policy, on which every client may
    /// publish.
    pub fn new(path: &str, handler: &str) -> Self {
        RouteSetting {
            path: path.to_owned(),
            handler: handler.to_owned(),
            slow_consumer: None,
            publish: None,
        }
    }

    /// The routes to try a server with (`corecast serve --demo`): one or two of each
    /// handler. Everybody may use them, so they are for tests, and for a first look.
    pub fn demo() -> Vec<RouteSetting> {
        vec![
            RouteSetting::new("/echo", "echo"),
            RouteSetting::new("/broadcast", "broadcast"),
            RouteSetting::new("/ws", "chat"),
            RouteSetting::new("/ws/{user_id}", "chat"),
            RouteSetting::new("/socket/websocket", "phoenix"),
            RouteSetting::new("/topics/{topic}", "topics"),
        ]
    }
}

/// A setting that cannot stand: its name, the fault, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting's key as in the file, or the option's name as on the command
    /// line without dashes; with dots where it is in the file only.
    pub option: Cow<'static, str>,
    /// The fault and what is allowed instead, as one sentence.
    pub problem: String,
}

impl ConfigError {
    /// An error about one option.
    pub fn new(option: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> Self {
        ConfigError {
            option: option.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = &self.problem;
        // A setting that is only in the file has no flag.
        match self.option.contains('.') {
            true => write!(f, "{}: {problem}", self.option),
            false => write!(f, "--{}: {problem}", self.option.replace('_', "-")),
        }
    }
}

impl std::error::Error for ConfigError {}
