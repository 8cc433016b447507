//! What is done for any session from anywhere: sending, closing, and calling its handler,
//! from another thread and from the handler of another session.
//!
//! How: each session is told its own number, and says numbers of others on another shard.

use corecast::{
    CloseCode, Config, Context, Handler, Message, PreparedFrame, Publisher, Request, RunningServer,
    Server, SessionId, Topic,
};
use std::any::Any;

use crate::support::client::Client;

/// Sends each session its number. A session that says `N x` has the session N told x, and
/// one that says `N close` has it closed.
struct Desk;

/// How often a session was called upon.
type Visits = u32;

impl Handler for Desk {
    type State = Visits;
    type Notice = ();

    fn open(&mut self, _: &Request, ctx: &mut Context<'_>) -> Visits {
        ctx.send_text(&ctx.session_id().to_string());
        0
    }

    fn message(&mut self, _: &mut Visits, message: Message<'_>, ctx: &mut Context<'_>) {
        let Message::Text(text) = message else { return };
        let (session, what) = text.split_once(' ').expect("a number and a word");
        let session = session.parse().expect("a number");
        match what {
            "close" => ctx.close_session(session, CloseCode::POLICY_VIOLATION, "asked to"),
            "visit" => ctx.visit(session, "from a session"),
            "echo" => ctx.visit(session, "again and again"),
            what => ctx.send_to(session, PreparedFrame::text(what)),
        };
    }

    fn visit(
        &mut self,
        visits: &mut Visits,
        content: &(dyn Any + Send + Sync),
        ctx: &mut Context<'_>,
    ) {
        let text = *content
            .downcast_ref::<&str>()
            .expect("what was handed over");
        *visits += 1;
        ctx.send_text(&format!("{visits} {text}"));
        match text {
            "subscribe" => _ = ctx.subscribe(&Topic::new("t")),
            "again and again" => ctx.visit(ctx.session_id(), "again and again"),
            "panic" => panic!("as it was told to"),
            "close" => ctx.close(CloseCode::NORMAL_CLOSURE, "closed by a visit"),
            _ => {}
        }
    }
}

fn start() -> RunningServer {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(2);
    let server = Server::new(config).unwrap();
    server.route("/desk", || Desk).unwrap().start().unwrap()
}

/// Sessions on each of two shards, with their numbers.
fn sessions(server: &RunningServer) -> [(Client, SessionId); 2] {
    let mut found = [None, None];
    while found.iter().any(Option::is_none) {
        let mut client = Client::connect(server.local_addr(), "/desk");
        let number: u128 = client.read_text().parse().unwrap();
        found[(number >> 64) as usize] = Some((client, SessionId::from(number)));
    }
    found.map(Option::unwrap)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).expect("there is room")
}

#[test]
fn a_session_of_any_shard_is_sent_to_closed_and_visited() {
    let server = start();
    let [(mut a, a_number), (mut b, b_number)] = sessions(&server);
    for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let numbers = [a_number, b_number];
        let say = format!("{} hello {from}{to}", numbers[to]);
        [&mut a, &mut b][from].send_text(&say);
        let heard = [&mut a, &mut b][to].read_text();
        assert_eq!(heard, format!("hello {from}{to}"));
    }
    a.send_text(&format!("{b_number} visit"));
    assert_eq!(b.read_text(), "1 from a session");
    a.send_text(&format!("{b_number} close"));
    assert_eq!(b.frame().close_code(), 1008);
    // It is over, and its number names no other session.
    a.send_text(&format!("{b_number} too late"));
    a.send_text(&format!("{a_number} still here"));
    assert_eq!(a.read_text(), "still here");
    server.handle().drain();
    drop(a);
    drop(b);
    assert!(server.wait());
}

#[test]
fn any_thread_reaches_a_session() {
    let server = start();
    let publisher: Publisher = server.publisher();
    for (mut client, number) in sessions(&server) {
        wait(publisher.send_to(number, PreparedFrame::text("hello"))).unwrap();
        assert_eq!(client.read_text(), "hello");
        wait(publisher.visit(number, "subscribe")).unwrap();
        assert_eq!(client.read_text(), "1 subscribe");
        wait(publisher.publish(&Topic::new("t"), PreparedFrame::text("news"))).unwrap();
        assert_eq!(client.read_text(), "news");
        // Numbers that no session has, of a shard and of none.
        for nobody in [number.as_u128() + (1 << 32), 7 << 64, u128::MAX] {
            let nobody = SessionId::from(nobody);
            wait(publisher.send_to(nobody, PreparedFrame::text("lost"))).unwrap();
            wait(publisher.close_session(nobody, CloseCode::NORMAL_CLOSURE, "")).unwrap();
        }
        wait(publisher.close_session(number, CloseCode::POLICY_VIOLATION, "enough")).unwrap();
        assert_eq!(client.frame().close_code(), 1008);
    }
}

#[test]
fn a_visit_may_end_its_session_and_no_other() {
    let server = start();
    let publisher = server.publisher();
    let [(mut a, a_number), (mut b, b_number)] = sessions(&server);
    wait(publisher.visit(a_number, "panic")).unwrap();
    assert_eq!(a.read_text(), "1 panic");
    assert_eq!(a.frame().close_code(), 1011);
    wait(publisher.visit(b_number, "close")).unwrap();
    assert_eq!(b.read_text(), "1 close");
    assert_eq!(b.frame().close_code(), 1000);
    let [(mut c, number), _] = sessions(&server);
    wait(publisher.send_to(number, PreparedFrame::text("alive"))).unwrap();
    assert_eq!(c.read_text(), "alive");
}

/// A session that has itself visited for ever keeps no other from being served.
#[test]
fn orders_that_order_do_not_hold_up_the_shard() {
    let server = start();
    let [(mut a, a_number), (b, _)] = sessions(&server);
    let mut other = loop {
        let mut client = Client::connect(server.local_addr(), "/desk");
        let number: SessionId = client.read_text().parse().unwrap();
        if number.as_u128() >> 64 == a_number.as_u128() >> 64 {
            break (client, number);
        }
    };
    a.send_text(&format!("{a_number} echo"));
    assert_eq!(a.read_text(), "1 again and again");
    for _ in 0..10 {
        other.0.send_text(&format!("{} hello", other.1));
        assert_eq!(other.0.read_text(), "hello");
    }
    // It has not read all the while; in the end it is a slow consumer or gone.
    drop(a);
    drop(b);
}
