//! A shard that stands still fills its ring: a publication is refused with 503 then, a
//! batch says which of its entries were taken, and just those arrive later.
//!
//! How: a handler keeps its shard busy until it is told to go on, while the rings have
//! room for four messages.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::{json as body_of, problem, request};
use crate::support::client::Client;
use crate::support::http::{Response, exchange};
use crate::support::{DEADLINE, wait_until};
use corecast::config::{Config, Driver};
use corecast::handler::{Context, Handler};
use corecast::hub::Topic;
use corecast::server::{RunningServer, Server};
use corecast::upgrade::Request;
use corecast::ws::Message;

const RING_CAPACITY: usize = 4;

/// Keeps its shard busy on a message, until it hears otherwise.
struct Blocker {
    stands_still: Sender<()>,
    go_on: Arc<Mutex<Receiver<()>>>,
}

impl Handler for Blocker {
    type State = ();
    type Notice = ();

    fn open(&mut self, _: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&Topic::new("t"));
        ctx.send_text("open");
    }

    fn message(&mut self, (): &mut (), _: Message<'_>, _: &mut Context<'_>) {
        self.stands_still.send(()).expect("the test lives");
        let go_on = self.go_on.lock().unwrap_or_else(PoisonError::into_inner);
        go_on.recv_timeout(DEADLINE).expect("to hear of it");
    }
}

fn start(driver: Driver, stands_still: Sender<()>, go_on: Receiver<()>) -> RunningServer {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .api("127.0.0.1:0".parse().unwrap())
        .api_insecure(true)
        .shards(2)
        .driver(driver)
        .ring_capacity(RING_CAPACITY);
    let go_on = Arc::new(Mutex::new(go_on));
    let blocker = move || Blocker {
        stands_still: stands_still.clone(),
        go_on: Arc::clone(&go_on),
    };
    let server = Server::new(config).unwrap().route("/block", blocker);
    server.unwrap().start().unwrap()
}

fn ask(server: &RunningServer, method: &str, target: &str, body: &Value) -> Response {
    let request = request(method, target, &[], body.to_string().as_bytes(), true);
    exchange(server.api_addr().unwrap(), &request)
}

fn publish(data: usize) -> Value {
    json!({"channel": "t", "data": data})
}

/// How many publications a batch of so many had taken; the others say why not.
fn taken(response: &Response) -> usize {
    let body = body_of(response);
    let replies = body["replies"].as_array().unwrap();
    let taken = replies
        .iter()
        .take_while(|reply| reply.get("publish").is_some());
    let taken = taken.count();
    for refused in &replies[taken..] {
        assert_eq!(refused["error"]["code"], 100, "{body}");
    }
    taken
}

#[test]
fn what_finds_no_room_is_refused_and_the_rest_arrives() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let ((tell, go_on), (stands_still, hear)) = (channel(), channel());
        let server = start(driver, stands_still, go_on);
        let mut blocker = Client::connect(server.local_addr(), "/block");
        assert_eq!(blocker.read_text(), "open");
        blocker.send_text("stand still");
        hear.recv_timeout(DEADLINE).expect("it stands still");

        // More than there is room for, in one request.
        let commands: Vec<_> = (0..7)
            .map(|data| json!({"publish": publish(data)}))
            .collect();
        let response = ask(
            &server,
            "POST",
            "/api/batch",
            &json!({"commands": commands}),
        );
        assert_eq!(response.status, 200);
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(taken(&response), RING_CAPACITY);

        // Nothing at all has room.
        let is_refused = |response: Response| {
            assert_eq!(response.status, 503, "{}", response.text());
            assert_eq!(response.header("retry-after"), Some("1"));
            let (code, message) = problem(&response);
            assert_eq!(code, 100);
            assert!(message.contains("cannot keep up"), "{message}");
        };
        is_refused(ask(&server, "POST", "/topics/t", &json!(99)));
        is_refused(ask(&server, "POST", "/api/publish", &publish(99)));
        let broadcast = json!({"channels": ["t", "u"], "data": 99});
        is_refused(ask(&server, "POST", "/api/broadcast", &broadcast));
        is_refused(ask(
            &server,
            "POST",
            "/api/batch",
            &json!({"commands": commands}),
        ));
        is_refused(ask(&server, "GET", "/topics/t", &Value::Null));

        // A request that was refused leaves its idempotency key free.
        let mut once = publish(RING_CAPACITY);
        once["idempotency_key"] = json!("once");
        is_refused(ask(&server, "POST", "/api/publish", &once));
        tell.send(()).unwrap();
        wait_until("there is room", || {
            ask(&server, "POST", "/api/publish", &once).status == 200
        });
        ask(&server, "POST", "/api/publish", &once);
        for data in 0..=RING_CAPACITY {
            assert_eq!(blocker.read_text(), data.to_string());
        }
        blocker.expect_silence(Duration::from_millis(50));
        server.handle().hurry();
    }
}

