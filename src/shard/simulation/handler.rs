//! The handler of the simulation: it does what messages say, and tells the oracle.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::oracle::{Oracle, Scope};
use crate::handler::{Context, Ended, Handler, RouteContext, RoutePolicy};
use crate::hub::Topic;
use crate::upgrade::Request;
use crate::ws::{CloseCode, Message, PreparedFrame};

/// Begins the message of every panic on purpose.
const PLANNED: &str = "planned:";

/// Panics on purpose print nothing.
pub(super) fn silence_planned_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<&str>();
        if !message.is_some_and(|message| message.starts_with(PLANNED)) {
            print(panic);
        }
    }));
}

pub(super) struct SimulatedHandler {
    pub(super) shard: usize,
    pub(super) oracle: Rc<RefCell<Oracle>>,
}

/// The notice from one shard's handler to those of the others.
pub(super) struct Told {
    topic: u8,
}

/// The publisher where there is no session: the handler of the shard.
fn handler_of(shard: usize) -> u64 {
    1_000_000 + shard as u64
}

fn topic(number: u8) -> Topic {
    Topic::new(format!("topic {number}"))
}

impl SimulatedHandler {
    /// A publication, as its subscribers get it.
    fn publication(&self, publisher: u64, topic: u8, scope: Scope, bytes: usize) -> PreparedFrame {
        let number = self.oracle.borrow_mut().published(publisher, topic, scope);
        let filling = "x".repeat(bytes);
        PreparedFrame::text(&format!(
            "publication {topic} {publisher} {number} {filling}"
        ))
    }
}

impl Handler for SimulatedHandler {
    type State = u64;
    type Notice = Told;

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> u64 {
        let id = request.param("id").and_then(|id| id.parse().ok()).unwrap();
        self.oracle.borrow_mut().opened(id, self.shard);
        ctx.send_text("welcome");
        id
    }

    fn message(&mut self, id: &mut u64, message: Message<'_>, ctx: &mut Context<'_>) {
        let Message::Text(text) = message else {
            panic!("only text is sent")
        };
        self.oracle.borrow_mut().assert_open(*id);
        let words: Vec<&str> = text.split(' ').collect();
        let number = |place: usize| -> usize { words[place].parse().unwrap() };
        match words[0] {
            "echo" => {
                self.oracle.borrow_mut().answered(*id, number(1));
                ctx.send_text(text);
            }
            "join" => {
                let new = ctx.subscribe(&topic(number(1) as u8));
                self.oracle.borrow_mut().joined(*id, number(1) as u8, new);
            }
            "leave" => {
                let was = ctx.unsubscribe(&topic(number(1) as u8));
                self.oracle.borrow_mut().left(*id, number(1) as u8, was);
            }
            "publish" => {
                let (to, bytes) = (number(1) as u8, number(2));
                if words[3] == "all" {
                    let frame = self.publication(*id, to, Scope::All, bytes);
                    ctx.publish(&topic(to), frame);
                } else {
                    let frame = self.publication(*id, to, Scope::Others(*id), bytes);
                    ctx.publish_to_others(&topic(to), frame);
                }
            }
            "tell" => {
                self.oracle.borrow_mut().told(self.shard);
                ctx.tell_others::<Self>(Told {
                    topic: number(1) as u8,
                });
            }
            "close" => ctx.close(CloseCode::NORMAL_CLOSURE, "as asked"),
            "panic" => std::panic::panic_any("planned: as asked"),
            other => panic!("unknown: {other}"),
        }
    }

    fn close(&mut self, id: u64, ended: Ended, _ctx: &mut Context<'_>) {
        self.oracle.borrow_mut().closed(id, ended.reason);
    }

    fn notice(&mut self, Told { topic: to }: &Told, ctx: &mut RouteContext<'_>) {
        self.oracle.borrow_mut().heard(self.shard);
        let frame = self.publication(handler_of(self.shard), *to, Scope::Shard(self.shard), 5);
        let published = ctx.publish_here(&topic(*to), frame);
        assert!(!published.is_full(), "a notice waits until there is room");
    }

    fn tick(&mut self, ctx: &mut RouteContext<'_>) {
        let frame = self.publication(handler_of(self.shard), 0, Scope::All, 20);
        if ctx.publish(&topic(0), frame).is_full() {
            self.oracle.borrow_mut().refused();
        }
    }

    fn policy(&self) -> RoutePolicy {
        RoutePolicy::default().tick_interval(Duration::from_secs(1))
    }
}
