//! The library with handlers of a user's own: what the public trait promises.
//!
//! How: servers inside this process, clients over real sockets.

use std::net::TcpListener;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{BINARY, CLOSE, Client, FIN, encode, request, request_with, text};
use crate::support::{DEADLINE, http, poll_until, wait_until};
use corecast::config::{Driver, RouteSetting};
use corecast::{
    Acceptance, CloseCode, Config, Context, EndReason, Ended, Handler, Message, Phase,
    PreparedFrame, Refusal, Request, Server, Topic,
};

fn config() -> Config {
    Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(1)
        .routes(RouteSetting::demo())
}

/// A room with state, subprotocols, refusals and several ways to talk.
struct Room {
    topic: Topic,
    ends: Sender<(String, EndReason, Option<u16>)>,
}

impl Handler for Room {
    /// The name, and the messages heard from it.
    type State = (String, u32);
    type Notice = ();

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        match request.param("name") {
            Some("mallory") => Err(Refusal::new(402, "Pay first.")),
            Some("eve") => Err(Refusal::forbidden("Not you.")),
            _ => {
                let offered = request.subprotocols().find(|name| *name == "room.v2");
                Ok(Acceptance::new().subprotocol(offered))
            }
        }
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Self::State {
        ctx.subscribe(&self.topic);
        assert!(!ctx.subscribe(&self.topic), "once is enough");
        let name = request.param("name").unwrap_or_default().to_owned();
        if name == "shy" {
            ctx.send_text("bye already");
            ctx.close(CloseCode::POLICY_VIOLATION, "too shy");
        }
        (name, 0)
    }

    fn message(&mut self, state: &mut Self::State, message: Message<'_>, ctx: &mut Context<'_>) {
        state.1 += 1;
        match message {
            Message::Text("count") => ctx.send_text(&state.1.to_string()),
            Message::Text("leave") => {
                assert!(ctx.unsubscribe(&self.topic));
                assert!(!ctx.unsubscribe(&self.topic));
            }
            Message::Text("close") => {
                ctx.send_text("last words");
                ctx.close(CloseCode::new(4001).unwrap(), "as you wish");
            }
            Message::Text(text) => {
                let line = format!("{}: {text}", state.0);
                ctx.publish_to_others(&self.topic, PreparedFrame::text(&line));
            }
            Message::Binary(bytes) => {
                ctx.send_prepared(&PreparedFrame::binary(bytes));
            }
        }
    }

    fn close(&mut self, state: Self::State, end: Ended, ctx: &mut Context<'_>) {
        assert!(!ctx.subscribe(&self.topic), "it is over");
        let line = format!("{} has left", state.0);
        ctx.publish(&self.topic, PreparedFrame::text(&line));
        let code = end.code.map(CloseCode::as_u16);
        let _ = self.ends.send((state.0, end.reason, code));
    }
}

