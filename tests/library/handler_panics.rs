//! A handler that panics ends the session it was serving, with 1011 and
//! counted, and no other: the shard lives on.
//!
//! How: the library in this process, with a handler that panics where it is
//! told to, and a witness on the same shard. The panics show in the test's output.

use std::sync::Arc;

use crate::support::client::{Client, request, text};
use crate::support::{http, wait_until};
use corecast::config::Driver;
use corecast::metrics::{RefusalReason, ShardMetrics};
use corecast::{
    Config, Context, EndReason, Ended, Handler, Message, Refusal, Request, RunningServer, Server,
};

/// Panics in the call that the path or the message names.
struct Fragile;

impl Handler for Fragile {
    // Without data on purpose: such states are interchangeable, and a session
    // that never got one must not take another's with it.
    type State = ();
    type Notice = ();

    fn accept(&mut self, request: &Request) -> Result<corecast::handler::Acceptance, Refusal> {
        assert!(request.param("where") != Some("accept"), "as told");
        Ok(Default::default())
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) {
        ctx.send_text("hello");
        assert!(request.param("where") != Some("open"), "as told");
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.send(message);
        assert!(message != Message::Text("panic"), "as told");
        if message == Message::Text("close and panic") {
            ctx.close(corecast::ws::CloseCode::NORMAL_CLOSURE, "");
        }
    }

    fn close(&mut self, (): (), end: Ended, _: &mut Context<'_>) {
        assert!(end.reason != EndReason::HandlerClosed, "as told");
    }
}

fn start(driver: Driver) -> RunningServer {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(1)
        .driver(driver);
    let server = Server::new(config).unwrap();
    server
        .route("/fragile/{where}", || Fragile)
        .unwrap()
        .start()
        .unwrap()
}

fn ended(metrics: &Arc<ShardMetrics>, reason: EndReason) -> u64 {
    metrics.ended[reason as usize].value()
}

#[test]
fn a_panic_ends_one_session() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let server = start(driver);
        let address = server.local_addr();
        let metrics = Arc::clone(&server.metrics()[0]);
        let mut witness = Client::connect(address, "/fragile/nowhere");
        assert_eq!(witness.read_text(), "hello");

        // While serving a message: messages sent before arrive.
        let mut client = Client::connect(address, "/fragile/message");
        assert_eq!(client.read_text(), "hello");
        client.send(&[text("fine"), text("panic"), text("never served")].concat());
        assert_eq!(client.read_text(), "fine");
        assert_eq!(client.read_text(), "panic");
        assert_eq!(client.frame().close_code(), 1011);
        client.send_close(1011);
        client.expect_end();
        wait_until("the first is counted", || {
            ended(&metrics, EndReason::HandlerPanicked) == 1
        });
        witness.expect_echo("1");

        // While opening.
        let mut client = Client::connect(address, "/fragile/open");
        assert_eq!(client.read_text(), "hello");
        assert_eq!(client.frame().close_code(), 1011);
        client.send_close(1011);
        client.expect_end();
        wait_until("the second is counted", || {
            ended(&metrics, EndReason::HandlerPanicked) == 2
        });
        witness.expect_echo("2");

        // While accepting: no session, and an answer that says so.
        let response = http::exchange(address, request("/fragile/accept").as_bytes());
        assert_eq!(response.status, 500);
        assert_eq!(
            metrics.refused[RefusalReason::Forbidden as usize].value(),
            1
        );
        witness.expect_echo("3");

        // While hearing of the end: no client is left to tell.
        let mut client = Client::connect(address, "/fragile/close");
        assert_eq!(client.read_text(), "hello");
        client.send_text("close and panic");
        assert_eq!(client.read_text(), "close and panic");
        assert_eq!(client.frame().close_code(), 1000);
        client.send_close(1000);
        client.expect_end();
        witness.expect_echo("4");

        wait_until("only the witness is left", || metrics.sessions.value() == 1);
        witness.close();
        server.handle().drain();
        server.wait();
    }
}

/// A handler that cannot even be made is an error of the start, which does not
/// wait for ever for the shard that it ended, and leaves no other running.
#[test]
fn a_handler_that_cannot_be_made() {
    use std::sync::atomic::{AtomicBool, Ordering};
    for driver in [Driver::Auto, Driver::Epoll] {
        let (tells, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let config = Config::new()
                .listen(["127.0.0.1:0".parse().unwrap()])
                .shards(2)
                .driver(driver);
            let made_one = AtomicBool::new(false);
            let started = Server::new(config)
                .unwrap()
                .route("/fragile/{where}", move || {
                    assert!(!made_one.swap(true, Ordering::Relaxed), "as told");
                    Fragile
                })
                .unwrap()
                .start();
            let _ = tells.send(started.map(drop).map_err(|error| error.to_string()));
        });
        let outcome = told.recv_timeout(crate::support::DEADLINE);
        let error = outcome.expect("the start ends").expect_err("it fails");
        assert!(error.contains("a shard ended before it ran"), "{error}");
    }
}
