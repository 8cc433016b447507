//! The opening handshake of every connection has the headers, the subprotocol
//! and the path that were asked for.
//!
//! How: a handler lets in only a client that brings a header, a subprotocol and
//! a path of its own, so that a connection without one of them fails the run.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::support::run::{expect_connections, load};
use crate::support::{Corecast, settings};
use corecast::handler::{Acceptance, Context, Handler};
use corecast::server::Server;
use corecast::upgrade::{Refusal, Request};
use corecast::ws::Message;

/// Paths that were asked for.
type Paths = Arc<Mutex<HashSet<String>>>;

struct Strict(Paths);

impl Handler for Strict {
    type State = ();
    type Notice = ();

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        if request.header("x-token") != Some("abc") {
            return Err(Refusal::new(401, "no token"));
        }
        if request.subprotocols().ne(["chat.v2"]) {
            return Err(Refusal::new(400, "no subprotocol"));
        }
        self.0.lock().unwrap().insert(request.path().to_owned());
        Ok(Acceptance::new().subprotocol("chat.v2"))
    }

    fn open(&mut self, _request: &Request, _ctx: &mut Context<'_>) {}

    fn message(&mut self, (): &mut (), _message: Message<'_>, _ctx: &mut Context<'_>) {}
}

#[test]
fn headers_subprotocol_and_path_are_those_of_the_command_line() {
    let paths = Paths::default();
    let seen = Arc::clone(&paths);
    let server = Server::new(settings())
        .unwrap()
        .route("/strict/{room}/{user}", move || Strict(Arc::clone(&seen)))
        .unwrap();
    let server = Corecast::of(server);
    let url = server.url("/strict/{room}/{user}");
    let scenario = format!("chat {url} --rooms 3 --users 2 --stay forever -d 200ms");
    load(&scenario).refused(&["401", "no token"]);
    load(&format!("{scenario} --header X-Token:abc")).refused(&["400", "no subprotocol"]);
    let all = format!("{scenario} --header X-Token:abc --subprotocol chat.v2");
    expect_connections(&load(&all).passed(), 6);
    let wanted = ["0/0", "0/1", "1/2", "1/3", "2/4", "2/5"].map(|path| format!("/strict/{path}"));
    assert_eq!(*paths.lock().unwrap(), HashSet::from(wanted));
}

#[test]
fn a_server_that_does_not_select_the_subprotocol() {
    let server = Corecast::start();
    let url = server.url("/broadcast");
    load(&format!("connect {url} --subprotocol chat.v2"))
        .refused(&["was offered the subprotocol 'chat.v2' and selected none"]);
    load(&format!("connect {url} --subprotocol a,b")).refused(&["--subprotocol 'a,b'"]);
}