#[test]
fn a_room_of_ones_own() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let (ends, heard) = channel();
        let config = config().driver(driver).shards(2);
        let server = Server::new(config)
            .unwrap()
            .route("/room/{name}", move || Room {
                topic: Topic::new("room"),
                ends: ends.clone(),
            })
            .unwrap()
            .start()
            .unwrap();
        let address = server.local_addr();

        // Refusals.
        let refused = http::exchange(address, request("/room/mallory").as_bytes());
        assert_eq!(refused.status, 402);
        assert!(refused.text().contains("Pay first."), "{}", refused.text());
        let refused = http::exchange(address, request("/room/eve").as_bytes());
        assert_eq!(refused.status, 403);

        // Subprotocols.
        let mut ann = Client::open(address);
        let offer = "Sec-WebSocket-Protocol: room.v1, room.v2\r\n";
        ann.send(request_with("/room/ann", offer).as_bytes());
        let head = ann.response_head().to_ascii_lowercase();
        assert!(
            head.contains("sec-websocket-protocol: room.v2\r\n"),
            "{head}"
        );
        let mut bob = Client::open(address);
        bob.send(request("/room/bob").as_bytes());
        assert!(
            !bob.response_head()
                .to_ascii_lowercase()
                .contains("sec-websocket-protocol")
        );

        // Others hear it, on whichever shard; the speaker does not.
        ann.send_text("hi");
        assert_eq!(bob.read_text(), "ann: hi");
        bob.send_text("hello");
        assert_eq!(ann.read_text(), "bob: hello");

        // State is each session's own.
        ann.send_text("count");
        assert_eq!(ann.read_text(), "2");
        ann.send_text("count");
        assert_eq!(ann.read_text(), "3");
        bob.send_text("count");
        assert_eq!(bob.read_text(), "2");
        bob.send(&encode(FIN | BINARY, true, &[1, 2, 3]));
        assert_eq!(bob.frame().payload, [1, 2, 3]);

        // The handler closes: messages it sent before arrive, later ones are not
        // delivered, and the others hear of it.
        ann.send(&[text("close"), text("ignored")].concat());
        assert_eq!(ann.read_text(), "last words");
        let close = ann.frame();
        assert_eq!(close.close_code(), 4001);
        assert_eq!(&close.payload[2..], b"as you wish");
        ann.send_close(4001);
        ann.expect_end();
        assert_eq!(bob.read_text(), "ann has left");
        let end = heard.recv_timeout(DEADLINE).unwrap();
        assert_eq!(
            end,
            ("ann".to_owned(), EndReason::HandlerClosed, Some(4001))
        );

        // Closed while it opens.
        let mut shy = Client::connect(address, "/room/shy");
        assert_eq!(shy.read_text(), "bye already");
        assert_eq!(shy.frame().close_code(), 1008);
        shy.send_close(1008);
        shy.expect_end();
        assert_eq!(bob.read_text(), "shy has left");
        assert_eq!(heard.recv_timeout(DEADLINE).unwrap().0, "shy");

        // Out of the topic, still a session.
        bob.send_text("leave");
        let carol = Client::connect(address, "/room/carol");
        carol.reset();
        let end = heard.recv_timeout(DEADLINE).unwrap();
        assert_eq!(end, ("carol".to_owned(), EndReason::Vanished, None));
        bob.send_text("count");
        assert_eq!(bob.read_text(), "5");
        bob.close();
        let end = heard.recv_timeout(DEADLINE).unwrap();
        assert_eq!(end, ("bob".to_owned(), EndReason::PeerClosed, Some(1000)));

        assert_eq!(server.handle().phase(), Phase::Running);
        assert!(server.handle().drain());
        assert!(!server.handle().drain());
        server.wait();
        assert!(heard.try_recv().is_err(), "each end is heard once");
    }
}

/// Dropping a running server closes its sessions with a close frame, and its
/// port is free afterwards.
#[test]
fn dropping_a_server_ends_it() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let config = config().driver(driver).shards(2);
        let server = Server::new(config).unwrap().start().unwrap();
        let address = server.local_addr();
        let handle = server.handle();
        let clients: Vec<_> = (0..10).map(|_| Client::connect(address, "/echo")).collect();
        let readers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                thread::spawn(move || {
                    assert_eq!(client.frame().close_code(), 1001);
                    client.send_close(1001);
                    client.expect_end();
                })
            })
            .collect();
        let began = Instant::now();
        drop(server);
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(handle.phase(), Phase::Stopped);
        for reader in readers {
            reader.join().unwrap();
        }
        TcpListener::bind(address).expect("the port is free");
    }
}

/// A server that cannot start leaves nothing running: its port is free again.
#[test]
fn a_failed_start_leaves_nothing_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let config = config()
        .listen([listen.into()])
        .admin(taken.local_addr().unwrap())
        .shards(2);
    let error = Server::new(config).unwrap().start().err().unwrap();
    assert!(error.to_string().contains("--admin"), "{error}");
    TcpListener::bind(listen).expect("the shards are gone");
}

/// Sends much to its own session, and is slow when told to.
struct Hose {
    topic: Topic,
}

impl Handler for Hose {
    type State = ();
    type Notice = ();

    fn open(&mut self, _: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&self.topic);
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        match message {
            Message::Text("flood") => ctx.send_binary(&vec![7; 12 << 20]),
            Message::Text("block") => thread::sleep(Duration::from_millis(500)),
            Message::Text(text) => {
                ctx.publish(&self.topic, PreparedFrame::text(text));
            }
            Message::Binary(_) => {}
        }
    }
}

