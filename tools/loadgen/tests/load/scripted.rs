//! Scenario files are done as they are written: by each user, in time, and to
//! an end.
//!
//! How: scripts of a few seconds against a server inside this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use corecast::config::{Config, Driver, RouteSetting};
use corecast::handler::{Acceptance, Context, Ended, Handler};
use corecast::plane::resolve_driver;
use corecast::server::{RunningServer, Server};
use corecast::upgrade::{Refusal, Request};
use corecast::ws::{CloseCode, Message};
use corecast_load::cause::Cause;
use corecast_load::engine::{self, Dialing, Observer, Plan, Stop};
use corecast_load::outcome::Outcome;
use corecast_load::scenario::{Crowd, Scripted};
use corecast_load::script::Script;
use corecast_load::target::Target;

const SEED: u64 = 11;
/// Generous: a run that should end by itself and does not fails by this.
const FAR_AWAY: Duration = Duration::from_secs(8);

/// The server's view of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    path: String,
    room: String,
    kind: Option<String>,
    close_code: Option<u16>,
}

/// Remembers each session, selects the subprotocol `chat.v2` and answers nothing.
struct Witness(Arc<Mutex<Vec<Seen>>>);

impl Handler for Witness {
    type State = Seen;
    type Notice = ();

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        let offered = request.subprotocols().find(|name| *name == "chat.v2");
        Ok(Acceptance::new().subprotocol(offered))
    }

    fn open(&mut self, request: &Request, _ctx: &mut Context<'_>) -> Seen {
        Seen {
            path: request.path().to_owned(),
            room: request.param("room").unwrap_or_default().to_owned(),
            kind: request.header("x-kind").map(str::to_owned),
            close_code: None,
        }
    }

    fn message(&mut self, _seen: &mut Seen, _message: Message<'_>, _ctx: &mut Context<'_>) {}

    fn close(&mut self, mut seen: Seen, end: Ended, _ctx: &mut Context<'_>) {
        seen.close_code = end.code.map(CloseCode::as_u16);
        self.0.lock().unwrap().push(seen);
    }
}

