//! The statistics of a corecast server, at `/stats` of its admin address.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

/// How long an answer may take. The page is for once a second; a server that
/// is slower than this is not asked a second time meanwhile.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The largest page that is read; a server with 1,000 shards sends about 1 MiB.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The URL of a corecast's statistics unless it is told otherwise (`--admin`).
const DEFAULT: &str = "http://127.0.0.1:9090/stats";

/// Asks a server for its `/stats`.
#[derive(Debug, Clone)]
pub struct StatsClient {
    agent: ureq::Agent,
    url: String,
}

/// The numbers of a server, over all its shards.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerStats {
    /// The addresses it serves WebSocket at.
    pub endpoints: Vec<SocketAddr>,
    /// How long it has run, in seconds.
    pub uptime_seconds: f64,
    /// Sessions open.
    pub sessions: u64,
    /// Messages received since its start.
    pub messages_in: u64,
    /// Messages sent in answer since its start; publications are `deliveries`.
    pub messages_out: u64,
    /// Publications delivered since its start, once for each subscriber.
    pub deliveries: u64,
    /// The same for each of its shards.
    pub shard_deliveries: Vec<u64>,
    /// Pings sent since its start, to sessions that were silent.
    pub pings: u64,
    /// Times it stopped accepting because descriptors or memory ran out.
    pub accept_pauses: u64,
    /// Memory it has resident, in bytes.
    pub resident_memory_bytes: Option<u64>,
    /// Descriptors it has open.
    pub open_fds: Option<u64>,
    /// Its processor time in seconds.
    pub cpu_seconds: Option<f64>,
}

/// Why a server's numbers could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatsError {
    /// No answer came.
    #[error("{url} does not answer: {reason}")]
    Unanswered {
        /// The URL that was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The answer was not 200.
    #[error("{url} answers with HTTP {status}")]
    Status {
        /// The URL that was asked.
        url: String,
        /// The status of the answer.
        status: u16,
    },
    /// The answer is not what a corecast says.
    #[error("{url} is not the /stats of a corecast server: {reason}")]
    Shape {
        /// The URL that was asked.
        url: String,
        /// The fault of the answer.
        reason: String,
    },
}

impl StatsClient {
    /// Asks at `url`, such as `http://127.0.0.1:9090`; `/stats` is added when
    /// it has no path.
    pub fn new(url: &str) -> StatsClient {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            // The server is near; a proxy would only be in the way.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // A server may close a connection that was quiet for a second.
            .max_idle_connections(0)
            .build();
        StatsClient {
            agent: config.new_agent(),
            url: with_path(url),
        }
    }

    /// The URL it asks.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks once; takes a second at most.
    ///
    /// # Errors
    ///
    /// When no answer comes, or not that of a corecast.
    pub fn fetch(&self) -> Result<ServerStats, StatsError> {
        let url = || self.url.clone();
        let unanswered = |error: ureq::Error| StatsError::Unanswered {
            url: url(),
            reason: error.to_string(),
        };
        let mut response = self.agent.get(&self.url).call().map_err(unanswered)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(StatsError::Status { url: url(), status });
        }
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_BYTES)
            .read_to_string()
            .map_err(unanswered)?;
        parse(&body).map_err(|error| StatsError::Shape {
            url: url(),
            reason: error.to_string(),
        })
    }
}

/// For a target on the loopback interface: the server's `/stats` at its usual
/// place, if the server there is the one that serves the target.
pub fn discover(targets: &[SocketAddr]) -> Option<StatsClient> {
    discover_at(DEFAULT, targets)
}

fn discover_at(url: &str, targets: &[SocketAddr]) -> Option<StatsClient> {
    let mut near = targets.iter().filter(|target| target.ip().is_loopback());
    // No server is asked when no target is on this host.
    near.clone().next()?;
    let client = StatsClient::new(url);
    let stats = client.fetch().ok()?;
    let serves = |target: &SocketAddr| {
        let mut endpoints = stats.endpoints.iter();
        endpoints.any(|endpoint| endpoint.port() == target.port())
    };
    near.any(serves).then_some(client)
}

fn with_path(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    match url[after_scheme..].trim_end_matches('/').contains('/') {
        true => url.to_owned(),
        false => format!("{}/stats", url.trim_end_matches('/')),
    }
}

