//! Plain HTTP, one request per connection, byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::DEADLINE;

/// A response, received to the end of the stream.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Splits what was received. The body must be as long as announced.
    #[track_caller]
    pub fn parse(bytes: &[u8], has_body: bool) -> Response {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no header block: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end + 2].to_vec()).unwrap();
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("no status: {head}"));
        let response = Response {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        };
        if let Some(announced) = response.header("content-length") {
            let announced: usize = announced.parse().unwrap();
            let expected = if has_body { announced } else { 0 };
            assert_eq!(response.body.len(), expected, "{}", response.head);
        }
        response
    }
}

/// Sends bytes and reads the response until the server ends the connection,
/// which it must do without a reset.
#[track_caller]
pub fn exchange(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request).expect("the server reads");
    finish(&mut stream, !request.starts_with(b"HEAD "))
}

/// Reads a response until the server ends the connection.
#[track_caller]
pub fn finish(stream: &mut TcpStream, has_body: bool) -> Response {
    let mut received = Vec::new();
    stream
        .read_to_end(&mut received)
        .expect("the response arrives whole, not reset");
    Response::parse(&received, has_body)
}

/// A GET.
#[track_caller]
pub fn get(address: SocketAddr, path: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    exchange(address, request.as_bytes())
}
