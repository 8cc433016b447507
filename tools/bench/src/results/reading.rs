//! The result of one contestant in one round.

use serde::{Deserialize, Serialize};

/// The result of one contestant in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Work done in a window, and the processor time it took.
    Timed(Sample),
    /// Memory per idle session.
    Idle(IdleSample),
}

/// One measured window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Messages echoed, delivered, or handshakes made.
    pub messages: u64,
    /// Wall time of the window.
    pub seconds: f64,
    /// CPU time of all threads of the server, where it could be looked at.
    pub server_cpu_seconds: Option<f64>,
    /// Cores the server may use.
    pub server_cores: usize,
    /// CPU time of the load.
    pub load_cpu_seconds: f64,
    /// Cores the load may use.
    pub load_cores: usize,
    /// CPU time on all these cores that was neither the server's nor the load's.
    pub other_cpu_seconds: Option<f64>,
    /// How long each took, where it was timed.
    pub latency: Option<Latency>,
    /// For a server of several threads, work done per second of each thread's
    /// CPU time, the lowest of them.
    pub slowest_core_rate: Option<f64>,
}

/// How long answers took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// 999 of 1,000 were faster.
    pub p99_9: f64,
    /// The slowest.
    pub max: f64,
}

/// Growth per idle session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdleSample {
    /// The server's whole resident memory before, in bytes.
    pub base_bytes: u64,
    /// Growth of its resident memory, in bytes per session.
    pub resident_bytes: f64,
    /// The same with shared pages charged in part (Pss).
    pub proportional_bytes: f64,
    /// Kernel slab memory, halved for the two ends of a connection.
    pub kernel_bytes: f64,
}

impl Sample {
    /// Messages per second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// Microseconds of server CPU time per message.
    pub fn server_micros(&self) -> Option<f64> {
        Some(self.server_cpu_seconds? * 1e6 / self.messages as f64)
    }

    /// Share of its cores the server used.
    pub fn server_busy(&self) -> Option<f64> {
        Some(self.server_cpu_seconds? / self.seconds / self.server_cores.max(1) as f64)
    }

    /// Share of its cores the load used.
    pub fn load_busy(&self) -> f64 {
        self.load_cpu_seconds / self.seconds / self.load_cores.max(1) as f64
    }

    /// The load was at its limit and the server was not, so the rate is the
    /// load's and only the CPU time per message is the server's.
    pub fn is_client_bound(&self) -> bool {
        const FULL: f64 = 0.97;
        self.load_busy() >= FULL && self.server_busy().is_some_and(|busy| busy < FULL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(server: f64, load: f64) -> Sample {
        Sample {
            messages: 1_000_000,
            seconds: 2.0,
            server_cpu_seconds: Some(server),
            server_cores: 1,
            load_cpu_seconds: load,
            load_cores: 1,
            ..Sample::default()
        }
    }

    #[test]
    fn figures_follow_from_the_window() {
        let sample = sample(1.0, 1.5);
        assert_eq!(sample.rate(), 500_000.0);
        assert_eq!(sample.server_micros(), Some(1.0));
        assert_eq!(sample.server_busy(), Some(0.5));
        assert_eq!(sample.load_busy(), 0.75);
    }

    #[test]
    fn client_bound_means_that_only_the_load_is_full() {
        assert!(sample(1.5, 1.99).is_client_bound());
        assert!(!sample(1.99, 1.99).is_client_bound());
        assert!(!sample(1.5, 1.5).is_client_bound());
    }
}
