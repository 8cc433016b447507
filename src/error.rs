//! Why a server could not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::config::ConfigError;
use crate::router::RouteError;
use crate::runtime::Unavailable;

/// Why a server could not start: what failed, the likely cause, and what to do.
#[derive(Debug)]
pub enum StartError {
    /// A setting cannot stand.
    Config(ConfigError),
    /// A route cannot stand.
    Route(RouteError),
    /// An allowed origin is not one.
    Origin(String),
    /// io_uring or epoll cannot be had.
    Driver(Unavailable),
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// The kernel's error.
        error: io::Error,
    },
    /// The Unix socket cannot be listened on.
    ListenUnix {
        /// Its path.
        path: String,
        /// The kernel's error.
        error: io::Error,
    },
    /// Another server listens on the address, and sharing it was not asked for.
    Shared {
        /// The address.
        address: SocketAddr,
    },
    /// The control plane cannot listen on its address.
    Admin(io::Error),
    /// Descriptors or memory ran out.
    Descriptors(io::Error),
    /// A thread could not be started.
    Thread(io::Error),
    /// The process that this one was to replace goes on itself.
    OldProcess(io::Error),
    /// A shard ended before it ran.
    ShardLost,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(error) => error.fmt(f),
            StartError::Route(error) => error.fmt(f),
            StartError::Origin(problem) => f.write_str(problem),
            StartError::Driver(unavailable) => unavailable.fmt(f),
            StartError::Listen { address, error } => {
                write!(
                    f,
                    "cannot listen on {address}: {error}; {}",
                    listen_remedy(error, *address)
                )
            }
            StartError::ListenUnix { path, error } => write!(
                f,
                "cannot listen on unix:{path}: {error}; {}",
                match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        "another program listens there, or the file is no socket: 'ss -lxp' says \
                         which; stop it, or choose another --listen-unix path"
                    }
                    io::ErrorKind::NotFound => {
                        "make its folder, as RuntimeDirectory= of a unit does"
                    }
                    _ =>
                        "let this user write into its folder, or choose another --listen-unix path",
                }
            ),
            StartError::Shared { address } => write!(
                f,
                "another server listens on {address} already, and each would get a part of the \
                 connections; stop it ('ss -ltnp' names it), choose another port, or start this \
                 one beside it with --share-port"
            ),
            StartError::Admin(error) => write!(f, "the control plane cannot start: {error}"),
            StartError::Descriptors(error) => write!(
                f,
                "descriptors or memory ran out at start: {error}; raise the limit with 'ulimit -n' \
                 (LimitNOFILE= in a unit)"
            ),
            StartError::Thread(error) => write!(
                f,
                "a thread could not be started: {error}; raise the limit on threads with 'ulimit -u' \
                 (TasksMax= in a unit, pids.max of a container), or use fewer --shards"
            ),
            StartError::OldProcess(error) => write!(
                f,
                "the process that this one was to replace goes on itself: {error}"
            ),
            StartError::ShardLost => f.write_str("a shard ended before it ran; its log says why"),
        }
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

impl std::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        StartError::Config(error)
    }
}

impl From<RouteError> for StartError {
    fn from(error: RouteError) -> Self {
        StartError::Route(error)
    }
}

impl From<Unavailable> for StartError {
    fn from(unavailable: Unavailable) -> Self {
        StartError::Driver(unavailable)
    }
}
