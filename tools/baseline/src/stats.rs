//! The counters, and `/stats`: the keys of corecast's own page, as far as they
//! have a meaning here, so that the load generator can ask either server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::process::Process;
use crate::session::End;

/// A number that only grows, on a cache line of its own.
///
/// All workers add to the same one. Sessions therefore add the counts of a
/// whole turn, not each message.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub accepted: Counter,
    /// Times accepting paused because descriptors or memory ran out.
    pub accept_pauses: Counter,
    /// Plain pages served.
    pub http_requests: Counter,
    /// Connections answered with an HTTP error.
    pub refused: Counter,
    /// Sessions opened.
    pub opened: Counter,
    /// Sessions ended, in the order of [`End::ALL`].
    ended: [Counter; End::ALL.len()],
    /// Messages received.
    pub messages_in: Counter,
    /// Messages sent in answer to the session's own.
    pub messages_out: Counter,
    /// Publications made.
    pub publications: Counter,
    /// Publications handed to subscribers, once for each.
    pub deliveries: Counter,
}

impl Stats {
    /// Counts the end of a session.
    pub fn ended(&self, end: End) {
        self.ended[end as usize].add(1);
    }

    /// Sessions open. A change while it is read may be missed.
    pub fn sessions(&self) -> u64 {
        let ended: u64 = self.ended.iter().map(Counter::value).sum();
        self.opened.value().saturating_sub(ended)
    }

    /// `/stats` in JSON.
    pub fn page(&self, listen: SocketAddr, started: Instant) -> String {
        let page = Page {
            version: env!("CARGO_PKG_VERSION"),
            driver: "tokio",
            listen,
            phase: "running",
            uptime_seconds: started.elapsed().as_secs_f64(),
            process: Process::now(),
            total: Total(self),
            shards: [],
        };
        serde_json::to_string(&page).expect("strings and numbers are always valid JSON")
    }
}

#[derive(Serialize)]
struct Page<'s> {
    version: &'static str,
    driver: &'static str,
    listen: SocketAddr,
    phase: &'static str,
    uptime_seconds: f64,
    process: Process,
    total: Total<'s>,
    /// There are none: all workers share everything.
    shards: [(); 0],
}

struct Total<'s>(&'s Stats);

impl Serialize for Total<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stats = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("accepted", &stats.accepted.value())?;
        map.serialize_entry("accept_pauses", &stats.accept_pauses.value())?;
        map.serialize_entry("http_requests", &stats.http_requests.value())?;
        map.serialize_entry("refused", &stats.refused.value())?;
        map.serialize_entry("sessions", &stats.sessions())?;
        map.serialize_entry("opened", &stats.opened.value())?;
        map.serialize_entry("ended", &Ended(stats))?;
        map.serialize_entry("messages_in", &stats.messages_in.value())?;
        map.serialize_entry("messages_out", &stats.messages_out.value())?;
        map.serialize_entry("publications", &stats.publications.value())?;
        map.serialize_entry("deliveries", &stats.deliveries.value())?;
        map.end()
    }
}

struct Ended<'s>(&'s Stats);

impl Serialize for Ended<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = End::ALL.iter().zip(&self.0.ended);
        serializer.collect_map(entries.map(|(end, counter)| (end.label(), counter.value())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_counter() {
        let stats = Stats::default();
        stats.opened.add(10);
        for (index, end) in End::ALL.iter().enumerate() {
            assert_eq!(*end as usize, index);
            stats.ended(*end);
            assert_eq!(stats.ended[index].value(), 1);
        }
        assert_eq!(stats.sessions(), 10 - End::ALL.len() as u64);
    }
}
