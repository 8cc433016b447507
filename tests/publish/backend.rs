//! A server with an HTTP API, and a backend that speaks to it on raw sockets.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::{Response, exchange};
use crate::support::{Server, corecast, wait_until};

/// May publish everywhere and ask.
pub const ALL: &str = "all-0123456789abcdef";
/// May publish to `orders:*`.
pub const SHOP: &str = "shop-0123456789abcdef";
/// May ask.
pub const DASH: &str = "dash-0123456789abcdef";
/// May publish everywhere, five times a second.
pub const SLOW: &str = "slow-0123456789abcdef";

pub fn keys() -> String {
    format!(
        r#"
[[keys]]
name = "all"
key = "{ALL}"
publish = ["*"]
read = true

[[keys]]
name = "shop"
key = "{SHOP}"
publish = ["orders:*"]

[[keys]]
name = "dash"
key = "{DASH}"
read = true

[[keys]]
name = "slow"
key = "{SLOW}"
publish = ["*"]
read = true
max_rate = 5
"#
    )
}

/// A server whose API knows the keys above.
pub struct WithApi {
    pub server: Server,
    pub api: SocketAddr,
    pub key_file: PathBuf,
    _folder: TempDir,
}

impl WithApi {
    pub fn start(options: &[&str]) -> WithApi {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("keys.toml");
        fs::write(&key_file, keys()).unwrap();
        let mut command = corecast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--api", "127.0.0.1:0", "--api-key-file"])
            .arg(&key_file)
            .env("CORECAST_DEMO", "true")
            .args(options);
        let server = Server::spawn(&mut command);
        WithApi {
            api: api_address(&server),
            server,
            key_file,
            _folder: folder,
        }
    }

    /// A request with a key.
    #[track_caller]
    pub fn ask(&self, key: &str, method: &str, target: &str) -> Response {
        self.send(method, target, &[("X-API-Key", key)], b"")
    }

    /// A request with headers and a body.
    #[track_caller]
    pub fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        exchange(self.api, &request(method, target, headers, body, true))
    }

    /// `POST /topics/{topic}` with the key that may do so.
    #[track_caller]
    pub fn post(&self, topic: &str, content_type: &str, body: &[u8]) -> Response {
        let headers = [("X-API-Key", ALL), ("Content-Type", content_type)];
        self.send("POST", &format!("/topics/{topic}"), &headers, body)
    }

    /// A method of the server API, whose answer has status 200.
    #[track_caller]
    pub fn call(&self, method: &str, params: Value) -> Value {
        let headers = [("X-API-Key", ALL)];
        let body = params.to_string();
        let target = format!("/api/{method}");
        let response = self.send("POST", &target, &headers, body.as_bytes());
        assert_eq!(response.status, 200, "{}", response.text());
        json(&response)
    }

    /// A number of the object `api` of `/stats`.
    pub fn counted(&self, key: &str) -> u64 {
        let stats = self.server.stats();
        let value = key
            .split('.')
            .fold(&stats["api"], |value, part| &value[part]);
        value.as_u64().unwrap_or_else(|| panic!("no number {key}"))
    }
}

/// The address that a server's log names.
pub fn api_address(server: &Server) -> SocketAddr {
    let words = "the HTTP API on http://";
    wait_until("the API's address is told", || server.log().contains(words));
    let log = server.log();
    let (_, rest) = log.split_once(words).unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

/// The bytes of a request.
pub fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    is_last: bool,
) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if is_last {
        head += "Connection: close\r\n";
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[track_caller]
pub fn json(response: &Response) -> Value {
    assert_eq!(response.header("content-type"), Some("application/json"));
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{}", response.text()))
}

/// The code and the message of a problem.
#[track_caller]
pub fn problem(response: &Response) -> (u64, String) {
    let body = json(response);
    let error = body.get("error").unwrap_or(&body);
    let message = error["message"].as_str().expect("a message");
    (error["code"].as_u64().expect("a code"), message.to_owned())
}
