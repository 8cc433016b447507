//! The policy that a handler asks of the server for its route.

use std::time::Duration;

use crate::config::SlowConsumerPolicy;
use crate::ws::CloseCode;

/// The policy that a handler asks of the server for its route; asked once per shard.
///
/// ```
/// use std::time::Duration;
///
/// use corecast::{CloseCode, RoutePolicy};
///
/// let policy = RoutePolicy::default()
///     .drain_code(CloseCode::SERVICE_RESTART)
///     .tick_interval(Duration::from_millis(50));
/// assert_ne!(policy, RoutePolicy::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutePolicy {
    pub(crate) drain_code: CloseCode,
    pub(crate) server_pings: bool,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) slow_consumer: Option<SlowConsumerPolicy>,
    pub(crate) tick_interval: Option<Duration>,
}

impl Default for RoutePolicy {
    /// Sessions are pinged, a drain closes them with 1001, slow consumers are treated
    /// as everywhere in the server, and there are no ticks.
    fn default() -> Self {
        RoutePolicy {
            drain_code: CloseCode::GOING_AWAY,
            server_pings: true,
            ping_interval: None,
            slow_consumer: None,
            tick_interval: None,
        }
    }
}

impl RoutePolicy {
    /// The close code that a draining server gives this route's sessions. 1001 tells a
    /// browser that the server goes away; clients that reconnect only on other codes
    /// need another one.
    #[must_use]
    pub fn drain_code(self, drain_code: CloseCode) -> Self {
        RoutePolicy { drain_code, ..self }
    }

    /// Whether the server pings silent sessions of this route. It need not where
    /// clients send heartbeats of their own.
    #[must_use]
    pub fn server_pings(self, server_pings: bool) -> Self {
        RoutePolicy {
            server_pings,
            ..self
        }
    }

    /// Silence after which a session of this route is pinged, where a protocol promises
    /// its clients another time than the server's own.
    #[must_use]
    pub fn ping_interval(self, interval: Duration) -> Self {
        RoutePolicy {
            ping_interval: Some(interval),
            ..self
        }
    }

    /// The policy for this route's slow consumers, where the configuration does not set
    /// one.
    #[must_use]
    pub fn slow_consumer(self, policy: SlowConsumerPolicy) -> Self {
        RoutePolicy {
            slow_consumer: Some(policy),
            ..self
        }
    }

    /// How often [`Handler::tick`](super::Handler::tick) is called. Without it there
    /// are no ticks, which costs nothing.
    #[must_use]
    pub fn tick_interval(self, interval: Duration) -> Self {
        RoutePolicy {
            tick_interval: Some(interval),
            ..self
        }
    }
}
