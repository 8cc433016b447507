//! A handler is tested without a server: sessions on several shards, whatever follows
//! from a call has happened when it returns, and requests are read as a server reads
//! them.
//!
//! How: `corecast::testing` with a handler that uses everything there is. It has a
//! program of its own because it needs a feature that the server has not.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use corecast::testing::{Heard, TestRequest, TestRoute, TestSession};
use corecast::{
    Acceptance, CloseCode, Context, Data, EndReason, Ended, Handler, Message, PreparedFrame,
    Refusal, Reply, Request, RouteContext, RoutePolicy, SessionId, Topic,
};

/// A room per path. The handlers on all shards know how many guests all have had.
struct Rooms {
    guests: u32,
    ends: Vec<(String, EndReason, Option<CloseCode>)>,
}

struct Guest {
    name: String,
    room: Topic,
}

impl Handler for Rooms {
    type State = Guest;
    /// One more guest.
    type Notice = ();

    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        match request.query_param("as").as_deref() {
            Some("mallory") => Err(Refusal::new(403, "Not you.")),
            _ => Ok(Acceptance::new()),
        }
    }

    fn get(&mut self, request: &Request) -> Option<Reply> {
        Some(Reply::text(format!("a room: {}", request.param("room")?)))
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Guest {
        self.guests += 1;
        ctx.tell_others::<Self>(());
        let room = ctx.topic(request.param("room").unwrap());
        ctx.subscribe(&room);
        let name = request.query_param("as").unwrap_or_default().into_owned();
        ctx.send_text("welcome");
        ctx.publish_to_others(&room, PreparedFrame::text(&format!("{name} is here")));
        if name == "nobody" {
            ctx.close(CloseCode::POLICY_VIOLATION, "have a name");
        }
        Guest { name, room }
    }

    fn message(&mut self, guest: &mut Guest, message: Message<'_>, ctx: &mut Context<'_>) {
        match message {
            Message::Text("guests") => ctx.send_text(&self.guests.to_string()),
            Message::Text("go") => ctx.close(CloseCode::NORMAL_CLOSURE, "as you wish"),
            Message::Text(text) if text.starts_with("to ") => {
                let mut words = text.split(' ').skip(1);
                let session: SessionId = words.next().unwrap().parse().unwrap();
                match words.next().unwrap() {
                    "close" => ctx.close_session(session, CloseCode::FORBIDDEN, "out"),
                    "visit" => ctx.visit(session, guest.name.clone()),
                    text => ctx.send_to(session, PreparedFrame::text(text)),
                }
            }
            Message::Text("all") => {
                ctx.subscribe(&Topic::new("all"));
            }
            // Answers leave before what the session hears of itself.
            Message::Text(text) => {
                ctx.publish(&guest.room, PreparedFrame::text(text));
                ctx.send_text("said");
            }
            Message::Binary(bytes) => ctx.send_binary(bytes),
        }
    }

    fn close(&mut self, guest: Guest, ended: Ended, ctx: &mut Context<'_>) {
        ctx.send_text("to no one");
        ctx.publish(
            &guest.room,
            PreparedFrame::text(&format!("{} is gone", guest.name)),
        );
        self.ends.push((guest.name, ended.reason, ended.code));
    }

    fn visit(&mut self, guest: &mut Guest, from: &(dyn Any + Send + Sync), ctx: &mut Context<'_>) {
        let from: &String = from.downcast_ref().unwrap();
        ctx.send_text(&format!("{}, {from} calls", guest.name));
    }

    fn notice(&mut self, (): &(), _ctx: &mut RouteContext<'_>) {
        self.guests += 1;
    }

    fn tick(&mut self, ctx: &mut RouteContext<'_>) {
        let frame = PreparedFrame::text(&format!("tick of shard {}", ctx.shard()));
        assert!(!ctx.publish(&Topic::new("all"), frame).is_full());
    }

    fn policy(&self) -> RoutePolicy {
        RoutePolicy::default().tick_interval(Duration::from_secs(1))
    }
}

fn route(shards: usize) -> TestRoute<Rooms> {
    TestRoute::new("/rooms/{room}", shards, || Rooms {
        guests: 0,
        ends: Vec::new(),
    })
}

/// Ann on the first shard, Ben on the second, in one room, with nothing left to hear.
fn ann_and_ben(route: &mut TestRoute<Rooms>) -> [TestSession; 2] {
    let ann = route.open("/rooms/kitchen?as=ann").unwrap();
    let ben = route.open_on(1, "/rooms/kitchen?as=ben").unwrap();
    assert_eq!(route.heard(ann), ["welcome", "ben is here"]);
    assert_eq!(route.heard(ben), ["welcome"]);
    [ann, ben]
}

#[test]
fn sessions_on_all_shards_hear_each_other_in_order() {
    let mut route = route(3);
    let [ann, ben] = ann_and_ben(&mut route);
    let eve = route.open_on(2, "/rooms/garage?as=eve").unwrap();
    assert_eq!(route.topics(ann), ["kitchen"]);
    // More than the rings hold at a time.
    let numbers: Vec<String> = (0..3_000).map(|number| number.to_string()).collect();
    for number in &numbers {
        route.text(ben, number);
    }
    assert_eq!(route.heard(ann), numbers[..]);
    let own = route.heard(ben);
    assert_eq!(own.len(), 6_000);
    assert_eq!(own[..4], ["said", "0", "said", "1"]);
    assert_eq!(route.heard(eve), ["welcome"]);
    let published = route.published();
    assert_eq!(published.len(), 3 + 3_000, "and three greetings");
    let (topic, frame) = &published[4];
    assert_eq!(topic, &Topic::new("kitchen"));
    assert_eq!(frame.data(), Data::Json("1"));
}

