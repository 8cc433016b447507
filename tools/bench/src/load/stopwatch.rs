//! The measured window: when it begins and ends, and whose CPU time passed in it.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::host::{self, CoreTime};
use crate::{Error, Result, sys};

/// Without any progress for this long a scenario has failed.
const STALL: Duration = Duration::from_secs(5);

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Load that is not counted: caches fill, buffers grow.
    pub warm_up: Duration,
    /// Load that is.
    pub measured: Duration,
}

/// Whose CPU time is charged.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// The server's process; `None` if it is not ours to look into.
    pub server: Option<u32>,
    /// The two cores of the measurement, to notice other work on them.
    pub cores: Option<(usize, usize)>,
}

/// One measured window.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Messages echoed, delivered, or handshakes made.
    pub messages: u64,
    /// Wall time of the window.
    pub seconds: f64,
    /// CPU time of all threads of the server.
    pub server_cpu_seconds: Option<f64>,
    /// CPU time of the load's thread.
    pub load_cpu_seconds: f64,
    /// CPU time on both cores that was neither the server's nor the load's.
    pub other_cpu_seconds: Option<f64>,
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

    /// Share of one core the server used.
    pub fn server_busy(&self) -> Option<f64> {
        Some(self.server_cpu_seconds? / self.seconds)
    }

    /// Share of its core the load used.
    pub fn load_busy(&self) -> f64 {
        self.load_cpu_seconds / self.seconds
    }

    /// The load was at its limit and the server was not, so the rate is the
    /// load's and only the CPU time per message is the server's.
    pub fn is_client_bound(&self) -> bool {
        const FULL: f64 = 0.97;
        self.load_busy() >= FULL && self.server_busy().is_some_and(|busy| busy < FULL)
    }
}

/// What the accounts stood at when the window began.
struct Mark {
    at: Instant,
    messages: u64,
    server: Option<Duration>,
    load: Duration,
    cores: Option<CoreTime>,
}

/// Runs a [`Window`] as the load reports its progress.
pub struct Stopwatch {
    account: Account,
    window: Window,
    started: Instant,
    mark: Option<Mark>,
    sample: Option<Sample>,
    seen: u64,
    seen_at: Instant,
}

impl Stopwatch {
    /// Starts with the warm-up, now.
    pub fn start(window: Window, account: Account) -> Stopwatch {
        let now = Instant::now();
        Stopwatch {
            account,
            window,
            started: now,
            mark: None,
            sample: None,
            seen: 0,
            seen_at: now,
        }
    }

    /// Reports that `messages` have been completed since the start. True while
    /// the load shall go on; false once the window is over.
    #[inline]
    pub fn tick(&mut self, messages: u64) -> Result<bool> {
        let now = Instant::now();
        if messages != self.seen {
            self.seen = messages;
            self.seen_at = now;
        } else if now - self.seen_at >= STALL {
            return Err(Error::Stalled(format!(
                "no answer for {STALL:?} after {messages} messages"
            )));
        }
        if self.sample.is_some() {
            return Ok(false);
        }
        match &self.mark {
            None if now - self.started >= self.window.warm_up => {
                self.mark = Some(self.read_accounts(messages)?);
                Ok(true)
            }
            Some(mark) if now - mark.at >= self.window.measured => {
                self.sample = Some(self.settle(mark, messages)?);
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// The finished window.
    pub fn sample(self) -> Result<Sample> {
        match self.sample {
            Some(sample) if sample.messages > 0 => Ok(sample),
            _ => Err(Error::Stalled("nothing was answered in the window".into())),
        }
    }

    fn read_accounts(&self, messages: u64) -> Result<Mark> {
        Ok(Mark {
            at: Instant::now(),
            messages,
            server: self
                .account
                .server
                .map(host::process_cpu_time)
                .transpose()?,
            load: sys::thread_cpu_time(),
            cores: self.account.cores.map(host::core_time).transpose()?,
        })
    }

    fn settle(&self, mark: &Mark, messages: u64) -> Result<Sample> {
        let now = self.read_accounts(messages)?;
        let seconds = |since: Duration, until: Duration| until.saturating_sub(since).as_secs_f64();
        let server = mark.server.zip(now.server).map(|(a, b)| seconds(a, b));
        let load = seconds(mark.load, now.load);
        let busy = mark
            .cores
            .zip(now.cores)
            .map(|(a, b)| seconds(a.busy, b.busy));
        Ok(Sample {
            messages: messages - mark.messages,
            seconds: (now.at - mark.at).as_secs_f64(),
            server_cpu_seconds: server,
            load_cpu_seconds: load,
            other_cpu_seconds: server
                .zip(busy)
                .map(|(server, busy)| (busy - server - load).max(0.0)),
        })
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
            load_cpu_seconds: load,
            other_cpu_seconds: None,
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
