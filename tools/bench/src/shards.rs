//! The work of each shard of a corecast per CPU time: its deliveries as the
//! server counts them, its time as the kernel does.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use corecast_kit::host::ServerLook;
use corecast_kit::host::stats::StatsClient;

use crate::{Error, Result};

/// The server's name for its threads, before the number.
const THREAD: &str = "shard-";

/// Looks at the shards of a running server.
#[derive(Debug, Clone)]
pub struct Shards {
    pid: u32,
    client: StatsClient,
}

/// The work of the shards so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardWork {
    deliveries: Vec<u64>,
    cpu: Vec<Duration>,
}

impl Shards {
    /// Those of process `pid`, whose control plane is at `admin`.
    pub fn new(pid: u32, admin: SocketAddrV4) -> Shards {
        let client = StatsClient::new(&format!("http://{admin}"));
        Shards { pid, client }
    }

    /// Looks now.
    pub fn read(&self) -> Result<ShardWork> {
        let stats = self.client.fetch();
        let stats = stats.map_err(|error| Error::Process(error.to_string()))?;
        let look = ServerLook::read(self.pid)
            .ok_or_else(|| Error::Process(format!("process {} cannot be read", self.pid)))?;
        let number = |name: &str| name.strip_prefix(THREAD)?.parse::<usize>().ok();
        let threads = look.threads.iter();
        let by_number: BTreeMap<_, _> = threads
            .filter_map(|thread| Some((number(&thread.name)?, thread.cpu)))
            .collect();
        Ok(ShardWork {
            deliveries: stats.shard_deliveries,
            cpu: by_number.into_values().collect(),
        })
    }
}

impl ShardWork {
    /// Deliveries per second of CPU time since `before` on the shard where
    /// these are fewest; `None` if one of them did nothing or was not found.
    pub fn slowest_since(&self, before: &ShardWork) -> Option<f64> {
        let lengths = [&before.cpu, &self.cpu].map(Vec::len);
        if lengths != [self.deliveries.len(); 2] {
            return None;
        }
        let deliveries = self.deliveries.iter().zip(&before.deliveries);
        let cpu = self.cpu.iter().zip(&before.cpu);
        deliveries
            .zip(cpu)
            .map(|((now, before), (cpu_now, cpu_before))| {
                let seconds = cpu_now.saturating_sub(*cpu_before).as_secs_f64();
                let rate = now.saturating_sub(*before) as f64 / seconds;
                (rate.is_finite() && rate > 0.0).then_some(rate)
            })
            .collect::<Option<Vec<f64>>>()?
            .into_iter()
            .min_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_that_does_least_per_time_counts() {
        let work = |deliveries: [u64; 2], seconds: [u64; 2]| ShardWork {
            deliveries: deliveries.into(),
            cpu: seconds.map(Duration::from_secs).into(),
        };
        let before = work([100, 100], [1, 1]);
        let now = work([300, 600], [2, 6]);
        assert_eq!(now.slowest_since(&before), Some(100.0));
        assert_eq!(before.slowest_since(&before), None);
        let one_rested = work([100, 600], [1, 6]);
        assert_eq!(one_rested.slowest_since(&before), None);
    }
}
