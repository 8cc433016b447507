//! Clients that come while everybody else is there: whether they are still
//! served, and how fast.
//!
//! Each opens a connection, has a message echoed and leaves. Each has a planned
//! time, and its waiting begins then, whenever it could really begin.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use corecast_kit::sys::{self, Source};
use corecast_kit::websocket::{Opcode, accept_for, frame};
use corecast_kit::{During, Error, Result};
use serde::{Deserialize, Serialize};

/// Time between two of them.
const INTERVAL: Duration = Duration::from_millis(50);
/// So many may be waiting at once before one waits for another.
const LANES: u32 = 40;
/// How long one may wait for an answer.
const LIMIT: Duration = Duration::from_secs(30);
/// An address that the load does not use, so that ports do not run short.
const SOURCE: Source = Source::Address(Ipv4Addr::new(127, 200, 0, 1));
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The key of the example in RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// How it went for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newcomer {
    /// When it was planned, in milliseconds since 1970.
    pub planned_unix_ms: u64,
    /// From its planned time until its opening handshake was answered, in microseconds.
    pub open_micros: u64,
    /// From its message to the echo, in microseconds.
    pub echo_micros: u64,
}

/// Lets them come until `stop` is set. The second part of the answer names the
/// failures.
pub fn run(server: SocketAddrV4, stop: &AtomicBool) -> (Vec<Newcomer>, Vec<String>) {
    let began = (Instant::now(), SystemTime::now());
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| scope.spawn(move || run_lane(server, stop, began, lane)))
            .collect();
        let mut all = (Vec::new(), Vec::new());
        for lane in lanes {
            let (newcomers, failures) = lane.join().expect("newcomers do not panic");
            all.0.extend(newcomers);
            all.1.extend(failures);
        }
        all
    })
}

/// Runs the newcomers of one lane: every `LANES`th, from number `lane` on.
fn run_lane(
    server: SocketAddrV4,
    stop: &AtomicBool,
    (began, unix): (Instant, SystemTime),
    lane: u32,
) -> (Vec<Newcomer>, Vec<String>) {
    let (mut newcomers, mut failures) = (Vec::new(), Vec::new());
    for number in (lane..).step_by(LANES as usize) {
        let after = INTERVAL * number;
        let planned = began + after;
        while !stop.load(Ordering::Relaxed) && Instant::now() < planned {
            thread::sleep(INTERVAL.min(planned.saturating_duration_since(Instant::now())));
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let unix = (unix + after).duration_since(UNIX_EPOCH);
        match one(server, planned) {
            Ok((open, echo)) => newcomers.push(Newcomer {
                planned_unix_ms: unix.unwrap_or_default().as_millis() as u64,
                open_micros: open.as_micros() as u64,
                echo_micros: echo.as_micros() as u64,
            }),
            Err(error) => failures.push(error.to_string()),
        }
    }
    (newcomers, failures)
}

fn one(server: SocketAddrV4, planned: Instant) -> Result<(Duration, Duration)> {
    let socket = sys::connect(server, SOURCE).during(format!("connecting to {server}"))?;
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    let response = exchange(&socket, request.as_bytes(), |heard| {
        heard.ends_with(b"\r\n\r\n")
    })?;
    let open = planned.elapsed();
    let text = String::from_utf8_lossy(&response);
    if !text.starts_with("HTTP/1.1 101 ") || !text.contains(&accept_for(KEY)) {
        return Err(Error::Wrong(text.into_owned()));
    }
    let payload = b"Is anybody there?";
    let wanted = frame::server(Opcode::Binary, payload);
    let sent = Instant::now();
    let message = frame::client(Opcode::Binary, MASK, payload);
    let heard = exchange(&socket, &message, |heard| heard.len() >= wanted.len())?;
    let echo = sent.elapsed();
    sys::close_with_reset(socket);
    if heard != wanted {
        return Err(Error::Wrong(heard.escape_ascii().to_string()));
    }
    Ok((open, echo))
}

/// Sends and reads until the bytes received are the whole answer.
fn exchange(
    socket: &OwnedFd,
    mut words: &[u8],
    is_whole: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>> {
    let deadline = Instant::now() + LIMIT;
    let (mut heard, mut part) = (Vec::new(), [0; 4_096]);
    while !is_whole(&heard) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Stalled(format!("no answer within {LIMIT:?}")));
        }
        if !words.is_empty() {
            let sent = sys::send(socket.as_fd(), words).during("sending")?;
            words = &words[sent.unwrap_or(0)..];
        }
        sys::wait_for(socket, !words.is_empty(), left).during("waiting for an answer")?;
        match sys::receive(socket.as_fd(), &mut part).during("reading")? {
            Some(0) => return Err(Error::Wrong("the connection was closed".to_owned())),
            Some(count) => heard.extend_from_slice(&part[..count]),
            None => {}
        }
    }
    Ok(heard)
}

/// How it went for some of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// How many there were.
    pub count: usize,
    /// From the planned time until the opening handshake was answered, in
    /// microseconds: the median.
    pub open_p50_micros: u64,
    /// The same, 99 of 100.
    pub open_p99_micros: u64,
    /// From message to echo, in microseconds: the median.
    pub echo_p50_micros: u64,
    /// The same, 99 of 100.
    pub echo_p99_micros: u64,
    /// The same, the longest.
    pub echo_max_micros: u64,
}

impl Waits {
    /// Of these.
    pub fn of<'a>(newcomers: impl Iterator<Item = &'a Newcomer>) -> Waits {
        let (mut opens, mut echoes): (Vec<u64>, Vec<u64>) = newcomers
            .map(|newcomer| (newcomer.open_micros, newcomer.echo_micros))
            .unzip();
        opens.sort_unstable();
        echoes.sort_unstable();
        Waits {
            count: opens.len(),
            open_p50_micros: percentile(&opens, 0.5),
            open_p99_micros: percentile(&opens, 0.99),
            echo_p50_micros: percentile(&echoes, 0.5),
            echo_p99_micros: percentile(&echoes, 0.99),
            echo_max_micros: percentile(&echoes, 1.0),
        }
    }
}

/// The smallest of `sorted` that as large a part of them does not exceed.
fn percentile(sorted: &[u64], part: f64) -> u64 {
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_readings() {
        let sorted: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&sorted, 0.5), 100);
        assert_eq!(percentile(&sorted, 0.99), 198);
        assert_eq!(percentile(&sorted, 1.0), 200);
        assert_eq!(percentile(&[], 0.5), 0);
        assert_eq!(percentile(&[7], 0.99), 7);
    }
}
