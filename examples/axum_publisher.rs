//! An axum application whose handlers publish to WebSocket clients of corecast.
//!
//! The application keeps its own port, runtime and routes; corecast keeps its shards.
//! Between the two there is a `Publisher`, which any thread and any executor may use.
//!
//! ```text
//! cargo run --example axum_publisher
//! websocat ws://127.0.0.1:8080/topics/news
//! curl --data 'it rains' http://127.0.0.1:3000/topics/news
//! curl http://127.0.0.1:3000/topics/news           # how many sessions are in the topic
//! ```

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, RETRY_AFTER};
use axum::routing::post;
use corecast::{
    Config, Context, Handler, Message, PreparedFrame, PublishError, Publisher, Request,
    RunningServer, Server, StartError, Topic,
};
use tokio::net::TcpListener;

/// A session receives what is published to the topic that its path names. A message of
/// a client has no meaning here.
struct Topics;

impl Handler for Topics {
    type State = ();
    type Notice = ();

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&topic(request.param("topic").unwrap_or_default()));
    }

    fn message(&mut self, (): &mut (), _: Message<'_>, _: &mut Context<'_>) {}
}

/// The prefix keeps these topics apart from those of other handlers.
fn topic(name: &str) -> Topic {
    Topic::new(format!("app:{name}"))
}

/// Starts the WebSocket server.
///
/// # Errors
/// As [`Server::start`].
pub fn websockets(address: SocketAddr) -> Result<RunningServer, StartError> {
    let config = Config::new().listen([address.into()]);
    Server::new(config)?
        .route("/topics/{topic}", || Topics)?
        .start()
}

/// The application, whose handlers publish.
pub fn application(publisher: Publisher) -> Router {
    Router::new()
        .route("/topics/{topic}", post(publish).get(count))
        .with_state(publisher)
}

/// 202 once the body is on its way to all shards; 503 while a shard cannot keep up.
async fn publish(
    State(publisher): State<Publisher>,
    Path(name): Path<String>,
    body: String,
) -> Result<StatusCode, Refusal> {
    let published = publisher.try_publish(&topic(&name), PreparedFrame::text(&body));
    published.map_err(refusal)?;
    Ok(StatusCode::ACCEPTED)
}

/// A response that says when to try again, and why.
type Refusal = (StatusCode, [(HeaderName, &'static str); 1], String);

fn refusal(error: PublishError) -> Refusal {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(RETRY_AFTER, "1")],
        format!("{error}\n"),
    )
}

/// How many sessions are in a topic, on all shards.
async fn count(State(publisher): State<Publisher>, Path(name): Path<String>) -> String {
    match publisher.subscribers(&topic(&name)).await {
        Ok(sessions) => format!("{sessions}\n"),
        Err(error) => format!("{error}\n"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = websockets(([127, 0, 0, 1], 8080).into())?;
    println!("subscribe on ws://{}/topics/TOPIC", server.local_addr());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("publish on http://{}/topics/TOPIC", listener.local_addr()?);
    axum::serve(listener, application(server.publisher())).await?;
    Ok(())
}
