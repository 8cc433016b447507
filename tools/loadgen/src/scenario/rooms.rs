//! `chat` and `phoenix`: rooms full of users who talk, and come and go.
//!
//! A user in a room must receive the messages of each of the others without a
//! gap: a user's messages carry numbers that go on over all visits. A Phoenix
//! channel is such a room, with a join before and heartbeats in between.

use std::collections::HashMap;
use std::time::Duration;

use corecast::ws::{CloseCode, Message, OpCode};

use crate::cause::Cause;
use crate::dialect::{Content, Dialect, Draft, Wording};
use crate::engine::{Context, End, Net, Scenario, Shared, Timed};
use crate::order::{Arrival, Order};
use crate::stamp::Stamp;

/// The settings of the users.
#[derive(Debug, Clone)]
pub struct RoomsPlan {
    /// How messages are written. In the Phoenix dialect rooms are channels.
    pub wording: Wording,
    /// Users of a room; users with neighbouring numbers share one.
    pub users_per_room: u32,
    /// Messages per second each user sends on average; 0 for listeners.
    pub rate_per_user: f64,
    /// How long a user stays on average; `None` for ever.
    pub stay: Option<Duration>,
    /// How long a user who left stays away on average.
    pub away: Duration,
    /// How often a Phoenix client shows that it is alive.
    pub heartbeat: Duration,
}

/// One thread's part.
pub struct Rooms {
    plan: RoomsPlan,
    /// How many messages each user of this thread has sent in all its visits.
    sent: HashMap<u32, u32>,
    order: Order<(u32, u32)>,
    /// Replies of the server that have not come yet.
    outstanding: u64,
    draft: Draft,
}

/// The state of a user during a visit.
#[derive(Debug, Default)]
pub struct User {
    /// Next number by sender, of those received so far.
    heard: HashMap<u32, u32>,
    /// When the next message is planned; 0 for none.
    next_message: u64,
    /// When this user leaves; 0 for never.
    leaves: u64,
    /// When the next heartbeat is due; 0 for none.
    next_heartbeat: u64,
    /// When the join, the last push and the last heartbeat left; 0 once answered.
    joining: u64,
    pushed: u64,
    beating: u64,
    joined: bool,
}

impl Rooms {
    /// A thread's part.
    pub fn new(plan: RoomsPlan) -> Self {
        Rooms {
            plan,
            sent: HashMap::new(),
            order: Order::default(),
            outstanding: 0,
            draft: Draft::default(),
        }
    }

    fn is_phoenix(&self) -> bool {
        self.plan.wording.dialect() == Dialect::Phoenix
    }

    fn room(&self, number: u32) -> u64 {
        u64::from(number / self.plan.users_per_room.max(1))
    }

    /// Begins to talk, and decides how long to stay.
    fn settle_in(&mut self, user: &mut User, cx: &mut Context<'_>) {
        user.joined = true;
        if let Some(stay) = self.plan.stay {
            user.leaves = cx.now + cx.random.exponential(stay.as_nanos() as f64) as u64;
        }
        if self.plan.rate_per_user > 0.0 {
            user.next_message = cx.now + self.pause(cx);
        }
        self.set_alarm(user, cx);
    }

    fn pause(&self, cx: &mut Context<'_>) -> u64 {
        cx.random.exponential(1e9 / self.plan.rate_per_user) as u64
    }

    fn set_alarm(&self, user: &User, cx: &mut Context<'_>) {
        let times = [user.next_message, user.leaves, user.next_heartbeat];
        if let Some(next) = times.into_iter().filter(|time| *time > 0).min() {
            cx.wake_at(next);
        }
    }

    fn say(&mut self, user: &mut User, planned: u64, cx: &mut Context<'_>) {
        let sent = self.sent.entry(cx.number).or_default();
        let stamp = Stamp {
            planned,
            sender: cx.number,
            sequence: *sent,
        };
        *sent = sent.wrapping_add(1);
        let room = self.room(cx.number);
        let opcode = self.plan.wording.write(stamp, room, &mut self.draft);
        cx.send(opcode, self.draft.payload());
        cx.tally.deliveries.publications += 1;
        if self.is_phoenix() && user.pushed == 0 {
            user.pushed = planned.max(1);
        }
    }

