//! Why a server could not start.

use std::io;
use std::net::SocketAddr;

use crate::config::ConfigError;
#[doc(inline)]
pub use crate::plane::uring::Unavailable as UringUnavailable;
#[doc(inline)]
pub use crate::router::RouteError;
#[doc(inline)]
pub use crate::runtime::Unavailable;
#[doc(inline)]
pub use crate::upgrade::{HeaderError, OriginError};

/// Why a server could not start: what failed, the likely cause, and what to do, in one
/// sentence. The kernel's error, where there is one, is part of the sentence, and as a
/// value the [`source`](std::error::Error::source).
///
/// ```
/// use std::error::Error;
/// use std::io;
///
/// use corecast::{Config, Server};
///
/// let elsewhere = ["192.0.2.1:8080".parse()?];
/// let error = Server::new(Config::new().listen(elsewhere).shards(1))?.start().unwrap_err();
/// assert!(error.to_string().contains("not one of this host's"));
/// let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
/// assert_eq!(cause.unwrap().kind(), io::ErrorKind::AddrNotAvailable);
/// # Ok::<(), Box<dyn Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot stand.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A route cannot stand.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// An allowed origin is not one.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// io_uring or epoll cannot be had.
    #[error(transparent)]
    Driver(#[from] Unavailable),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; {}", listen_remedy(error, *address))]
    #[non_exhaustive]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The kernel's error.
        #[source]
        error: io::Error,
    },
    /// The Unix socket cannot be listened on.
    #[error("cannot listen on unix:{path}: {error}; {}", unix_remedy(error))]
    #[non_exhaustive]
    ListenUnix {
        /// Its path.
        path: String,
        /// The kernel's error.
        #[source]
        error: io::Error,
    },
    /// Another server listens on the address, and sharing it was not asked for.
    #[error(
        "another server listens on {address} already, and each would get a part of the \
         connections; stop it ('ss -ltnp' names it), choose another port, or start this one \
         beside it with --share-port"
    )]
    #[non_exhaustive]
    Shared {
        /// The address.
        address: SocketAddr,
    },
    /// The control plane or the HTTP API cannot listen on its address, or has no thread.
    #[error("{0}")]
    Admin(#[source] io::Error),
    /// Descriptors or memory ran out.
    #[error(
        "descriptors or memory ran out at start: {0}; raise the limit with 'ulimit -n' \
         (LimitNOFILE= in a unit)"
    )]
    Descriptors(#[source] io::Error),
    /// A thread could not be started.
    #[error(
        "a thread could not be started: {0}; raise the limit on threads with 'ulimit -u' \
         (TasksMax= in a unit, pids.max of a container), or use fewer --shards"
    )]
    Thread(#[source] io::Error),
    /// The process that this one was to replace goes on itself.
    #[error("the process that this one was to replace goes on itself: {0}")]
    OldProcess(#[source] io::Error),
    /// A shard ended before it ran.
    #[error("a shard ended before it ran; its log says why")]
    ShardLost,
}

/// The remedy for a Unix socket that cannot be listened on.
fn unix_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there, or the file is no socket: 'ss -lxp' says which; stop \
             it, or choose another --listen-unix path"
        }
        io::ErrorKind::NotFound => "make its folder, as RuntimeDirectory= of a unit does",
        _ => "let this user write into its folder, or choose another --listen-unix path",
    }
}

fn listen_remedy(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program has the port: 'ss -ltnp sport = :{}' says which",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            "the address is not one of this host's: 'ip address' lists them".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher --listen port".to_owned()
        }
        _ => "choose another --listen address".to_owned(),
    }
}
