//! `/echo`: each message comes back as it was.

use std::future::ready;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use super::{End, Socket};
use crate::config::Style;
use crate::server::Shared;

/// Returns each message to the peer.
pub(super) async fn run(socket: &mut Socket, shared: &Shared) -> End {
    match echo(socket, shared).await {
        Ok(()) => End::PeerClosed,
        Err(end) => end,
    }
}

async fn echo(socket: &mut Socket, shared: &Shared) -> Result<(), End> {
    let Shared { stats, style, .. } = shared;
    // Messages fed to the socket and neither flushed nor counted.
    let mut unflushed = 0;
    loop {
        let message = tokio::select! {
            biased;
            message = socket.next() => message,
            // Only when nothing more has arrived.
            () = ready(()), if unflushed > 0 => {
                stats.messages_in.add(unflushed);
                stats.messages_out.add(unflushed);
                unflushed = 0;
                socket.flush().await?;
                continue;
            }
        };
        match message.transpose()? {
            Some(message @ (Message::Text(_) | Message::Binary(_))) => {
                socket.feed(message).await?;
                if *style == Style::Plain {
                    socket.flush().await?;
                }
                unflushed += 1;
            }
            Some(_) => {}
            None => return Ok(()),
        }
    }
}
