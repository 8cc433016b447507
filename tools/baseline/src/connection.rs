//! A connection from its first byte to its last: the opening handshake, then
//! the session of its path.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::config;
use crate::head::{self, Head, HeadError};
use crate::route::{Page, Route, SessionRoute};
use crate::server::Shared;
use crate::session::{self, Endpoint, Socket};

/// Serves a connection to its end.
pub(crate) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    // Boxed, because a task is as large as its largest wait, and this one is
    // over before the session begins.
    let Some((endpoint, tail)) = Box::pin(open(&mut stream, &shared)).await else {
        return;
    };
    let config = Some(config::web_socket(shared.style));
    let mut socket: Socket =
        WebSocketStream::from_partially_read(stream, tail, Role::Server, config).await;
    shared.stats.opened.add(1);
    let end = session::run(&mut socket, endpoint, &shared).await;
    shared.stats.ended(end);
    if let Some(code) = end.close_code() {
        Box::pin(session::say_goodbye(&mut socket, code)).await;
    }
}

/// The opening handshake. `None` when it led to no session.
async fn open<'s>(stream: &mut TcpStream, shared: &'s Shared) -> Option<(Endpoint<'s>, Vec<u8>)> {
    let head = match timeout(config::HANDSHAKE_TIMEOUT, head::read(stream)).await {
        Ok(Ok(head)) => head,
        Ok(Err(HeadError::Vanished)) => return None,
        Ok(Err(HeadError::Refused(status))) => return refuse(stream, shared, status).await,
        Err(_) => return refuse(stream, shared, "408 Request Timeout").await,
    };
    let Head { request, tail } = head;
    let route = match Route::of(request.uri().path()) {
        Some(Route::Page(page)) => return show(stream, shared, page).await,
        Some(Route::Session(route)) => route,
        None => return refuse(stream, shared, "404 Not Found").await,
    };
    let response = match head::accept(&request) {
        Ok(response) => response,
        Err(status) => return refuse(stream, shared, status).await,
    };
    let endpoint = match route {
        SessionRoute::Echo => Endpoint::Echo,
        SessionRoute::Broadcast => Endpoint::Broadcast(shared.broadcast.subscribe()),
        SessionRoute::Chat(user_id) => {
            let user_id = user_id.unwrap_or_else(|| shared.names.next());
            Endpoint::Chat(shared.chat.subscribe(), user_id)
        }
    };
    stream.write_all(&response).await.ok()?;
    Some((endpoint, tail))
}

async fn refuse<T>(stream: &mut TcpStream, shared: &Shared, status: head::Status) -> Option<T> {
    shared.stats.refused.add(1);
    let body = format!("{status}\n");
    // That the peer is gone is no fault of ours.
    let _ = send_page(stream, &head::page(status, "text/plain", &body)).await;
    None
}

async fn show<T>(stream: &mut TcpStream, shared: &Shared, page: Page) -> Option<T> {
    shared.stats.http_requests.add(1);
    let response = match page {
        Page::Health => head::page("200 OK", "text/plain", "ok\n"),
        Page::Stats => head::page("200 OK", "application/json", &shared.stats_page()),
    };
    let _ = send_page(stream, &response).await;
    None
}

/// Sends a page and ends the connection without a reset, which unread input
/// would cause and which could destroy the page.
async fn send_page(stream: &mut TcpStream, page: &[u8]) -> io::Result<()> {
    stream.write_all(page).await?;
    stream.shutdown().await?;
    let _ = timeout(config::CLOSE_TIMEOUT, discard(stream)).await;
    Ok(())
}

/// Reads to the end of the stream.
pub(crate) async fn discard(stream: &mut TcpStream) -> io::Result<()> {
    let mut scratch = [0; 1024];
    while stream.read(&mut scratch).await? > 0 {}
    Ok(())
}
