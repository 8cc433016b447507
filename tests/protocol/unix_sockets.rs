//! `--listen-unix`: a proxy on the same host connects through a socket in a folder. All
//! shards accept there, a hand-over keeps the socket, and its file goes with the last
//! process.
//!
//! How: handshakes over the socket of a real server, on each driver, and a real HAProxy
//! in front of it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::support::client::{BINARY, Client, FIN, encode, request};
use crate::support::haproxy::Haproxy;
use crate::support::processes::signal;
use crate::support::{Server, corecast, drivers, run, wait_until};

fn start(driver: &str, path: &Path, more: &[&str]) -> Server {
    let path = path.to_str().unwrap();
    let options = ["--driver", driver, "--shards", "2", "--listen-unix", path];
    Server::start(&[&options[..], more].concat())
}

/// The answer to one message over the socket.
fn echo(path: &Path, message: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(request("/echo").as_bytes()).unwrap();
    stream
        .write_all(&encode(FIN | BINARY, true, message))
        .unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..read]);
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = head
            && answer.len() >= end + 4 + 2 + message.len()
        {
            assert!(answer.starts_with(b"HTTP/1.1 101 "));
            return answer[end + 6..].to_vec();
        }
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    (folder, path)
}

#[test]
fn sessions_come_through_the_socket_until_the_server_stops() {
    for driver in drivers() {
        let (_folder, path) = folder();
        let server = start(driver, &path, &["--drain-timeout", "0s"]);
        let said = format!("listening on unix:{}", path.display());
        assert!(server.log().contains(&said), "{}", server.log());
        for number in 0..40_u8 {
            assert_eq!(echo(&path, &[number; 100]), [number; 100]);
        }
        assert_eq!(server.total("opened"), 40);
        Client::connect(server.address, "/echo").expect_echo("the others too");

        // A second server is refused, and `check` beside it is not.
        let text = path.to_str().unwrap();
        let options = ["--demo", "--listen", "127.0.0.1:0", "--admin", "off"];
        let task = |task: &str| {
            let mut command = corecast();
            run(command
                .arg(task)
                .args(options)
                .args(["--listen-unix", text]))
        };
        let (code, _, err) = task("serve");
        assert_eq!(code, 1);
        assert!(
            err.contains(&format!("cannot listen on unix:{text}")),
            "{err}"
        );
        assert_eq!(task("check").0, 0);
        echo(&path, b"unharmed");

        server.signal(libc::SIGTERM);
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(!path.exists(), "its file is gone");
    }
}

#[test]
fn a_hand_over_keeps_the_socket_and_a_killed_server_leaves_no_trouble() {
    for driver in drivers() {
        let (_folder, path) = folder();
        let server = start(driver, &path, &["--drain-timeout", "0s"]);
        server.signal(libc::SIGUSR2);
        assert_eq!(server.exit_status().code(), Some(0));
        let log = server.log();
        let (_, rest) = log.split_once(": process ").unwrap();
        let number: libc::pid_t = rest.split(' ').next().unwrap().parse().unwrap();
        for _ in 0..20 {
            echo(&path, b"by the new process");
        }
        signal(number, libc::SIGKILL);
        wait_until("it is gone", || UnixStream::connect(&path).is_err());
        assert!(path.exists());
        let again = start(driver, &path, &[]);
        echo(&path, b"by another one");
        drop(again);
    }
}

#[test]
fn the_client_of_a_proxy_at_the_socket_is_known() {
    if !Haproxy::is_there("the_client_of_a_proxy_at_the_socket_is_known") {
        return;
    }
    let (_folder, path) = folder();
    let proxied = [
        "--client-address",
        "proxy-protocol",
        "--trusted-proxy",
        "127.0.0.1",
        "--max-connections-per-source",
        "1",
    ];
    let server = start(drivers()[0], &path, &proxied);
    let proxy = Haproxy::start(&format!(
        "mode tcp\n server s unix@{} send-proxy-v2",
        path.display()
    ));
    let mut sessions = Vec::new();
    for host in 1..=3 {
        let source = std::net::Ipv4Addr::new(127, 0, 0, 100 + host);
        let mut client = Client::open_from(source, proxy.address, None).unwrap();
        client.handshake("/echo");
        client.expect_echo("each is a source of its own");
        let mut second = Client::open_from(source, proxy.address, None).unwrap();
        second.send(request("/echo").as_bytes());
        assert!(second.response_head().starts_with("HTTP/1.1 429 "));
        sessions.push(client);
    }
    assert_eq!(server.total("sessions"), 3);
}
