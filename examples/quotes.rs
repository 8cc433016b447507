//! Quotes: a thread of the application that publishes a price a thousand times a
//! second, to every client that is connected.
//!
//! ```text
//! cargo run --release --example quotes             # or: … quotes 127.0.0.1:9000
//! websocat ws://127.0.0.1:8080/quotes
//! ```
//!
//! A client that cannot keep up misses quotes (`SlowConsumerPolicy::Drop`) and the
//! others notice nothing; a shard that cannot keep up makes the thread skip a quote,
//! because the next one is a millisecond away.

use std::error::Error;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use corecast::config::SlowConsumerPolicy;
use corecast::{
    Config, Context, Handler, Message, PreparedFrame, PublishError, Publisher, Request,
    RunningServer, Server, StartError, StopSignals, Topic,
};

/// Time between two quotes.
const INTERVAL: Duration = Duration::from_millis(1);

/// Each session receives all quotes. A message of a client has no meaning here.
struct Quotes(Topic);

impl Handler for Quotes {
    type State = ();
    type Notice = ();

    fn open(&mut self, _: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&self.0);
    }

    fn message(&mut self, (): &mut (), _: Message<'_>, _: &mut Context<'_>) {}
}

/// Starts the server, and the thread that publishes until the server has stopped.
///
/// # Errors
/// As [`Server::start`].
pub fn start(address: SocketAddr) -> Result<RunningServer, StartError> {
    let config = Config::new()
        .listen([address.into()])
        .slow_consumer(SlowConsumerPolicy::Drop);
    let topic = Topic::new("quotes");
    let handlers = topic.clone();
    let make = move || Quotes(handlers.clone());
    let server = Server::new(config)?.route("/quotes", make)?.start()?;
    let publisher = server.publisher();
    thread::spawn(move || publish_quotes(&publisher, &topic));
    Ok(server)
}

/// Publishes a quote at each of the planned moments.
fn publish_quotes(publisher: &Publisher, topic: &Topic) {
    let mut planned = Instant::now();
    let mut cents = 10_000_u64;
    for number in 1_u64.. {
        // A random walk of a cent, up or down.
        cents = if (number * number / 7) % 3 == 0 {
            cents + 1
        } else {
            cents.max(101) - 1
        };
        let quote = format!(
            r#"{{"number":{number},"price":{}.{:02}}}"#,
            cents / 100,
            cents % 100
        );
        match publisher.try_publish(topic, PreparedFrame::text(&quote)) {
            Ok(()) | Err(PublishError::Full) => {}
            // The server has stopped.
            Err(_) => return,
        }
        planned += INTERVAL;
        thread::sleep(planned.saturating_duration_since(Instant::now()));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = match std::env::args().nth(1) {
        Some(address) => address.parse()?,
        None => ([127, 0, 0, 1], 8080).into(),
    };
    // Before the server's threads start, so that they hold the signals back too.
    let signals = StopSignals::block()?;
    let server = start(address)?;
    println!("quotes on ws://{}/quotes", server.local_addr());

    let handle = server.handle();
    thread::spawn(move || {
        signals.wait();
        handle.drain();
        handle.hurry();
    });
    server.wait();
    Ok(())
}
