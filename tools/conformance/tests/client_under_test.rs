//! The client under test asks how many cases there are, echoes in each, and asks
//! for the report; also when it reads single bytes.
//!
//! How: against a server of the library that speaks like a fuzzing server and
//! writes down what it hears. The suites judge the client's answers to broken
//! frames.

use std::sync::mpsc::{self, Sender};

use corecast::config::Config;
use corecast::handler::{Context, Ended, Handler};
use corecast::server::Server;
use corecast::upgrade::Request;
use corecast::ws::{CloseCode, Message};
use corecast_conformance::cli::ClientOptions;
use corecast_conformance::client;

/// Plays every path of a fuzzing server.
struct Fuzzer {
    heard: Sender<String>,
}

impl Handler for Fuzzer {
    type State = String;
    type Notice = ();

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> String {
        let path = request.path().to_owned();
        match path.as_str() {
            "/getCaseCount" => {
                ctx.send_text("2");
                ctx.close(CloseCode::NORMAL_CLOSURE, "");
            }
            "/runCase" => {
                ctx.send_text("Hello, Wörld");
                ctx.send_binary(&[0; 70_000]);
            }
            _ => ctx.close(CloseCode::NORMAL_CLOSURE, ""),
        }
        let query = request.query().unwrap_or_default();
        self.heard.send(format!("{path} {query}")).unwrap();
        path
    }

    fn message(&mut self, _path: &mut String, message: Message<'_>, ctx: &mut Context<'_>) {
        let what = match message {
            Message::Text(text) => text.to_owned(),
            Message::Binary(bytes) => {
                ctx.close(CloseCode::NORMAL_CLOSURE, "");
                format!("{} bytes", bytes.len())
            }
        };
        self.heard.send(what).unwrap();
    }

    fn close(&mut self, _path: String, _ended: Ended, _ctx: &mut Context<'_>) {}
}

#[test]
fn every_case_is_echoed_and_the_report_asked_for() {
    for max_read_bytes in [64 * 1024, 1] {
        let (sender, heard) = mpsc::channel();
        let config = Config::new()
            .listen(["127.0.0.1:0".parse().unwrap()])
            .shards(1);
        let mut server = Server::new(config).unwrap();
        for path in ["/getCaseCount", "/runCase", "/updateReports"] {
            let sender = sender.clone();
            let make = move || Fuzzer {
                heard: sender.clone(),
            };
            server = server.route(path, make).unwrap();
        }
        let server = server.start().unwrap();
        let options = ClientOptions {
            server: server.local_addr(),
            agent: "me".to_owned(),
            max_read_bytes,
        };
        let mut cases = Vec::new();
        client::run(&options, |case, count| cases.push((case, count))).unwrap();
        assert_eq!(cases, [(1, 2), (2, 2)]);
        let heard: Vec<String> = heard.try_iter().collect();
        let case = |number| {
            let asked = format!("/runCase case={number}&agent=me");
            [asked, "Hello, Wörld".to_owned(), "70000 bytes".to_owned()]
        };
        let mut expected = vec!["/getCaseCount ".to_owned()];
        expected.extend(case(1));
        expected.extend(case(2));
        expected.push("/updateReports agent=me".to_owned());
        assert_eq!(heard, expected);
        server.handle().drain();
        server.wait();
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let options = ClientOptions {
        server: "127.0.0.1:1".parse().unwrap(),
        agent: "me".to_owned(),
        max_read_bytes: 1,
    };
    let error = client::run(&options, |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("/getCaseCount"), "{error}");
}
