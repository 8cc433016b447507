//! The listener, and the state that all connections share.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpListener, TcpSocket};

use crate::chat::Names;
use crate::config::Style;
use crate::room::Room;
use crate::stats::Stats;
use crate::{config, connection};

/// A server that listens. [`run`](Server::run) accepts.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// The state that all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub listen: SocketAddr,
    pub style: Style,
    pub started: Instant,
    pub stats: Stats,
    pub broadcast: Room,
    pub chat: Room,
    pub names: Names,
}

impl Shared {
    /// `/stats` in JSON.
    pub fn stats_page(&self) -> String {
        self.stats.page(self.listen, self.started)
    }
}

/// The address could not be listened on.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    cause: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListenError { address, cause } = self;
        write!(f, "cannot listen on {address}: {cause}")?;
        match cause.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str("; end the other program or give --listen another port")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ListenError {}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// When the port is taken or the address is none of this host.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn bind(address: SocketAddr, style: Style) -> Result<Server, ListenError> {
        let failed = |cause| ListenError { address, cause };
        let listener = listen(address).map_err(failed)?;
        let listen = listener.local_addr().map_err(failed)?;
        let shared = Shared {
            listen,
            style,
            started: Instant::now(),
            stats: Stats::default(),
            broadcast: Room::default(),
            chat: Room::default(),
            names: Names::default(),
        };
        Ok(Server {
            listener,
            shared: Arc::new(shared),
        })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.listen
    }

    /// Accepts connections and gives each a task, until it is dropped.
    pub async fn run(self) {
        let Server { listener, shared } = self;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    shared.stats.accepted.add(1);
                    tokio::spawn(connection::serve(stream, Arc::clone(&shared)));
                }
                // A peer that has gone again is no reason to wait.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    shared.stats.accept_pauses.add(1);
                    tokio::time::sleep(config::ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Or the port stays taken for a minute after the server's end.
    socket.set_reuseaddr(true)?;
    // Linux hands it down to accepted sockets, which saves a call for each.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(config::BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn accepted_sockets_send_at_once() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert!(accepted.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_taken_port_is_a_clear_error() {
        let first = Server::bind("127.0.0.1:0".parse().unwrap(), Style::Tuned).unwrap();
        let error = Server::bind(first.local_addr(), Style::Tuned)
            .unwrap_err()
            .to_string();
        assert!(error.contains(&first.local_addr().to_string()), "{error}");
        assert!(error.contains("--listen"), "{error}");
    }
}
