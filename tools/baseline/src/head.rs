//! The request head: read whole before it is decided what it is for, so that
//! plain pages and WebSocket live on one port.
//!
//! tungstenite parses the request and makes the 101; its own `accept` would
//! refuse a plain GET before the path can be looked at.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response, write_response};

use crate::config::MAX_HEAD_BYTES;

/// An HTTP status and its reason phrase.
pub type Status = &'static str;

/// A parsed request and the bytes after it.
#[derive(Debug)]
pub struct Head {
    /// The request.
    pub request: Request,
    /// The first bytes of the WebSocket stream, if the peer did not wait for the 101.
    pub tail: Vec<u8>,
}

/// Why there is no head.
#[derive(Debug)]
pub enum HeadError {
    /// The peer went away.
    Vanished,
    /// It is to be answered with this.
    Refused(Status),
}

impl From<io::Error> for HeadError {
    fn from(_: io::Error) -> Self {
        HeadError::Vanished
    }
}

/// Reads until the head is complete.
///
/// # Errors
///
/// When the peer goes away, or sends no request, or too large a one.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Head, HeadError> {
    let mut received = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Err(HeadError::Vanished);
        }
        match Request::try_parse(&received) {
            Ok(Some((length, request))) => {
                let tail = received.split_off(length);
                return Ok(Head { request, tail });
            }
            Ok(None) if received.len() < MAX_HEAD_BYTES => {}
            Ok(None) => return Err(HeadError::Refused("431 Request Header Fields Too Large")),
            Err(error) => return Err(HeadError::Refused(status_of(&error))),
        }
    }
}

/// The 101 for a request, or the status that names its fault.
///
/// # Errors
///
/// When the request is no opening handshake of version 13.
pub fn accept(request: &Request) -> Result<Vec<u8>, Status> {
    let response = create_response(request).map_err(|error| status_of(&error))?;
    let mut bytes = Vec::with_capacity(160);
    write_response(&mut bytes, &response).map_err(|error| status_of(&error))?;
    Ok(bytes)
}

/// A whole plain response, after which the connection ends.
pub fn page(status: Status, content_type: &str, body: &str) -> Vec<u8> {
    // RFC 6455 §4.4: the version that would do. RFC 9110 §15.5.6, §15.5.22: the
    // method and the protocol that would.
    let more = match &status[..3] {
        "405" => "Allow: GET\r\n",
        "426" => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        _ => "",
    };
    let connection = if more.starts_with("Upgrade") {
        "Upgrade, close"
    } else {
        "close"
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: {connection}\r\n{more}Content-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn status_of(error: &Error) -> Status {
    use ProtocolError as P;
    match error {
        Error::Protocol(P::WrongHttpMethod) => "405 Method Not Allowed",
        Error::Protocol(P::WrongHttpVersion) => "505 HTTP Version Not Supported",
        Error::Protocol(
            P::MissingConnectionUpgradeHeader
            | P::MissingUpgradeWebSocketHeader
            | P::MissingSecWebSocketVersionHeader,
        ) => "426 Upgrade Required",
        Error::Capacity(CapacityError::TooManyHeaders) => "431 Request Header Fields Too Large",
        _ => "400 Bad Request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: &str = "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    /// The answer to a request, as a status line.
    async fn answer(request: &str) -> String {
        let response = match read(&mut request.as_bytes()).await {
            Ok(head) => accept(&head.request),
            Err(HeadError::Refused(status)) => Err(status),
            Err(HeadError::Vanished) => return "vanished".to_owned(),
        };
        match response {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(status) => status.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_handshake_is_accepted() {
        let response = answer(HANDSHAKE).await;
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        // The example of RFC 6455 §1.3.
        assert!(
            response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{response}"
        );
        assert!(response.ends_with("\r\n\r\n"), "{response}");
    }

    #[tokio::test]
    async fn each_fault_has_its_status() {
        for (status, request) in [
            ("400", "nonsense\r\n\r\n".to_owned()),
            ("400", HANDSHAKE.replace("dGhl", "dG")),
            ("405", HANDSHAKE.replace("GET", "POST")),
            ("426", "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
            ("426", HANDSHAKE.replace("13", "8")),
            (
                "431",
                format!("GET /echo HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD_BYTES)),
            ),
            ("505", HANDSHAKE.replace("HTTP/1.1", "HTTP/1.0")),
            ("vanished", HANDSHAKE[..40].to_owned()),
        ] {
            let answer = answer(&request).await;
            assert!(answer.starts_with(status), "{answer} to {request}");
        }
    }

    #[tokio::test]
    async fn what_comes_behind_the_head_is_kept() {
        let head = read(&mut format!("{HANDSHAKE}more").as_bytes())
            .await
            .unwrap();
        assert_eq!(head.request.uri().path(), "/echo");
        assert_eq!(head.tail, b"more");
    }
}