/// The part of the page that is of use here. A value that older servers do not
/// have stays 0.
#[derive(Deserialize)]
struct Page {
    /// The first endpoint, and all that older servers tell.
    listen: SocketAddr,
    #[serde(default)]
    endpoints: Vec<SocketAddr>,
    #[serde(default)]
    uptime_seconds: f64,
    process: Process,
    total: Total,
    #[serde(default)]
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
struct Shard {
    #[serde(default)]
    deliveries: u64,
}

#[derive(Deserialize)]
struct Process {
    cpu_seconds: Option<f64>,
    resident_memory_bytes: Option<u64>,
    open_fds: Option<u64>,
}

#[derive(Deserialize)]
struct Total {
    sessions: u64,
    messages_in: u64,
    messages_out: u64,
    #[serde(default)]
    deliveries: u64,
    #[serde(default)]
    pings: u64,
    #[serde(default)]
    accept_pauses: u64,
}

fn parse(body: &str) -> Result<ServerStats, serde_json::Error> {
    let page: Page = serde_json::from_str(body)?;
    Ok(ServerStats {
        endpoints: match page.endpoints.is_empty() {
            true => vec![page.listen],
            false => page.endpoints,
        },
        uptime_seconds: page.uptime_seconds,
        sessions: page.total.sessions,
        messages_in: page.total.messages_in,
        messages_out: page.total.messages_out,
        deliveries: page.total.deliveries,
        shard_deliveries: page.shards.iter().map(|shard| shard.deliveries).collect(),
        pings: page.total.pings,
        accept_pauses: page.total.accept_pauses,
        resident_memory_bytes: page.process.resident_memory_bytes,
        open_fds: page.process.open_fds,
        cpu_seconds: page.process.cpu_seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    const PAGE: &str = r#"{
        "version": "0.1.0", "driver": "uring", "listen": "127.0.0.1:8080",
        "phase": "running", "uptime_seconds": 12.5,
        "process": { "cpu_seconds": 1.5, "resident_memory_bytes": 9000000,
                     "open_fds": null, "threads": 3 },
        "total": { "accept_pauses": 1, "sessions": 2, "opened": 5,
                   "ended": { "peer_closed": 3 }, "messages_in": 7,
                   "messages_out": 8, "deliveries": 9, "pings": 6 },
        "shards": [{ "deliveries": 4 }, { "deliveries": 5 }]
    }"#;

    /// Answers one request with this status and body, and says where.
    fn answering(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut part = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let length = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..length]);
            }
            assert!(request.starts_with(b"GET /stats HTTP/1.1\r\n"));
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        });
        format!("http://{address}")
    }

    #[test]
    fn the_numbers_of_all_shards_are_read() {
        let stats = StatsClient::new(&answering("200 OK", PAGE))
            .fetch()
            .unwrap();
        let wanted = ServerStats {
            endpoints: vec!["127.0.0.1:8080".parse().unwrap()],
            uptime_seconds: 12.5,
            sessions: 2,
            messages_in: 7,
            messages_out: 8,
            deliveries: 9,
            shard_deliveries: vec![4, 5],
            pings: 6,
            accept_pauses: 1,
            resident_memory_bytes: Some(9_000_000),
            open_fds: None,
            cpu_seconds: Some(1.5),
        };
        assert_eq!(stats, wanted);
    }

    #[test]
    fn another_shape_is_a_clear_error() {
        let error = StatsClient::new(&answering("200 OK", r#"{"listen": 1}"#))
            .fetch()
            .unwrap_err();
        assert!(matches!(&error, StatsError::Shape { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("not the /stats of a corecast server"),
            "{text}"
        );
    }

    #[test]
    fn another_status_is_a_clear_error() {
        let error = StatsClient::new(&answering("404 Not Found", "no"))
            .fetch()
            .unwrap_err();
        assert!(matches!(error, StatsError::Status { status: 404, .. }));
    }

    #[test]
    fn a_closed_port_does_not_answer() {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let error = StatsClient::new(&format!("http://{address}"))
            .fetch()
            .unwrap_err();
        assert!(matches!(error, StatsError::Unanswered { .. }), "{error:?}");
    }

    #[test]
    fn only_the_server_of_the_target_is_taken() {
        let discover = |target: &str| {
            discover_at(&answering("200 OK", PAGE), &[target.parse().unwrap()]).is_some()
        };
        assert!(discover("127.0.0.1:8080"));
        let endpoints = r#""listen": "127.0.0.1:80", "endpoints": ["127.0.0.1:80", "[::1]:8081"]"#;
        let page = PAGE.replace(r#""listen": "127.0.0.1:8080""#, endpoints);
        let server = answering("200 OK", page.leak());
        assert!(discover_at(&server, &["[::1]:8081".parse().unwrap()]).is_some());
        assert!(!discover("127.0.0.1:8081"));
        // Another host's server is not looked for here.
        assert!(!discover("192.0.2.1:8080"));
    }

    #[test]
    fn a_path_is_added_only_where_there_is_none() {
        for (url, wanted) in [
            ("http://h:1", "http://h:1/stats"),
            ("http://h:1/", "http://h:1/stats"),
            ("http://h:1/other", "http://h:1/other"),
            ("h:1", "h:1/stats"),
        ] {
            assert_eq!(with_path(url), wanted);
        }
    }
}
