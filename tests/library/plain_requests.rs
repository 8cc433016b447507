//! A handler answers a plain GET or HEAD on its path, and adds headers to what it
//! accepts, refuses and replies.
//!
//! How: the library in this process, and raw requests.

use crate::support::client::{Client, request};
use crate::support::http;
use corecast::{
    Acceptance, Config, Context, Handler, Message, Refusal, Reply, Request, RunningServer, Server,
};

/// Replies as the path says, and sets a cookie.
struct Talkative;

impl Handler for Talkative {
    type State = ();
    type Notice = ();

    fn get(&mut self, request: &Request) -> Option<Reply> {
        match request.param("what")? {
            "page" => Some(Reply::html("<p>hello</p>")),
            "count" => Reply::json(r#"{"sessions":1}"#)
                .header("Cache-Control", "max-age=1")
                .ok(),
            "moved" => Reply::text("")
                .status(307)
                .header("Location", "/talk/page")
                .ok(),
            "odd" => Some(Reply::text("").status(101)),
            "longest" => Some(Reply::text("x".repeat(Reply::MAX_BODY_BYTES))),
            "longer" => Some(Reply::text("x".repeat(Reply::MAX_BODY_BYTES + 1))),
            "panic" => panic!("as told"),
            _ => None,
        }
    }

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        match request.param("what") {
            Some("private") => {
                let refusal = Refusal::new(401, "Who are you?");
                Err(refusal.header("WWW-Authenticate", "Bearer")?)
            }
            // A name from the request that would begin a header of its own.
            Some("split") => {
                let cookie = "name=a\r\nX-Evil: 1";
                Ok(Acceptance::new().header("Set-Cookie", cookie)?)
            }
            _ => Ok(Acceptance::new()
                .subprotocol(request.subprotocols().next())
                .header("Set-Cookie", "seen=1; HttpOnly")?),
        }
    }

    fn open(&mut self, _request: &Request, ctx: &mut Context<'_>) {
        ctx.send_text("open");
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.send(message);
    }
}

fn start() -> RunningServer {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(1);
    let server = Server::new(config)
        .unwrap()
        .route("/talk/{what}", || Talkative)
        .unwrap();
    server.start().unwrap()
}

#[test]
fn a_plain_request_is_answered_as_the_handler_wants_it() {
    let server = start();
    let address = server.local_addr();
    let page = http::get(address, "/talk/page");
    assert_eq!((page.status, &*page.text()), (200, "<p>hello</p>"));
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("connection"), Some("close"));

    let count = http::get(address, "/talk/count");
    assert_eq!(count.header("content-type"), Some("application/json"));
    assert_eq!(count.header("cache-control"), Some("max-age=1"));
    assert_eq!(count.head.matches("Cache-Control").count(), 1);

    let moved = http::get(address, "/talk/moved");
    assert_eq!(
        (moved.status, moved.header("location")),
        (307, Some("/talk/page"))
    );
    assert_eq!(http::get(address, "/talk/odd").status, 500);
    assert_eq!(http::get(address, "/talk/nothing").status, 426);
    assert_eq!(http::get(address, "/else").status, 404);
    // The server's own pages come first, and are as they were.
    assert_eq!(http::get(address, "/healthz").text(), "ok\n");

    // Which one is sent does not depend on the method.
    let mut client = Client::open(address);
    client.send(b"HEAD /talk/page HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = client.response_head();
    assert!(head.contains("Content-Length: 12\r\n"), "{head}");
    client.expect_end();
    assert_eq!(server.metrics()[0].http_requests.value(), 6);
}

#[test]
fn a_reply_has_a_bound_and_a_panic_is_one_request_only() {
    let server = start();
    let address = server.local_addr();
    let mut witness = Client::connect(address, "/talk/witness");
    assert_eq!(witness.read_text(), "open");
    let longest = http::get(address, "/talk/longest");
    assert_eq!(
        (longest.status, longest.body.len()),
        (200, Reply::MAX_BODY_BYTES)
    );
    for path in ["/talk/longer", "/talk/panic"] {
        let failed = http::get(address, path);
        assert_eq!(failed.status, 500, "{path}");
        assert!(failed.body.len() < 100, "{path}");
    }
    witness.expect_echo("still here");
}

#[test]
fn what_is_accepted_and_refused_may_have_headers() {
    let server = start();
    let address = server.local_addr();
    let mut client = Client::open(address);
    let offer = "Sec-WebSocket-Protocol: talk\r\n";
    client.send(crate::support::client::request_with("/talk/x", offer).as_bytes());
    let head = client.response_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.contains("\r\nSec-WebSocket-Protocol: talk\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nSet-Cookie: seen=1; HttpOnly\r\n"),
        "{head}"
    );
    assert_eq!(client.read_text(), "open", "what follows are frames");

    let refused = http::exchange(address, request("/talk/private").as_bytes());
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(refused.text(), "Who are you?\n");

    // Nothing that a handler lets through can split the response.
    let split = http::exchange(address, request("/talk/split").as_bytes());
    assert_eq!(split.status, 500);
    assert_eq!(split.header("x-evil"), None);
}

#[test]
fn a_handler_may_be_a_function() {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(2);
    let mut heard = 0;
    let count = move |message: Message<'_>, ctx: &mut Context<'_>| {
        heard += 1;
        ctx.send_text(&format!("{heard}: {}", message.as_bytes().len()));
    };
    let server = Server::new(config)
        .unwrap()
        .route_fn("/echo", |message, ctx| ctx.send(message))
        .unwrap()
        .route_fn("/count", count)
        .unwrap()
        .start()
        .unwrap();
    Client::connect(server.local_addr(), "/echo").expect_echo("hello");
    let mut counted = Client::connect(server.local_addr(), "/count");
    for (text, answer) in [("a", "1: 1"), ("four", "2: 4")] {
        counted.send_text(text);
        assert_eq!(counted.read_text(), answer);
    }
}