#[test]
fn notices_and_ticks_reach_every_shard() {
    let mut route = route(2);
    let [ann, ben] = ann_and_ben(&mut route);
    route.text(ann, "guests");
    route.text(ben, "guests");
    assert_eq!(
        (route.heard(ann), route.heard(ben)),
        (
            vec![Heard::Text("2".to_owned())],
            vec![Heard::Text("2".to_owned())],
        )
    );
    assert_eq!(route.handler(1).guests, 2);
    route.text(ann, "all");
    assert_eq!(route.topics(ann), ["all", "kitchen"]);
    route.tick();
    assert_eq!(route.heard(ann), ["tick of shard 0", "tick of shard 1"]);
    assert!(route.heard(ben).is_empty());
}

#[test]
fn ends_are_told_once() {
    let mut route = route(2);
    let [ann, ben] = ann_and_ben(&mut route);
    route.text(ann, "go");
    assert_eq!(
        route.closed(ann),
        Some((CloseCode::NORMAL_CLOSURE, "as you wish"))
    );
    assert!(route.topics(ann).is_empty() && route.heard(ann).is_empty());
    assert_eq!(route.heard(ben), ["ann is gone"]);
    route.leave(ben);
    route.leave(ben);
    assert_eq!(route.closed(ben), None, "its client has");
    let nobody = route.open("/rooms/attic?as=nobody").unwrap();
    assert_eq!(route.closed(nobody).unwrap().0, CloseCode::POLICY_VIOLATION);
    let lost = route.open("/rooms/attic?as=lost").unwrap();
    route.end(lost, EndReason::Vanished, None);
    let normal = Some(CloseCode::NORMAL_CLOSURE);
    let policy = Some(CloseCode::POLICY_VIOLATION);
    assert_eq!(
        route.handler(0).ends,
        [
            ("ann".to_owned(), EndReason::HandlerClosed, normal),
            ("nobody".to_owned(), EndReason::HandlerClosed, policy),
            ("lost".to_owned(), EndReason::Vanished, None),
        ]
    );
    assert_eq!(route.handler(1).ends.len(), 1);
    let late = catch_unwind(AssertUnwindSafe(|| route.text(ann, "still here")));
    assert!(late.is_err(), "a session that is over says nothing");
}

#[test]
fn a_session_is_reached_from_any_other() {
    let mut route = route(2);
    let [ann, ben] = ann_and_ben(&mut route);
    for (from, to, name) in [(ann, ben, "ann"), (ben, ann, "ben"), (ann, ann, "ann")] {
        let number = route.session_id(to);
        route.text(from, &format!("to {number} hello"));
        route.text(from, &format!("to {number} visit"));
        let heard = route.heard(to);
        assert_eq!(heard[0], "hello");
        assert!(
            format!("{heard:?}").contains(&format!("{name} calls")),
            "{heard:?}"
        );
    }
    let number = route.session_id(ben);
    route.text(ann, &format!("to {number} close"));
    assert_eq!(route.closed(ben), Some((CloseCode::FORBIDDEN, "out")));
    assert_eq!(route.handler(1).ends[0].1, EndReason::HandlerClosed);
    assert_eq!(route.heard(ann), ["ben is gone"]);
    // It is over, and so is what is said to it.
    for number in [number, SessionId::from(7)] {
        route.text(ann, &format!("to {number} hello"));
    }
    assert!(route.heard(ben).is_empty());
}

#[test]
fn answers_of_any_size_arrive() {
    let mut route = route(1);
    let ann = route.open("/rooms/kitchen?as=ann").unwrap();
    route.heard(ann);
    for size in [0, 125, 126, 65_535, 65_536, 3 << 20] {
        let bytes = vec![7; size];
        route.message(ann, Message::Binary(&bytes));
        assert!(route.heard(ann) == [Heard::Binary(bytes)], "{size}");
    }
}

#[test]
fn requests_are_read_as_a_server_reads_them() {
    let mut route = route(1);
    let refusal = route.open("/rooms/kitchen?as=mallory").unwrap_err();
    assert_eq!((refusal.status, &*refusal.reason), (403, "Not you."));
    assert_eq!(
        route.get("/rooms/caf%C3%A9"),
        Some(Reply::text("a room: café"))
    );
    let publisher = Topic::new("kitchen");
    let ann = route.open("/rooms/kitchen?as=ann").unwrap();
    route.publish(&publisher, PreparedFrame::text("dinner"));
    assert_eq!(route.heard(ann), ["welcome", "dinner"]);
    assert_eq!(
        route.published().len(),
        1,
        "the backend's are not the handler's"
    );
    for target in ["/elsewhere", "/rooms/a b", "rooms"] {
        let opened = catch_unwind(AssertUnwindSafe(|| route.open(target).is_ok()));
        assert!(opened.is_err(), "{target}");
    }
    let odd = TestRequest::new("/x").header("Host", "twice");
    assert!(catch_unwind(|| odd.build()).is_err());
}
