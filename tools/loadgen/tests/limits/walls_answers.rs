//! Servers that refuse, break the rules, or go away.
//!
//! How: corecast where it does such a thing by itself, and servers that answer
//! the generator's first try well and every other connection badly.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use crate::walls::process::Server;
use crate::walls::server::{
    Corecast, answer, behaving, discard, echo, keep_silent, misbehaving, reset, shake_hands,
};
use crate::walls::{Run, load};
use corecast_load::cause::Cause;

const SECOND: Duration = Duration::from_secs(1);

/// Opens ten connections and holds them for a moment.
fn connect(url: &str) -> Run {
    load(&[
        "connect",
        url,
        "-c",
        "10",
        "--hold",
        "300ms",
        "--timeout",
        "1s",
    ])
}

/// Ten connections to a server that answers with `response`.
#[track_caller]
fn refused_with(response: &'static str, cause: Cause, what: &[&str], remedy: &[&str]) {
    let run = connect(&misbehaving(|stream| answer(stream, response.as_bytes())));
    assert_eq!(run.outcome().connections.failed, [(cause, 10)].into());
    let what = [&["10 connections could not be opened because"], what].concat();
    run.expect_failure(&what, remedy);
    assert!(!run.outcome().resources.client_bound);
}

#[test]
fn a_corecast_with_its_limit_of_sessions() {
    let server = Corecast::start(|config| config.max_sessions(4));
    let run = connect(&server.url("/echo"));
    let opened = run.outcome().connections.opened;
    // The generator's first try may be a session still.
    assert!((3..=4).contains(&opened), "{}", run.story());
    run.expect_failure(
        &[
            &format!("{} connections could not be opened", 10 - opened),
            "HTTP 503: the server's own limit was reached",
            &format!("with {opened} opened"),
        ],
        &["--max-sessions"],
    );
}

#[test]
fn a_server_that_comes_to_refuse() {
    let not_found = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let forbidden = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let too_many = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    refused_with(
        not_found,
        Cause::Status(404),
        &["HTTP 404", "no such path"],
        &["path"],
    );
    refused_with(
        forbidden,
        Cause::Status(403),
        &["HTTP 403", "Origin"],
        &["Origin"],
    );
    refused_with(
        too_many,
        Cause::Status(429),
        &["HTTP 429", "one address"],
        &["--sources"],
    );
}

#[test]
fn a_handshake_that_is_none() {
    let wrong_key = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: bm90IHRoZSBrZXk=\r\n\r\n";
    let words = ["does not speak WebSocket"];
    refused_with(
        "220 mail ESMTP\r\n\r\n",
        Cause::NotWebSocket,
        &words,
        &["port and path"],
    );
    refused_with(wrong_key, Cause::NotWebSocket, &words, &["port and path"]);
    refused_with("", Cause::EndOfStream, &["without a close frame"], &["log"]);
}

#[test]
fn resets_in_the_handshake() {
    let run = connect(&misbehaving(reset));
    assert_eq!(
        run.outcome().connections.failed,
        [(Cause::Reset, 10)].into()
    );
    run.expect_failure(&["10 connections", "reset (ECONNRESET)"], &["server's log"]);
}

#[test]
fn no_answer_to_the_handshake() {
    let run = connect(&misbehaving(keep_silent));
    let failed = &run.outcome().connections.failed;
    assert_eq!(*failed, [(Cause::HandshakeTimeout, 10)].into());
    let what = [
        "10 connections",
        "did not answer the opening handshake in time",
    ];
    run.expect_failure(&what, &["more slowly", "more cores"]);
}

/// Ten connections to a server that opens them and then sends `bytes`.
#[track_caller]
fn lost_with(bytes: &'static [u8], cause: Cause, what: &[&str], remedy: &[&str]) {
    let run = connect(&misbehaving(|mut stream| {
        let sent = shake_hands(&mut stream).and_then(|()| stream.write_all(bytes));
        // Until the generator has had enough of it.
        let _ = sent.and_then(|()| std::io::copy(&mut stream, &mut std::io::sink()));
    }));
    assert_eq!(
        run.outcome().connections.lost,
        [(cause, 10)].into(),
        "{}",
        run.story()
    );
    let what = [&["10 open connections were lost because"], what].concat();
    run.expect_failure(&what, remedy);
}

