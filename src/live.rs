//! The settings that a running server takes anew, as its shards use them.
//!
//! # Invariants worth naming
//!
//! - These are the settings whose rows in the table are `Live`; all others are fixed
//!   when the shards start.
//! - A shard takes up other settings with its next tick, a quarter of a second later
//!   at most, and all of them at once.
//! - Connections that are open stay open, whatever the settings say of new ones.

use std::sync::Arc;

use crate::access::{AccessSettings, TopicRates};
use crate::config::Config;
use crate::error::StartError;
use crate::rate::Rate;
use crate::session::RateLimits;
use crate::source::{SourceLimits, Sources};
use crate::upgrade::OriginPolicy;

/// The settings of a shard that can change.
#[derive(Debug, Clone)]
pub(crate) struct LiveSettings {
    pub(crate) origins: OriginPolicy,
    /// The sources of connections as all shards share them, once those are limited.
    pub(crate) sources: Option<Arc<Sources>>,
    pub(crate) rates: RateLimits,
    /// How often topics pass publications on.
    pub(crate) topic_rates: TopicRates,
}

impl LiveSettings {
    /// As a server starts with.
    ///
    /// # Errors
    /// When an allowed origin is none.
    pub(crate) fn new(config: &Config) -> Result<Self, StartError> {
        Ok(LiveSettings {
            origins: OriginPolicy::new(&config.allowed_origins)
                .map_err(|error| StartError::Origin(error.to_string()))?,
            sources: Sources::new(source_limits(config)),
            rates: RateLimits::new(config),
            topic_rates: TopicRates::new(&AccessSettings::of(config)?),
        })
    }

    /// As a server goes on with after these. The table of sources stays, with the
    /// limits that count now: it knows the connections that there are.
    ///
    /// # Errors
    /// When an allowed origin is none; nothing has changed then.
    pub(crate) fn renewed(&self, config: &Config) -> Result<Self, StartError> {
        let mut renewed = LiveSettings::new(config)?;
        if let Some(sources) = &self.sources {
            sources.set_limits(source_limits(config));
            renewed.sources = Some(Arc::clone(sources));
        }
        Ok(renewed)
    }
}

fn source_limits(config: &Config) -> SourceLimits {
    SourceLimits {
        max_connections: config.max_connections_per_source,
        handshakes: Rate::new(config.max_handshake_rate_per_source, config.rate_burst),
        ipv6_prefix: config.source_prefix_ipv6,
    }
}
