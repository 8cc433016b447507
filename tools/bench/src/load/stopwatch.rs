//! The measured window: its beginning, its end, and the CPU time used in it.

use std::time::{Duration, Instant};

use corecast_kit::host::process_cpu_time;
use corecast_kit::sys;

use crate::cores::Layout;
use crate::host;
use crate::results::Sample;
use crate::shards::{ShardWork, Shards};
use crate::{Error, Result};

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

/// The process and the cores whose CPU time is charged.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The server's process; `None` if this process may not look into it.
    pub server: Option<u32>,
    /// The cores of the measurement, to notice other work on them.
    pub cores: Option<Layout>,
    /// Looks at each shard of the server.
    pub shards: Option<Shards>,
}

/// The readings when the window began.
struct Mark {
    at: Instant,
    messages: u64,
    server: Option<Duration>,
    load: Duration,
    cores: Option<Duration>,
    shards: Option<ShardWork>,
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
    /// the load shall go on; false once the window is over, which has at least
    /// one message in it.
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
            // On a slow host the first answer may take longer than the window. The
            // window then lasts until it has come, or nothing has for too long.
            Some(mark) if now - mark.at >= self.window.measured && messages > mark.messages => {
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
                .map(|pid| {
                    process_cpu_time(pid)
                        .ok_or_else(|| Error::Process(format!("process {pid} cannot be read")))
                })
                .transpose()?,
            load: sys::thread_cpu_time(),
            // In some containers `/proc/stat` has other cores than the scheduler. Then
            // nothing is said about other work on them.
            cores: self
                .account
                .cores
                .as_ref()
                .and_then(|layout| host::busy_time(&layout.all())),
            shards: self.account.shards.as_ref().map(Shards::read).transpose()?,
        })
    }

    fn settle(&self, mark: &Mark, messages: u64) -> Result<Sample> {
        let now = self.read_accounts(messages)?;
        let seconds = |since: Duration, until: Duration| until.saturating_sub(since).as_secs_f64();
        let server = mark.server.zip(now.server).map(|(a, b)| seconds(a, b));
        let load = seconds(mark.load, now.load);
        let busy = mark.cores.zip(now.cores).map(|(a, b)| seconds(a, b));
        let slowest = mark.shards.as_ref().zip(now.shards.as_ref());
        let cores = self.account.cores.as_ref();
        Ok(Sample {
            messages: messages - mark.messages,
            seconds: (now.at - mark.at).as_secs_f64(),
            server_cpu_seconds: server,
            server_cores: cores.map_or(1, |layout| layout.server.len()),
            load_cpu_seconds: load,
            // The load is one thread.
            load_cores: 1,
            other_cpu_seconds: server
                .zip(busy)
                .map(|(server, busy)| (busy - server - load).max(0.0)),
            latency: None,
            slowest_core_rate: slowest.and_then(|(before, now)| now.slowest_since(before)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    #[test]
    fn a_window_lasts_until_something_was_answered_in_it() {
        let window = Window {
            warm_up: Duration::ZERO,
            measured: Duration::from_millis(10),
        };
        let mut stopwatch = Stopwatch::start(window, Account::default());
        assert!(stopwatch.tick(5).unwrap());
        sleep(Duration::from_millis(20));
        assert!(stopwatch.tick(5).unwrap());
        assert!(!stopwatch.tick(6).unwrap());
        let sample = stopwatch.sample().unwrap();
        assert_eq!(sample.messages, 1);
        assert!(sample.seconds >= 0.02);
    }
}
