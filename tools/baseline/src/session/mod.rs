//! The work on an open connection: one task reads and writes, so that an answer
//! needs no second task to be woken.
//!
//! # Invariants worth naming
//!
//! - Collected messages are flushed once, when nothing more has arrived:
//!   several waiting messages leave in one write. In the plain style each
//!   leaves alone.
//! - While a write waits, nothing is read. The kernel's flow control reaches
//!   the sender.
//! - tungstenite answers pings and close frames by itself at the next read.

mod echo;
mod end;
mod member;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

pub use end::End;
use member::{Manners, Member};

use crate::config;
use crate::connection::discard;
use crate::room::Subscription;
use crate::server::Shared;

/// An open connection.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// The behaviour of a session, by its path. A place in a room is taken before
/// the handshake is answered, so that a connected client misses nothing.
#[derive(Debug)]
pub(crate) enum Endpoint<'s> {
    /// Returns each message.
    Echo,
    /// Sends each message to everyone.
    Broadcast(Subscription<'s>),
    /// The JSON chat of this user.
    Chat(Subscription<'s>, String),
}

/// Runs a session to its end.
pub(crate) async fn run(socket: &mut Socket, endpoint: Endpoint<'_>, shared: &Shared) -> End {
    let (subscription, manners) = match endpoint {
        Endpoint::Echo => return echo::run(socket, shared).await,
        Endpoint::Broadcast(subscription) => (subscription, Manners::Broadcast),
        Endpoint::Chat(subscription, user_id) => (subscription, Manners::Chat(user_id)),
    };
    Member::new(socket, subscription, shared)
        .run(&manners)
        .await
}

/// Sends a close frame if the peer takes it, and waits a little for its end:
/// closing over unread input would reset the connection.
pub(crate) async fn say_goodbye(socket: &mut Socket, code: CloseCode) {
    let frame = CloseFrame {
        code,
        reason: "".into(),
    };
    let goodbye = async {
        socket.close(Some(frame)).await?;
        discard(socket.get_mut()).await?;
        Ok::<_, tokio_tungstenite::tungstenite::Error>(())
    };
    // The peer may be gone, or stuck for ever.
    let _ = timeout(config::CLOSE_TIMEOUT, goodbye).await;
}
