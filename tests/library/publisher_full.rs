//! A shard that stands still holds publishers outside back: they are told that there is
//! no room or wait for it, and accepted publications arrive once the shard goes on.
//!
//! How: a handler keeps its shard busy until it is told to go on, while the rings
//! have room for a few messages.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::{DEADLINE, wait_until};
use corecast::config::Driver;
use corecast::{
    Config, Context, Handler, Message, PreparedFrame, PublishError, Request, RunningServer, Server,
    Stopped, Topic,
};

const RING_CAPACITY: usize = 4;

/// Keeps its shard busy on a message, until it hears otherwise.
struct Blocker {
    topic: Topic,
    stands_still: Sender<()>,
    go_on: Arc<Mutex<Receiver<()>>>,
}

impl Handler for Blocker {
    type State = ();
    type Notice = ();

    fn open(&mut self, _: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&self.topic);
        ctx.send_text("open");
    }

    fn message(&mut self, (): &mut (), _: Message<'_>, _: &mut Context<'_>) {
        self.stands_still.send(()).expect("the test lives");
        let go_on = self.go_on.lock().unwrap_or_else(PoisonError::into_inner);
        go_on.recv_timeout(DEADLINE).expect("to hear of it");
    }
}

fn topic() -> Topic {
    Topic::new("t")
}

fn frame(number: usize) -> PreparedFrame {
    PreparedFrame::text(&number.to_string())
}

fn start(driver: Driver, stands_still: Sender<()>, go_on: Receiver<()>) -> RunningServer {
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(2)
        .driver(driver)
        .ring_capacity(RING_CAPACITY);
    let go_on = Arc::new(Mutex::new(go_on));
    let blocker = move || Blocker {
        topic: topic(),
        stands_still: stands_still.clone(),
        go_on: Arc::clone(&go_on),
    };
    let server = Server::new(config).unwrap().route("/block", blocker);
    server.unwrap().start().unwrap()
}

/// Publications from outside that found no room.
fn full(server: &RunningServer) -> u64 {
    let shards = server.metrics().iter();
    shards.map(|shard| shard.outside_full.value()).sum()
}

#[test]
fn a_shard_that_stands_still_fills_its_ring_and_loses_nothing() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let ((tell, go_on), (stands_still, hear)) = (channel(), channel());
        let server = start(driver, stands_still, go_on);
        let publisher = server.publisher();
        let mut blocker = Client::connect(server.local_addr(), "/block");
        assert_eq!(blocker.read_text(), "open");
        blocker.send_text("stand still");
        hear.recv_timeout(DEADLINE).expect("it stands still");
        for number in 0..RING_CAPACITY {
            // The other shard may not have taken the one before yet.
            wait_until("there is room", || {
                publisher.try_publish(&topic(), frame(number)).is_ok()
            });
        }
        let before = full(&server);
        let refused = publisher.try_publish(&topic(), frame(99));
        assert_eq!(refused, Err(PublishError::Full));
        assert_eq!(full(&server), before + 1, "it is counted");

        // It waits for as long as the shard stands still.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let waits = publisher.publish(&topic(), frame(RING_CAPACITY));
            let waits = tokio::time::timeout(Duration::from_millis(200), waits).await;
            assert!(waits.is_err(), "it was accepted without room");
            let waits = publisher.publish(&topic(), frame(RING_CAPACITY));
            let told = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                tell.send(()).unwrap();
            };
            let waits = tokio::time::timeout(DEADLINE, waits);
            let (waits, ()) = tokio::join!(waits, told);
            assert_eq!(waits.expect("there was room in time"), Ok(()));
        });
        // The accepted ones arrive, the refused and the abandoned do not.
        for number in 0..=RING_CAPACITY {
            assert_eq!(blocker.read_text(), number.to_string());
        }
        blocker.expect_silence(Duration::from_millis(50));
        server.handle().hurry();
    }
}

/// Publishers that wait when the server ends, and those that come later, hear of it.
#[test]
fn after_the_server_has_stopped_publishers_hear_of_it() {
    for driver in [Driver::Auto, Driver::Epoll] {
        let ((tell, go_on), (stands_still, hear)) = (channel(), channel());
        let server = start(driver, stands_still, go_on);
        let publisher = server.publisher();
        let mut blocker = Client::connect(server.local_addr(), "/block");
        assert_eq!(blocker.read_text(), "open");
        blocker.send_text("stand still");
        hear.recv_timeout(DEADLINE).expect("it stands still");
        wait_until("there is no room", || {
            publisher.try_publish(&topic(), frame(0)) == Err(PublishError::Full)
        });
        let waits = {
            let publisher = publisher.clone();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                let published = async {
                    let mut accepted = 0;
                    while publisher.publish(&topic(), frame(1)).await.is_ok() {
                        accepted += 1;
                    }
                    accepted
                };
                runtime.unwrap().block_on(published)
            })
        };
        server.handle().hurry();
        server.handle().drain();
        tell.send(()).unwrap();
        drop(blocker);
        assert!(server.wait());
        waits.join().expect("nobody waits for ever");

        let stopped = publisher.try_publish(&topic(), frame(2));
        assert_eq!(stopped, Err(PublishError::Stopped));
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            assert_eq!(publisher.publish(&topic(), frame(2)).await, Err(Stopped));
            assert_eq!(publisher.subscribers(&topic()).await, Err(Stopped));
        });
    }
}
