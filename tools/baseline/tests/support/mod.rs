//! The parts that the black-box tests share: a server process on a port of the
//! kernel's choice, a client by other authors, and waiting with deadlines.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Longer than anything in these tests should take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The binary with these arguments.
pub fn baseline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-baseline"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A running server process. Dropping it kills it.
pub struct Server {
    child: Child,
    /// The address it listens on.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it says where it listens.
    pub fn start() -> Server {
        Server::start_in("tuned")
    }

    /// Starts it in this style.
    pub fn start_in(style: &str) -> Server {
        let listen = [
            "--listen",
            "127.0.0.1:0",
            "--threads",
            "2",
            "--style",
            style,
        ];
        let mut child = baseline(&listen)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stdout = child.stdout.take().expect("stdout is piped");
        // Ends at the line, or when the server does.
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ws://");
        let address = address.and_then(|address| address.parse().ok());
        Server {
            child,
            address: address.unwrap_or_else(|| panic!("no address: {line:?}")),
        }
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, signal).expect("the server is there to get a signal");
    }

    /// Waits until the process has ended.
    pub fn exit_status(&mut self) -> ExitStatus {
        wait_for("the server's end", || self.child.try_wait().unwrap())
    }

    /// A number of `/stats`; `ended.vanished` is a number in an object.
    pub fn total(&self, key: &str) -> u64 {
        let stats: Value = serde_json::from_str(&get(self.address, "/stats").1).expect("JSON");
        let value = key
            .split('.')
            .fold(&stats["total"], |value, part| &value[part]);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("no number {key}: {stats}"))
    }

    /// Waits until a number of `/stats` has a value.
    pub fn wait_until(&self, key: &str, value: u64) {
        wait_for(&format!("{key} = {value}"), || {
            (self.total(key) == value).then_some(())
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends bytes and reads until the server ends the connection.
pub fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(request.as_bytes())
        .expect("the server reads");
    let mut response = String::new();
    stream
        .read_to_string(&mut response)
        .expect("the response arrives whole, not reset");
    response
}

/// A GET: the status line and the body.
pub fn get(address: SocketAddr, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let response = exchange(address, &request);
    let (head, body) = response.split_once("\r\n\r\n").expect("a header block");
    let status = head.lines().next().unwrap_or_default();
    (status.to_owned(), body.to_owned())
}

/// A WebSocket client whose every step has a deadline.
pub struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    /// Opens a session.
    pub async fn connect(address: SocketAddr, path: &str) -> Client {
        let url = format!("ws://{address}{path}");
        let config = WebSocketConfig::default().read_buffer_size(64 * 1024);
        let connected = timeout(DEADLINE, connect_async_with_config(url, Some(config), true));
        let (socket, response) = connected.await.expect("in time").expect("a session");
        assert_eq!(response.status(), 101);
        Client(socket)
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Message) {
        timeout(DEADLINE, self.0.send(message))
            .await
            .expect("in time")
            .expect("sent");
    }

    /// Takes a message that leaves with the next flush.
    pub async fn feed(&mut self, message: Message) {
        timeout(DEADLINE, self.0.feed(message))
            .await
            .expect("in time")
            .expect("taken");
    }

    /// Sends the messages that were fed.
    pub async fn flush(&mut self) {
        timeout(DEADLINE, self.0.flush())
            .await
            .expect("in time")
            .expect("sent");
    }

    /// The next message, or how the connection ended.
    pub async fn next(&mut self) -> Option<Result<Message, tokio_tungstenite::tungstenite::Error>> {
        timeout(DEADLINE, self.0.next()).await.expect("in time")
    }

    /// The next message.
    pub async fn read(&mut self) -> Message {
        self.next().await.expect("a message").expect("no fault")
    }

    /// The next message, which must be text.
    pub async fn read_text(&mut self) -> String {
        match self.read().await {
            Message::Text(text) => text.as_str().to_owned(),
            other => panic!("expected text, not {other:?}"),
        }
    }
}
