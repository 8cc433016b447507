//! A tick that publishes more than there is room for hears of it, and what it keeps
//! for the next one arrives: nothing is lost, nothing twice, in order.
//!
//! How: a handler that has much to say at once, with little room.

use std::time::Duration;

use crate::support::client::Client;
use corecast::config::{Config, Driver};
use corecast::handler::{Context, Handler, RouteContext, RoutePolicy};
use corecast::hub::Topic;
use corecast::server::Server;
use corecast::upgrade::Request;
use corecast::ws::{Message, PreparedFrame};

const NUMBERS: u32 = 500;
const RING_CAPACITY: usize = 16;

/// Counts aloud once asked to, as far as there is room in each tick.
struct Counter {
    topic: Topic,
    next: u32,
    until: u32,
}

impl Handler for Counter {
    type State = ();
    type Notice = ();

    fn open(&mut self, _: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&self.topic);
    }

    fn message(&mut self, (): &mut (), _: Message<'_>, ctx: &mut Context<'_>) {
        self.until = NUMBERS;
        // A session's own is always accepted: it is the session that waits.
        for _ in 0..2 * RING_CAPACITY {
            ctx.publish(&Topic::new("another"), PreparedFrame::text("x"));
        }
    }

    fn policy(&self) -> RoutePolicy {
        RoutePolicy::default().tick_interval(Duration::from_millis(1))
    }

    fn tick(&mut self, ctx: &mut RouteContext<'_>) {
        while self.next < self.until {
            let number = PreparedFrame::text(&self.next.to_string());
            if ctx.publish(&self.topic, number).is_full() {
                return;
            }
            self.next += 1;
        }
    }
}

#[test]
fn what_a_tick_has_no_room_for_is_not_lost() {
    let _alone = crate::alone();
    for driver in [Driver::Auto, Driver::Epoll] {
        let config = Config::new()
            .listen(["127.0.0.1:0".parse().unwrap()])
            .shards(1)
            .driver(driver)
            .ring_capacity(RING_CAPACITY);
        let counter = || Counter {
            topic: Topic::new("numbers"),
            next: 0,
            until: 0,
        };
        let server = Server::new(config).unwrap().route("/count", counter);
        let server = server.unwrap().start().unwrap();
        let mut client = Client::connect(server.local_addr(), "/count");
        client.send_text("go");
        for number in 0..NUMBERS {
            assert_eq!(client.read_text(), number.to_string());
        }
        client.expect_silence(Duration::from_millis(50));
        let refused = server.metrics()[0].refused_publications.value();
        assert!(
            refused >= u64::from(NUMBERS) / RING_CAPACITY as u64 - 1,
            "{refused}"
        );
        server.handle().hurry();
    }
}