/// A server with the handlers that come with it, and a witness.
struct Host {
    server: RunningServer,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Host {
    fn start() -> Host {
        let config = Config::new()
            .listen(["127.0.0.1:0".parse().unwrap()])
            .shards(1)
            .routes(RouteSetting::demo());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let witnessed = Arc::clone(&seen);
        let server = Server::new(config)
            .unwrap()
            .route("/witness/{room}", move || Witness(Arc::clone(&witnessed)))
            .unwrap()
            .start()
            .unwrap();
        Host { server, seen }
    }

    fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Ends the server, so that all it saw is there.
    fn stop(self) -> Vec<Seen> {
        self.server.handle().drain();
        self.server.wait();
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

struct Nobody;

impl Observer for Nobody {}

/// Runs a script with users that ask for `path` unless it says otherwise.
fn run(text: &str, path: &str, host: &Host) -> Outcome {
    let script = Script::from_toml(text, "test.toml").unwrap_or_else(|error| panic!("{error}"));
    let script = Arc::new(script);
    let crowd = Crowd::of(&script, SEED);
    let plan = Plan {
        dialing: Dialing {
            targets: vec![Target::parse(&format!("ws://{}{path}", host.address())).unwrap()],
            sources: Vec::new(),
            headers: vec![("X-Kind".into(), "everybody".into())],
            timeout: script.timeout,
            users_per_room: 0,
            close_frames: true,
        },
        connections: crowd.users,
        pace: crowd.pace,
        threads: 2,
        cores: Vec::new(),
        driver: resolve_driver(Driver::Auto).unwrap(),
        opens_first: false,
        warm_up: Duration::ZERO,
        measured: script.duration,
        patience: script.timeout,
        publishers: 0,
    };
    let make = |_| Scripted::new(Arc::clone(&script), script.timeout, SEED);
    let began = Instant::now();
    let outcome = engine::run(
        plan,
        Outcome::new("run"),
        make,
        &Stop::default(),
        &mut Nobody,
    )
    .unwrap();
    assert!(began.elapsed() < FAR_AWAY, "{:?}", began.elapsed());
    outcome
}

/// A script whose `users` arrive in a tenth of a second.
fn script(head: &str, users: u32, sessions: &str) -> String {
    format!(
        "name = 'test'\n{head}\n[[phase]]\nduration = '200ms'\narrival_rate = {}\n\
         arrival = 'even'\nmax_users = {users}\n{sessions}",
        users * 10
    )
}

/// One session with these steps.
fn session(steps: &str) -> String {
    format!("[[session]]\nstep = [{steps}]\n")
}

/// How often this was timed.
fn timed(outcome: &Outcome, name: &str) -> u64 {
    let latency = outcome.latencies.get(name);
    latency.map_or(0, |latency| latency.count())
}

fn assert_all_well(outcome: &Outcome, users: u64) {
    assert_eq!(outcome.problems(), Vec::<String>::new());
    assert_eq!(outcome.connections.asked, users);
    assert_eq!(outcome.connections.opened, users);
    assert_eq!(outcome.connections.closed, users);
}

#[test]
fn users_of_a_chat_hear_themselves_and_leave() {
    let host = Host::start();
    let steps = r#"
        { receive = { json = '/type', equals = 'connected' } },
        { repeat = 3, steps = [
            { send = '{"type":"chat_message","content":{"from":{user},"number":{sequence},"text":"hi"}}' },
            { receive = { json = '/content/text', equals = 'hi' } },
            { send = '{"type":"chat_message","content":{"from":{user},"number":{sequence},"text":"ho"}}' },
            { receive = { contains = '"from":{user},"number":{sequence},' } },
            { think = '5ms' },
        ] },
    "#;
    let outcome = run(&script("timeout = '4s'", 20, &session(steps)), "/ws", &host);
    assert_all_well(&outcome, 20);
    assert_eq!(outcome.messages.sent, 20 * 6);
    assert_eq!(timed(&outcome, "reply"), 20 * 6, "the greeting is no reply");
    assert!(!outcome.interrupted);
    host.stop();
}

/// The greeting comes right after the handshake, to the first user as well,
/// which arrives when the run has just begun.
#[test]
fn a_greeting_is_never_missed() {
    let host = Host::start();
    let steps = "{ receive = { json = '/type', equals = 'connected', timeout = '2s' } }";
    for _ in 0..5 {
        let outcome = run(&script("", 50, &session(steps)), "/ws", &host);
        assert_all_well(&outcome, 50);
    }
    host.stop();
}

#[test]
fn an_answer_that_never_comes_fails_the_session() {
    let host = Host::start();
    let steps = "{ send = 'a' }, { receive = { contains = 'b', timeout = '200ms' } }, \
                 { send = 'never' }";
    let outcome = run(&script("", 4, &session(steps)), "/echo", &host);
    assert_eq!(
        outcome.connections.lost,
        BTreeMap::from([(Cause::AnswerTimeout, 4)])
    );
    let [problem] = &outcome.problems()[..] else {
        panic!("{:?}", outcome.problems());
    };
    assert!(problem.contains("4 without an answer in time"), "{problem}");
    assert_eq!(outcome.messages.sent, 4);
    assert_eq!(outcome.messages.received, 4, "what nobody waits for counts");
    assert_eq!(timed(&outcome, "reply"), 0);
    host.stop();
}

/// As the script's documentation says.
#[test]
fn what_comes_while_a_user_thinks_is_passed_over() {
    let host = Host::start();
    let steps = "{ send = 'a' }, { think = '300ms' }, { receive = { timeout = '200ms' } }";
    let outcome = run(&script("", 2, &session(steps)), "/echo", &host);
    let lost = outcome.connections.lost.get(&Cause::AnswerTimeout);
    assert_eq!(lost, Some(&2));
    host.stop();
}

#[test]
fn a_burst_can_be_received_after_it_was_sent() {
    let host = Host::start();
    for (count, message) in [(1_000, "{sequence}"), (300, "{sequence} {random:8000}")] {
        let steps = format!(
            "{{ repeat = {count}, steps = [{{ send = '{message}' }}] }}, \
             {{ repeat = {count}, steps = [{{ receive = 'any' }}] }}"
        );
        let text = script("timeout = '5s'", 3, &session(&steps));
        let outcome = run(&text, "/echo", &host);
        assert_all_well(&outcome, 3);
        assert_eq!(outcome.messages.received, 3 * count);
    }
    host.stop();
}

#[test]
fn sessions_are_given_by_weight_and_say_who_they_are() {
    let host = Host::start();
    let sessions = "
        [[session]]\nweight = 3\npath = '/witness/many'\nheaders = { X-Kind = 'many' }
        [[session]]\npath = '/witness/few'
        [[session]]\nweight = 0\npath = '/witness/none'\n";
    let outcome = run(&script("", 400, sessions), "/ws", &host);
    assert_all_well(&outcome, 400);
    let seen = host.stop();
    let (many, few): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|seen| seen.room == "many");
    assert!(many.len().abs_diff(300) < 50, "{}", many.len());
    let kind_is = |seen: &Seen, kind: &str| seen.kind.as_deref() == Some(kind);
    assert!(many.iter().all(|seen| kind_is(seen, "many")));
    assert!(few.iter().all(|seen| seen.room == "few"));
    assert!(few.iter().all(|seen| kind_is(seen, "everybody")));
}

#[test]
fn users_are_spread_over_the_rooms_of_a_path() {
    let host = Host::start();
    let sessions = "[[session]]\nname = 'own'\npath = '/witness/own-{room}'\n\
                    [[session]]\nname = 'target'\n";
    let text = script("rooms = 4", 80, sessions);
    assert_all_well(&run(&text, "/witness/target-{room}", &host), 80);
    let mut rooms = BTreeMap::<String, u32>::new();
    for seen in host.stop() {
        let (_, room) = seen.path.rsplit_once('-').unwrap();
        *rooms.entry(room.to_owned()).or_default() += 1;
    }
    let expected = ["0", "1", "2", "3"].map(|room| (room.to_owned(), 20));
    assert_eq!(rooms, BTreeMap::from(expected));
}

#[test]
fn a_run_is_over_when_everybody_has_left() {
    let host = Host::start();
    let steps = "{ think = '100ms' }, { close = 4321 }";
    let text = script("duration = '1h'", 3, &session(steps));
    let outcome = run(&text, "/witness/x", &host);
    assert_all_well(&outcome, 3);
    assert!(outcome.seconds < 2.0, "{}", outcome.seconds);
    let codes: Vec<_> = host.stop().iter().map(|seen| seen.close_code).collect();
    assert_eq!(codes, [Some(4321); 3]);
}

#[test]
fn a_run_is_over_after_its_duration() {
    let host = Host::start();
    let steps = "{ repeat = 'forever', steps = [{ think = '10ms' }, { send = 'a' }] }";
    let text = script("duration = '700ms'", 3, &session(steps));
    let outcome = run(&text, "/witness/x", &host);
    assert_all_well(&outcome, 3);
    assert!((0.7..3.0).contains(&outcome.seconds), "{}", outcome.seconds);
    assert!(outcome.messages.sent > 60, "{}", outcome.messages.sent);
    host.stop();
}

/// Neither an endless sender nor one whose server reads slowly keeps the
/// others, or the end of the run, from their turn.
#[test]
fn who_never_waits_does_not_keep_the_others() {
    let host = Host::start();
    let sender = "{ repeat = 100000000, steps = [{ send = '{random:100}' }] }";
    let other = "{ repeat = 5, steps = [{ ping = true }, { think = '20ms' }] }";
    let sessions = format!(
        "{}{}",
        session(sender),
        session(other).replace("]]\n", "]]\nname = 'other'\n")
    );
    let text = script("duration = '1500ms'\ntimeout = '4s'", 8, &sessions);
    let outcome = run(&text, "/witness/x", &host);
    assert_eq!(outcome.problems(), Vec::<String>::new());
    assert!(outcome.messages.sent > 1_000, "{}", outcome.messages.sent);
    assert!(timed(&outcome, "heartbeat") > 0);
    host.stop();
}

#[test]
fn who_waits_for_a_time_goes_on_with_the_others() {
    let host = Host::start();
    let steps = "{ until = '600ms' }, { until = '1ms' }, { send = 'a' }, { receive = 'any' }";
    let outcome = run(&script("", 5, &session(steps)), "/echo", &host);
    assert_all_well(&outcome, 5);
    assert!((0.6..3.0).contains(&outcome.seconds), "{}", outcome.seconds);
    assert_eq!(timed(&outcome, "reply"), 5);
    host.stop();
}

#[test]
fn pings_are_timed() {
    let host = Host::start();
    let steps = "{ repeat = 4, steps = [{ ping = true }] }, { send_hex = '00ff' }, \
                 { receive = 'any' }";
    let outcome = run(&script("", 6, &session(steps)), "/echo", &host);
    assert_all_well(&outcome, 6);
    assert_eq!(timed(&outcome, "heartbeat"), 6 * 4);
    assert_eq!(timed(&outcome, "reply"), 6);
    assert_eq!(outcome.messages.sent_bytes, 6 * 2);
    host.stop();
}

#[test]
fn a_subprotocol_has_to_be_selected() {
    let host = Host::start();
    let sessions = "[[session]]\nsubprotocol = 'chat.v2'\n";
    let outcome = run(&script("", 5, sessions), "/witness/x", &host);
    assert_all_well(&outcome, 5);

    let outcome = run(&script("", 5, sessions), "/broadcast", &host);
    assert_eq!(
        outcome.connections.failed,
        BTreeMap::from([(Cause::Subprotocol, 5)])
    );
    let problems = outcome.problems().join(" ");
    assert!(problems.contains("subprotocol"), "{problems}");
    host.stop();
}