/// A large answer of which a part has left directly must not be cut when its session is
/// closed for being slow: the close frame comes after a whole frame.
#[test]
fn a_slow_consumer_is_closed_between_frames() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let config = config()
            .driver(driver)
            .close_timeout(Duration::from_secs(20));
        let hose = || Hose {
            topic: Topic::new("hose"),
        };
        let server = Server::new(config)
            .unwrap()
            .route("/hose", hose)
            .unwrap()
            .start()
            .unwrap();
        let metrics = server.metrics()[0].clone();
        let mut slow = Client::connect_narrow(server.local_addr(), "/hose");
        let mut other = Client::connect(server.local_addr(), "/hose");
        slow.send_text("flood");
        wait_until("the flood has begun", || metrics.bytes_out.value() > 1000);
        other.expect_echo("one too many");
        let flood = slow.frame();
        assert_eq!((flood.opcode, flood.payload.len()), (BINARY, 12 << 20));
        assert_eq!(slow.frame().close_code(), 1013);
        slow.send_close(1013);
        slow.expect_end();
        wait_until("it is counted", || {
            metrics.ended[EndReason::SlowConsumer as usize].value() == 1
        });
        other.expect_echo("others stay");
        other.close();
    }
}

/// Much data and then the end of the stream arrive while the shard is busy
/// elsewhere: the end is found all the same, though it is reported only once.
#[test]
fn an_end_behind_much_data_is_found() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let config = config().driver(driver);
        let hose = || Hose {
            topic: Topic::new("hose"),
        };
        let server = Server::new(config)
            .unwrap()
            .route("/hose", hose)
            .unwrap()
            .start()
            .unwrap();
        let metrics = server.metrics()[0].clone();
        let mut blocker = Client::connect(server.local_addr(), "/hose");
        let mut client = Client::connect(server.local_addr(), "/hose");
        // Lets the kernel grow this connection's window.
        let message = encode(FIN | BINARY, true, &[7; 16 * 1024]);
        client.send(&message.repeat(2000));
        wait_until("the window has grown", || {
            metrics.messages_in.value() == 2000
        });

        blocker.send_text("block");
        thread::sleep(Duration::from_millis(100));
        client.send(&message.repeat(60));
        client.shutdown_write();
        let began = Instant::now();
        client.expect_end();
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(metrics.messages_in.value(), 2061);
        wait_until("it is gone", || metrics.sessions.value() == 1);
    }
}

/// Routes of the configuration and of the program live side by side, and the
/// program's replaces one of the same path.
#[test]
fn routes_from_both_sides() {
    let config = config().routes([
        RouteSetting::new("/a", "echo"),
        RouteSetting::new("/b", "echo"),
    ]);
    let hose = || Hose {
        topic: Topic::new("x"),
    };
    let server = Server::new(config)
        .unwrap()
        .route("/b", hose)
        .unwrap()
        .start()
        .unwrap();
    let mut a = Client::connect(server.local_addr(), "/a");
    a.expect_echo("flood");
    let mut b = Client::connect(server.local_addr(), "/b");
    b.send_text("flood");
    assert_eq!(b.frame().opcode, BINARY);
    assert!(poll_until(DEADLINE, || server.metrics()[0]
        .sessions
        .value()
        == 2));
    b.send_close(1000);
    while b.frame().opcode != CLOSE {}
}

/// The server serves nothing that its embedder does not ask for.
#[test]
fn a_default_configuration_serves_nothing_but_what_is_added() {
    let config = config().routes([]);
    let server = Server::new(config).unwrap();
    let server = server.route("/own", || corecast::handler::Echo).unwrap();
    let server = server.start().unwrap();
    Client::connect(server.local_addr(), "/own").expect_echo("Hello");
    assert_eq!(http::get(server.local_addr(), "/own").status, 426);
    for path in ["/", "/echo", "/broadcast", "/ws", "/socket/websocket"] {
        let response = http::exchange(server.local_addr(), request(path).as_bytes());
        assert_eq!(response.status, 404, "{path}");
        assert_eq!(http::get(server.local_addr(), path).status, 404, "{path}");
    }
}