#[test]
fn one_that_waits_for_a_moment_is_taken() {
    let ((tell, go_on), (stands_still, hear)) = (channel(), channel());
    let server = start(Driver::Auto, stands_still, go_on);
    let mut blocker = Client::connect(server.local_addr(), "/block");
    assert_eq!(blocker.read_text(), "open");
    blocker.send_text("stand still");
    hear.recv_timeout(DEADLINE).expect("it stands still");
    let goes_on = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        tell.send(()).unwrap();
    });
    let commands: Vec<_> = (0..50)
        .map(|data| json!({"publish": publish(data)}))
        .collect();
    let response = ask(
        &server,
        "POST",
        "/api/batch",
        &json!({"commands": commands}),
    );
    assert_eq!(taken(&response), 50, "{}", response.text());
    for data in 0..50 {
        assert_eq!(blocker.read_text(), data.to_string());
    }
    goes_on.join().unwrap();
    server.handle().hurry();
}

/// Two requests with one idempotency key at the same time, of which the first waits for
/// room; and a client that goes away while it waits.
#[test]
fn a_key_under_way_is_a_conflict_until_its_client_has_gone() {
    let ((tell, go_on), (stands_still, hear)) = (channel(), channel());
    let server = start(Driver::Auto, stands_still, go_on);
    let mut blocker = Client::connect(server.local_addr(), "/block");
    assert_eq!(blocker.read_text(), "open");
    blocker.send_text("stand still");
    hear.recv_timeout(DEADLINE).expect("it stands still");
    let filler = |data: usize| json!({"publish": publish(data)});
    let commands: Vec<_> = (0..=RING_CAPACITY).map(filler).collect();
    ask(
        &server,
        "POST",
        "/api/batch",
        &json!({"commands": commands}),
    );

    let headers = [("Idempotency-Key", "k")];
    let request = request("POST", "/topics/t", &headers, b"99", true);
    let address = server.api_addr().unwrap();
    let conflict = || {
        // Each request waits for half a second and is refused then.
        let mut first = TcpStream::connect(address).unwrap();
        first.write_all(&request).unwrap();
        let second = exchange(address, &request);
        (first, second)
    };
    let mut first = None;
    wait_until("two meet", || {
        let (stream, second) = conflict();
        first = Some(stream);
        second.status == 409 && problem(&second).0 == 113
    });
    drop(first);
    wait_until("the key is free again", || {
        exchange(address, &request).status == 503
    });
    tell.send(()).unwrap();
    wait_until("there is room", || {
        exchange(address, &request).status == 202
    });
    for data in 0..RING_CAPACITY {
        assert_eq!(blocker.read_text(), data.to_string());
    }
    assert_eq!(blocker.read_text(), "99");
    blocker.expect_silence(Duration::from_millis(50));
    server.handle().hurry();
}
