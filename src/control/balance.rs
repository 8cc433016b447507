//! How evenly the shards share the load, and whether connections are served on
//! the cores that receive them.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::metrics::ShardMetrics;

/// Figures that show whether the shards are balanced, and whether steering would help.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Balance {
    /// Sessions on the shard that has the most.
    pub fullest_sessions: u64,
    /// Sessions on the shard that has the fewest.
    pub emptiest_sessions: u64,
    /// The fullest shard's sessions, as a multiple of the mean; 1 when there are none.
    pub fullest_to_mean: f64,
    /// The share of all connections that were accepted on the core which
    /// received their packets; nothing before the first connection.
    accepted_on_own_core: Option<f64>,
    /// The share of the time since the start that each shard spent working.
    busy: Vec<f64>,
}

impl Balance {
    /// As it is now, `uptime` after the start.
    pub(super) fn of(shards: &[Arc<ShardMetrics>], uptime: Duration) -> Self {
        let sessions = || shards.iter().map(|shard| shard.sessions.value());
        let sum = |read: fn(&ShardMetrics) -> u64| -> u64 { shards.iter().map(|s| read(s)).sum() };
        let fullest = sessions().max().unwrap_or(0);
        let mean = ratio(sessions().sum(), shards.len() as u64);
        let accepted = sum(|shard| shard.accepted.value());
        let on_own_core = sum(|shard| shard.accepted_on_own_core.value());
        Balance {
            fullest_sessions: fullest,
            emptiest_sessions: sessions().min().unwrap_or(0),
            fullest_to_mean: match mean {
                Some(mean) if mean > 0.0 => fullest as f64 / mean,
                _ => 1.0,
            },
            accepted_on_own_core: ratio(on_own_core, accepted).map(|share| share.min(1.0)),
            busy: shards
                .iter()
                .map(|shard| shard.busy_nanos.value() as f64 / 1e9 / uptime.as_secs_f64())
                .collect(),
        }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(sessions: &[u64]) -> Vec<Arc<ShardMetrics>> {
        let shard = |n: &u64| {
            let metrics = ShardMetrics::default();
            metrics.sessions.set(*n);
            Arc::new(metrics)
        };
        sessions.iter().map(shard).collect()
    }

    #[test]
    fn a_server_without_sessions_is_balanced() {
        let balance = Balance::of(&shards(&[0, 0]), Duration::from_secs(1));
        assert_eq!(balance.fullest_to_mean, 1.0);
        assert_eq!(balance.accepted_on_own_core, None);
    }

    #[test]
    fn one_shard_with_everything_has_as_many_times_the_mean_as_there_are_shards() {
        let balance = Balance::of(&shards(&[0, 12, 0, 0]), Duration::from_secs(1));
        assert_eq!(balance.fullest_to_mean, 4.0);
        assert_eq!(
            (balance.emptiest_sessions, balance.fullest_sessions),
            (0, 12)
        );
    }

    #[test]
    fn busy_is_a_share_of_the_time_since_the_start() {
        let shards = shards(&[1]);
        shards[0].busy_nanos.add(500_000_000);
        assert_eq!(Balance::of(&shards, Duration::from_secs(2)).busy, [0.25]);
    }
}