#[test]
fn close_frames_and_garbage() {
    let close = |code| Cause::Closed(code);
    let (slow_consumer, policy) = (b"\x88\x02\x03\xf5", b"\x88\x02\x03\xf0");
    let what = ["close code 1013", "slow consumer"];
    lost_with(slow_consumer, close(1013), &what, &["--max-pending-bytes"]);
    lost_with(
        policy,
        close(1008),
        &["close code 1008", "policy"],
        &["limits"],
    );
    // A reserved bit, an unknown opcode, and a length that was not announced.
    lost_with(
        b"\xff\xff garbage",
        Cause::Protocol,
        &["broke RFC 6455"],
        &["tcpdump"],
    );
}

#[test]
fn the_stream_ends_without_a_word() {
    let run = connect(&misbehaving(|mut stream| drop(shake_hands(&mut stream))));
    assert_eq!(
        run.outcome().connections.lost,
        [(Cause::EndOfStream, 10)].into()
    );
    let what = ["10 open connections were lost", "without a close frame"];
    run.expect_failure(&what, &["server's log"]);
}

/// The generator's messages arrive, and nothing comes back.
#[test]
fn a_server_that_echoes_nothing() {
    let url = behaving(|_, stream| drop(discard(stream)));
    let words = [
        "echo",
        &url,
        "-c",
        "10",
        "--duration",
        "300ms",
        "--warm-up",
        "0s",
    ];
    let run = load(&[&words[..], &["--timeout", "500ms"]].concat());
    run.expect_failure(
        &["None of 10 deliveries arrived"],
        &["URL's path", "--protocol"],
    );
}

/// One message a second is answered, and ten are asked for.
#[test]
fn answers_that_come_too_late() {
    let url = behaving(|_, stream| drop(echo(stream, || std::thread::sleep(SECOND))));
    let words = [
        "echo",
        &url,
        "-c",
        "1",
        "--rate",
        "10",
        "--duration",
        "1s",
        "--warm-up",
        "0s",
    ];
    let run = load(&[&words[..], &["--timeout", "500ms"]].concat());
    let what = ["deliveries had not arrived when the run ended"];
    run.expect_failure(&what, &["Send less", "--timeout"]);
}

#[test]
fn the_server_is_killed_in_the_middle() {
    let mut server = Server::start("corecast --shards 1", |_| {});
    let (url, pid) = (server.url(), server.pid());
    let run = std::thread::scope(|scope| {
        let words = [
            "connect",
            &url,
            "-c",
            "50",
            "--hold",
            "3s",
            "--timeout",
            "1s",
        ];
        let run = scope.spawn(move || load(&words));
        std::thread::sleep(Duration::from_millis(1_500));
        server.kill();
        run.join().unwrap()
    });
    let what = [
        "50 open connections were lost because",
        &format!("process {pid}) ended during the run"),
    ];
    run.expect_failure(&what, &["dmesg"]);
}

/// A client that comes back finds no server.
#[test]
fn the_server_is_killed_while_connections_come_and_go() {
    let mut server = Server::start("corecast --shards 1", |_| {});
    let (url, pid) = (server.url(), server.pid());
    let run = std::thread::scope(|scope| {
        let words = [
            "churn",
            &url,
            "-c",
            "10",
            "--duration",
            "3s",
            "--timeout",
            "1s",
        ];
        let run = scope.spawn(move || load(&words));
        std::thread::sleep(Duration::from_millis(1_500));
        server.kill();
        run.join().unwrap()
    });
    assert!(
        run.outcome()
            .connections
            .failed
            .contains_key(&Cause::Refused),
        "{}",
        run.story()
    );
    let ended = format!("process {pid}) ended during the run");
    run.expect_failure(&["could not be opened", &ended], &["dmesg"]);
}

/// Before a run, one connection tries the server.
#[test]
fn nothing_to_measure_is_said_before_the_run() {
    let server = Corecast::start(|config| config.allowed_origins(["http://a.test"]));
    let other_origin = ["--header", "Origin: http://b.test"];
    let url = server.url("/echo");
    load(&[&["connect", &url], &other_origin[..]].concat()).expect_unusable(&["403", "Origin"]);
    let url = server.url("/nowhere");
    load(&["connect", &url]).expect_unusable(&["404", "no such path", "/nowhere"]);

    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = format!("ws://{free}/");
    load(&["connect", &nobody]).expect_unusable(&["nobody listens on", &free.to_string()]);
    let url = behaving(|_, stream| answer(stream, b"220 mail ESMTP\r\n"));
    load(&["connect", &url]).expect_unusable(&["220 mail ESMTP"]);
    let url = behaving(|_, stream| reset(stream));
    load(&["connect", &url]).expect_unusable(&["ended the connection", "TLS"]);
    let url = behaving(|_, stream| keep_silent(stream));
    load(&["connect", &url, "--timeout", "300ms"]).expect_unusable(&["did not answer", "300ms"]);
}
