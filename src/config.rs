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

impl Config {
    /// The default settings.
    pub fn new() -> Self {
        Config::default()
    }

    /// The paths that built-in handlers serve, beside the routes that are given to
    /// [`Server`](crate::Server); no two are alike. None by default.
    #[must_use]
    pub fn routes(mut self, routes: impl IntoIterator<Item = RouteSetting>) -> Self {
        self.routes = routes.into_iter().collect();
        self
    }

    /// Whether a GET of `/` is answered with a page that lists the routes and, where
    /// there is a chat, has a client for it. Off by default.
    #[must_use]
    pub fn home_page(mut self, home_page: bool) -> Self {
        self.home_page = home_page;
        self
    }

    /// Whether a GET of `/healthz` is answered with 200, for load balancers. On by
    /// default.
    #[must_use]
    pub fn health_page(mut self, health_page: bool) -> Self {
        self.health_page = health_page;
        self
    }

    /// The rights of clients on topics, whichever protocol they speak; an
    /// [`AccessSettings`](crate::access::AccessSettings).
    #[must_use]
    pub fn access(mut self, access: impl Into<UnreadTable>) -> Self {
        self.access = access.into();
        self
    }

    /// The settings of a built-in handler, which count for all of its routes: the table
    /// `[handlers.NAME]` of the program's file, which the handler reads itself.
    #[must_use]
    pub fn handler(mut self, name: &str, settings: UnreadTable) -> Self {
        self.handlers.insert(name.to_owned(), settings);
        self
    }
}

/// Which handler answers a path.
///
/// ```
/// use corecast::Config;
/// use corecast::config::{PublishPolicy, RouteSetting};
///
/// let news = RouteSetting::new("/news", "broadcast").publish(PublishPolicy::Nobody);
/// let config = Config::new().routes([news, RouteSetting::new("/echo", "echo")]);
/// # config.validate().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSetting {
    pub(crate) path: String,
    pub(crate) handler: String,
    pub(crate) slow_consumer: Option<SlowConsumerPolicy>,
    pub(crate) publish: Option<PublishPolicy>,
}

impl RouteSetting {
    /// A route with the server's own slow-consumer policy, on which every client may
    /// publish.
    ///
    /// A segment of the path in braces, as in `/ws/{user_id}`, matches any one segment.
    /// The handler is a built-in one: `echo`, `broadcast`, `chat` or `phoenix`.
    pub fn new(path: &str, handler: &str) -> Self {
        RouteSetting {
            path: path.to_owned(),
            handler: handler.to_owned(),
            slow_consumer: None,
            publish: None,
        }
    }

    /// This route's own policy, in place of [`Config::slow_consumer`].
    #[must_use]
    pub fn slow_consumer(mut self, policy: SlowConsumerPolicy) -> Self {
        self.slow_consumer = Some(policy);
        self
    }

    /// Which clients may publish on this route, where its handler's protocol has
    /// publications. With topics that have rules of their own, the stricter of the two
    /// counts.
    #[must_use]
    pub fn publish(mut self, policy: PublishPolicy) -> Self {
        self.publish = Some(policy);
        self
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}: {problem}", typed(option))]
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

/// The name of a setting as it is typed: a flag, if it has one. A setting with dots is
/// in the file only.
fn typed(option: &str) -> Cow<'_, str> {
    match option.contains('.') {
        true => option.into(),
        false => format!("--{}", option.replace('_', "-")).into(),
    }
}
