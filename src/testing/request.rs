//! Requests made for a test.

use std::net::SocketAddr;

use crate::router::Router;
use crate::upgrade::{self, Request};

/// A request to be made for a test. It is written as a client would send it and read
/// as the server reads it, so that a handler sees what it will see.
///
/// ```
/// use corecast::testing::TestRequest;
///
/// let request = TestRequest::new("/rooms/caf%C3%A9?as=ann")
///     .header("Origin", "https://example.com")
///     .client("192.0.2.7:4000".parse().unwrap())
///     .on_route("/rooms/{room}")
///     .build();
/// assert_eq!(request.param("room"), Some("café"));
/// assert_eq!(request.query_param("as").as_deref(), Some("ann"));
/// assert_eq!(request.origin(), Some("https://example.com"));
/// ```
#[derive(Debug, Clone)]
pub struct TestRequest {
    target: String,
    headers: Vec<(String, String)>,
    client: SocketAddr,
    pattern: Option<String>,
}

impl From<&str> for TestRequest {
    fn from(target: &str) -> Self {
        TestRequest::new(target)
    }
}

impl TestRequest {
    /// An opening handshake for a path, with its query if there is one.
    pub fn new(target: &str) -> Self {
        TestRequest {
            target: target.to_owned(),
            headers: Vec::new(),
            client: SocketAddr::from(([127, 0, 0, 1], 4_000)),
            pattern: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The address that it comes from.
    #[must_use]
    pub fn client(mut self, address: SocketAddr) -> Self {
        self.client = address;
        self
    }

    /// The pattern of the route on which it has arrived, from which its params come.
    #[must_use]
    pub fn on_route(mut self, pattern: &str) -> Self {
        self.pattern = Some(pattern.to_owned());
        self
    }

    /// Makes the request.
    ///
    /// # Panics
    /// When a server would not have accepted it: the panic says what is wrong with it.
    #[track_caller]
    pub fn build(self) -> Request {
        let lines = self.headers.iter();
        let lines: String = lines
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let text = format!(
            "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n",
            self.target
        );
        let mut request = match upgrade::parse(text.as_bytes(), usize::MAX, self.client) {
            Ok(Some(parsed)) => parsed.request,
            Ok(None) => panic!("the request is not complete: {text:?}"),
            Err(error) => panic!("{error} ({text:?})"),
        };
        if let Some(pattern) = &self.pattern {
            let mut router = Router::new();
            if let Err(error) = router.insert(pattern, ()) {
                panic!("{error}");
            }
            let found = router.route(&mut request).is_some();
            assert!(found, "the path of {} is not one of {pattern}", self.target);
        }
        request
    }
}