    /// Sends `[join_ref, ref, topic, event, {}]`. The reference says what it is.
    fn send_event(&mut self, reference: &str, topic: &str, event: &str, cx: &mut Context<'_>) {
        let join_ref = match topic {
            "phoenix" => "null",
            _ => r#""1""#,
        };
        let text = format!(r#"[{join_ref},"{reference}","{topic}","{event}",{{}}]"#);
        cx.send(OpCode::Text, text.as_bytes());
    }

    /// A reply or another event of a Phoenix server that carries no stamp.
    fn hear_server(&mut self, user: &mut User, text: &str, cx: &mut Context<'_>) {
        let Ok((_, reference, _, event, payload)) = serde_json::from_str::<(
            Option<String>,
            Option<String>,
            String,
            String,
            serde_json::Value,
        )>(text) else {
            cx.tally.deliveries.corrupt += 1;
            return;
        };
        if event != "phx_reply" {
            return;
        }
        let refused = payload["status"] != "ok";
        let (began, timed) = match reference.as_deref() {
            Some("join") => (&mut user.joining, Timed::Join),
            Some("heartbeat") => (&mut user.beating, Timed::Heartbeat),
            _ => (&mut user.pushed, Timed::Reply),
        };
        let began = std::mem::take(began);
        if began == 0 {
            return;
        }
        if timed == Timed::Reply {
            cx.record(timed, began);
        } else {
            cx.tally.record(timed, cx.now.saturating_sub(began));
        }
        if timed == Timed::Join {
            self.outstanding -= 1;
        }
        if refused {
            *cx.tally
                .lost
                .entry(Cause::RefusedByApplication)
                .or_default() += 1;
            cx.close(CloseCode::NORMAL_CLOSURE);
        } else if timed == Timed::Join && !user.joined && cx.phase.is_running() {
            self.settle_in(user, cx);
        } else if timed == Timed::Join {
            user.joined = true;
        }
    }
}

impl Scenario for Rooms {
    type State = User;

    fn connect(&mut self, _number: u32) -> User {
        User::default()
    }

    fn opened(&mut self, user: &mut User, cx: &mut Context<'_>) {
        if self.is_phoenix() {
            let topic = format!("room:{}", self.room(cx.number));
            self.send_event("join", &topic, "phx_join", cx);
            user.joining = cx.now.max(1);
            user.next_heartbeat = cx.now + self.plan.heartbeat.as_nanos() as u64;
            cx.wake_at(user.next_heartbeat);
            self.outstanding += 1;
        }
    }

    fn start(&mut self, user: &mut User, cx: &mut Context<'_>) {
        if !self.is_phoenix() || user.joined {
            self.settle_in(user, cx);
        }
    }

    fn message(&mut self, user: &mut User, message: Message<'_>, cx: &mut Context<'_>) {
        let stamp = match (self.plan.wording.read(message), message) {
            (Content::Stamped(stamp), _) => stamp,
            (Content::Other, Message::Text(text)) if self.is_phoenix() => {
                return self.hear_server(user, text, cx);
            }
            (Content::Other, _) => return,
            (Content::Corrupt, _) => {
                cx.tally.deliveries.corrupt += 1;
                return;
            }
        };
        cx.tally.deliveries.expected += 1;
        cx.tally.deliveries.received += 1;
        // The sequence of a user begins with the first message received from it.
        let expected = user.heard.entry(stamp.sender).or_insert(stamp.sequence);
        let name = (cx.number, stamp.sender);
        match self.order.arrive(expected, stamp.sequence, name) {
            Arrival::Next | Arrival::Gap(_) => cx.record(Timed::Delivery, stamp.planned),
            Arrival::Late => cx.tally.deliveries.reordered += 1,
            Arrival::Duplicate => cx.tally.deliveries.duplicated += 1,
        }
    }

    fn woken(&mut self, user: &mut User, cx: &mut Context<'_>) {
        if cx.phase.is_running() {
            while user.next_message > 0 && user.next_message <= cx.now {
                let planned = user.next_message;
                self.say(user, planned, cx);
                user.next_message = planned + self.pause(cx).max(1);
            }
            if user.leaves > 0 && user.leaves <= cx.now {
                return cx.close(CloseCode::NORMAL_CLOSURE);
            }
        } else {
            (user.next_message, user.leaves) = (0, 0);
        }
        if user.next_heartbeat > 0 && user.next_heartbeat <= cx.now {
            self.send_event("heartbeat", "phoenix", "heartbeat", cx);
            user.beating = cx.now;
            user.next_heartbeat += self.plan.heartbeat.as_nanos() as u64;
        }
        self.set_alarm(user, cx);
    }

    fn ended(&mut self, user: &mut User, end: End, cx: &mut Context<'_>) {
        if user.joining > 0 {
            self.outstanding -= 1;
        }
        for sender in user.heard.keys() {
            cx.tally.deliveries.lost += self.order.forget(&(cx.number, *sender)).len() as u64;
        }
        if self.plan.stay.is_some() && cx.phase.is_running() && end == End::Closed {
            let away = cx.random.exponential(self.plan.away.as_nanos() as f64);
            cx.return_at(cx.now + away as u64);
        }
    }

    fn is_settled(&self, _shared: &Shared) -> bool {
        self.outstanding == 0
    }

    fn settle(&mut self, net: &mut Net<User>) {
        for key in net.open().to_vec() {
            net.visit(key, |user, cx| {
                for sender in user.heard.keys() {
                    let missing = self.order.forget(&(cx.number, *sender)).len() as u64;
                    cx.tally.deliveries.lost += missing;
                    cx.tally.deliveries.expected += missing;
                }
            });
        }
    }
}
