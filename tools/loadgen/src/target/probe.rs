//! One connection before the run, to say in plain words which obstacle it meets.

mod error;

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use corecast::upgrade::accept_key;
use corecast::upgrade::client::{self, ClientError};
use corecast::ws::{CloseCode, encode_masked_close};
use socket2::{Domain, Protocol, Socket, Type};

pub use error::ProbeError;

use super::{Placeholders, Target};

/// How long the rest of a refusal's body is waited for.
const BODY_WAIT: Duration = Duration::from_millis(250);

/// How long the server may take to end a connection that has been closed.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Enough of a refusal to quote its beginning.
const MAX_REFUSAL_BYTES: usize = client::MAX_RESPONSE_BYTES + 512;

/// Opens one connection, makes the opening handshake and closes it again. Says
/// how long it took from the first packet to the end of the handshake.
///
/// The connection comes from `source` if there is one, and carries `headers`,
/// which [`check_header`](super::check_header) has accepted. It blocks for
/// `timeout` at most, and a second more for the close.
///
/// # Errors
///
/// The obstacle, as precisely as one connection can tell.
pub fn probe(
    target: &Target,
    source: Option<IpAddr>,
    headers: &[(String, String)],
    subprotocol: Option<&str>,
    timeout: Duration,
) -> Result<Duration, ProbeError> {
    let begun = Instant::now();
    let attempt = Attempt {
        address: target.address(),
        subprotocol,
        deadline: begun + timeout,
        timeout,
    };
    let mut stream = attempt.connect(source)?;

    let key = client::key(rand::random());
    let path = target.path(Placeholders::default());
    let request = request(target.host_header(), &path, &key, headers, subprotocol);
    attempt.shake_hands(&mut stream, &request, &accept_key(&key), &path)?;
    let took = begun.elapsed();

    close(stream);
    Ok(took)
}

fn request(
    host: &str,
    path: &str,
    key: &[u8],
    headers: &[(String, String)],
    subprotocol: Option<&str>,
) -> Vec<u8> {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain(subprotocol.map(|name| ("Sec-WebSocket-Protocol", name)))
        .collect();
    let mut request = Vec::new();
    client::request(host, path, key, &headers, &mut request);
    request
}

/// A connection on its way, with the facts that its errors name.
struct Attempt<'a> {
    address: SocketAddr,
    subprotocol: Option<&'a str>,
    deadline: Instant,
    timeout: Duration,
}

impl Attempt<'_> {
    fn connect(&self, source: Option<IpAddr>) -> Result<TcpStream, ProbeError> {
        let failed = |error| ProbeError::of_connect(self.address, self.timeout, error);
        let socket = Socket::new(
            Domain::for_address(self.address),
            Type::STREAM,
            Some(Protocol::TCP),
        )
        .map_err(failed)?;
        if let Some(source) = source {
            socket
                .bind(&SocketAddr::new(source, 0).into())
                .map_err(|cause| ProbeError::Source { source, cause })?;
        }
        // Zero would be an error of its own.
        let left = self.left().max(Duration::from_millis(1));
        socket
            .connect_timeout(&self.address.into(), left)
            .map_err(failed)?;
        Ok(socket.into())
    }

    /// Sends the request and reads until the connection is open.
    fn shake_hands(
        &self,
        stream: &mut TcpStream,
        request: &[u8],
        accept: &[u8; 28],
        path: &str,
    ) -> Result<(), ProbeError> {
        let address = self.address;
        // A failed write is no reason to stop: a server that refuses before it
        // has read the request may have sent its reasons.
        let written = stream.write_all(request);
        let mut received = Vec::new();
        loop {
            match client::parse_response_to_offer(&received, accept, self.subprotocol) {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                Err(ClientError::Status { .. }) => {
                    return Err(self.refusal(stream, received, accept, path));
                }
                Err(ClientError::Malformed) => {
                    return Err(ProbeError::of_garbage(address, &received));
                }
                Err(ClientError::Subprotocol { received }) => {
                    return Err(ProbeError::Subprotocol {
                        address,
                        offered: self.subprotocol.unwrap_or_default().to_owned(),
                        selected: received,
                    });
                }
                Err(
                    problem @ (ClientError::TooLarge
                    | ClientError::Upgrade
                    | ClientError::Connection
                    | ClientError::Extension { .. }
                    | ClientError::Accept { .. }),
                ) => {
                    return Err(ProbeError::NotWebSocket { address, problem });
                }
            }
            match read(stream, &mut received, self.left()) {
                Ok(0) if received.is_empty() || received.starts_with(b"HTTP/") => {
                    return Err(ProbeError::Closed { address });
                }
                Ok(0) => return Err(ProbeError::of_garbage(address, &received)),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {
                    return Err(ProbeError::HandshakeTimeout {
                        address,
                        timeout: self.timeout,
                    });
                }
                Err(error) => {
                    return Err(ProbeError::of_stream(
                        address,
                        written.err().unwrap_or(error),
                    ));
                }
            }
        }
    }

    /// Reads on for the body, which often says more than the status.
    fn refusal(
        &self,
        stream: &mut TcpStream,
        mut received: Vec<u8>,
        accept: &[u8; 28],
        path: &str,
    ) -> ProbeError {
        let until = Instant::now() + BODY_WAIT;
        while received.len() < MAX_REFUSAL_BYTES {
            match read(stream, &mut received, left(until)) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        match client::parse_response(&received, accept) {
            Err(ClientError::Status { status, body }) => ProbeError::Status {
                address: self.address,
                path: path.to_owned(),
                status,
                body,
            },
            _ => ProbeError::of_garbage(self.address, &received),
        }
    }

    fn left(&self) -> Duration {
        left(self.deadline)
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// Reads once, for `left` at most, and appends the bytes.
fn read(stream: &mut TcpStream, received: &mut Vec<u8>, left: Duration) -> io::Result<usize> {
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(count) => {
                received.extend_from_slice(&chunk[..count]);
                return Ok(count);
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Says goodbye and reads until the server has ended the connection, so that
/// it does not log an abortion. However this ends, the probe has succeeded.
fn close(mut stream: TcpStream) {
    let mut frame = Vec::new();
    encode_masked_close(&mut frame, CloseCode::NORMAL_CLOSURE, "", rand::random());
    if stream.write_all(&frame).is_err() {
        return;
    }
    let until = Instant::now() + CLOSE_WAIT;
    let mut ignored = Vec::new();
    while let Ok(1..) = read(&mut stream, &mut ignored, left(until)) {
        ignored.clear();
    }
}

#[cfg(test)]
mod tests;
