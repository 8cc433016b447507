//! A run that cannot be measured is refused at once, with status 2 and one
//! sentence that says why; connections that fail later are counted by their
//! cause.
//!
//! How: wrong command lines, and servers that are not there, are something
//! else, or have no room for all.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::run::load;
use crate::support::{Corecast, settings};
use corecast::handler::{Acceptance, Context, Handler};
use corecast::server::Server;
use corecast::upgrade::{Refusal, Request};
use corecast::ws::Message;
use corecast_load::cause::Cause;

/// A server that answers whatever is asked with these bytes.
fn answering(bytes: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(bytes.as_bytes());
        }
    });
    address
}

#[test]
fn a_url_that_is_none() {
    for (url, words) in [
        ("127.0.0.1:8080/ws", "write ws://127.0.0.1:8080/ws"),
        (
            "http://127.0.0.1:8080/",
            "did you mean ws://127.0.0.1:8080/",
        ),
        ("wss://127.0.0.1:8080/", "TLS"),
        ("ftp://127.0.0.1/", "'ftp://'"),
        ("ws://", "has no host"),
        ("ws://127.0.0.1:99999/", "the port in"),
        ("ws://no.such.host.invalid/", "cannot be resolved"),
    ] {
        load(&format!("connect {url}")).refused(&[words]);
    }
}

#[test]
fn nobody_listens() {
    // Bound and not listening: no other process gets this port meanwhile.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // The results of an earlier run are not lost to a mistake.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("earlier.csv");
    fs::write(&file, "figures").unwrap();
    let arguments = format!("connect ws://{address}/ --csv {}", file.display());
    load(&arguments).refused(&["nobody listens", &address.to_string()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "figures");
}

#[test]
fn a_server_of_another_kind() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let busy =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy";
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    for (answer, words) in [
        (page, &["200", "hello"][..]),
        (busy, &["503", "busy"][..]),
        (wrong, &["Sec-WebSocket-Accept"][..]),
        ("SSH-2.0-OpenSSH_9.6\r\n", &["SSH-2.0-OpenSSH_9.6"][..]),
        ("", &["ended the connection"][..]),
    ] {
        let address = answering(answer);
        load(&format!("echo ws://{address}/chat")).refused(words);
    }
}

#[test]
fn a_path_the_server_does_not_have() {
    let server = Corecast::start();
    let url = server.url("/nowhere");
    load(&format!("echo {url}")).refused(&["404", "/nowhere"]);
}

#[test]
fn a_port_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let begun = Instant::now();
    load(&format!("echo ws://{address}/ --timeout 300ms")).refused(&["300ms"]);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn options_that_cannot_stand() {
    let server = Corecast::start();
    let url = server.url("/echo");
    for (arguments, words) in [
        (format!("echo {url} --size 8"), "16 bytes"),
        (format!("broadcast {url} -s 5 -p 6"), "--publishers 6"),
        (format!("chat {url} --rooms 2"), "{room}"),
        (format!("echo {url} --header nonsense"), "'nonsense'"),
        (
            format!("echo {url} --server-pid 4194305"),
            "no process 4194305",
        ),
        (format!("echo {url} --cpus 99999"), "99999"),
        (
            format!("echo {url} --stats http://{}/", server.address()),
            "--stats",
        ),
        (format!("echo {url} --live {}", server.address()), "--live"),
    ] {
        load(&arguments).refused(&[words]);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_noticed_before_the_run() {
    let server = Corecast::start();
    let url = server.url("/echo");
    for option in ["--csv", "--report"] {
        let arguments = format!("connect {url} -c 10 {option} no/such/folder/file");
        load(&arguments).refused(&["cannot write no/such/folder/file", "No such file"]);
    }
    assert_eq!(server.opened(), 2, "only the probes have connected");
}

#[test]
fn a_server_with_no_room_for_all() {
    let server = Corecast::of(Server::new(settings().max_sessions(20)).unwrap());
    let url = server.url("/echo");
    let outcome = load(&format!("connect {url} -c 50 --hold 200ms"))
        .failed(&["30 of 50 connections could not be opened: 30 answered with HTTP 503"]);
    let connections = &outcome.connections;
    assert_eq!(connections.asked, 50);
    assert_eq!(
        (connections.opened, connections.peak, connections.closed),
        (20, 20, 20)
    );
    assert_eq!(connections.failed, [(Cause::Status(503), 30)].into());
    assert_eq!(connections.losses(), 0);
}

/// Lets in the users with a number below ten.
struct Doorkeeper;

impl Handler for Doorkeeper {
    type State = ();
    type Notice = ();

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        let number: u32 = request.param("number").unwrap_or_default().parse().unwrap();
        match number {
            ..10 => Ok(Acceptance::default()),
            _ => Err(Refusal::new(429, "come back later")),
        }
    }

    fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.send(message);
    }
}

#[test]
fn those_who_got_in_are_measured() {
    let server = Server::new(settings()).unwrap();
    let server = Corecast::of(server.route("/door/{number}", || Doorkeeper).unwrap());
    let url = server.url("/door/{connection}");
    let outcome = load(&format!("echo {url} -c 25 -d 300ms --warm-up 0s"))
        .failed(&["15 of 25 connections could not be opened: 15 answered with HTTP 429"]);
    assert_eq!(outcome.connections.opened, 10);
    crate::support::run::expect_deliveries(&outcome, 1);
}
