//! # corecast
//!
//! A WebSocket server for millions of connections on one Linux host: one
//! pinned io_uring runtime per core, a listener on each, and broadcast across
//! cores over lock-free rings into core-local subscriber tables.
//!
//! The `corecast` binary serves echo, broadcast, a JSON chat and Phoenix Channels.
//! This library is the same server with handlers of your own, and nothing beside
//! them:
//!
//! ```
//! use corecast::{Config, Context, Handler, Message, PreparedFrame, Request, Server, Topic};
//!
//! /// One room per path: each message goes to everyone in the room.
//! struct Rooms;
//!
//! impl Handler for Rooms {
//!     type State = Topic;
//!     type Notice = ();
//!
//!     fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Topic {
//!         let room = Topic::new(format!("room:{}", request.param("room").unwrap_or("lobby")));
//!         ctx.subscribe(&room);
//!         room
//!     }
//!
//!     fn message(&mut self, room: &mut Topic, message: Message<'_>, ctx: &mut Context<'_>) {
//!         ctx.publish(room, PreparedFrame::new(message));
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new().listen(["127.0.0.1:0".parse()?]).shards(2);
//! let server = Server::new(config)?.route("/rooms/{room}", || Rooms)?.start()?;
//! println!("listening on ws://{}/rooms/lobby", server.local_addr());
//! # server.handle().drain();
//! server.wait();
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a message
//!
//! Inside, the modules stand in the order in which a message meets them. Those without a
//! link are private: what an embedder needs of them is at the root of the crate.
//!
//! 1. `shard::entrance` accepts on each shard, looks at where a connection comes
//!    from (`source`) and reads the opening handshake (`upgrade`), for which
//!    `router` finds the route.
//! 2. `plane` tells which sessions of the shard's `table` became readable;
//!    `session` reads them through their `link`.
//! 3. `ws` turns bytes into messages, without any I/O of its own.
//! 4. [`handler`] decides what a message means; [`access`] holds the rights of clients,
//!    and `presence` the members of each topic.
//! 5. `hub` holds the subscribers of each topic, and `mesh` carries a
//!    `publication` to the hubs of the other shards. A `publisher` gives them more,
//!    from any thread.
//! 6. `link::Outlet` sends, and keeps what a socket does not take at once.
//!
//! Around them: `api` (publishing over HTTP), [`config`] and `cli` (settings), `server`,
//! `shard`, `steer` and `runtime` (threads), [`metrics`] and `control` (observation),
//! `orders` (signals), `live` (settings that a running server takes anew), `shutdown` (how it ends),
//! [`handover`] (how another process takes over), `service` (messages to a service
//! manager), `sys` (system calls). Beside the server: the crate `corecast-host` reads
//! what a host allows and computes what a load needs, for `corecast doctor` and
//! `corecast plan`.
//!
//! # Features
//!
//! With `default-features = false` the library is the data plane: shards, codec, hub,
//! handlers, and a server that is started from a [`Config`]. Each feature adds
//! a part and the packages that it needs; the default is `api`, `cli`, `control` and
//! `tokens`, which is the whole program.
//!
//! | feature | what it adds |
//! |---|---|
//! | `api` | The HTTP API for backends, on the thread of the control plane, with keys from a file. Without it a server with [`Config::api`](config::Config::api) does not start. |
//! | `cli` | The `corecast` binary, and for it `cli` (command line, environment, configuration file, doctor and plan), `orders` (signals), and `log` and `service` below. |
//! | `control` | `control`: metrics, health and statistics over HTTP on a thread of its own, at [`Config::admin`]. Without it a server with an address there does not start. |
//! | `internals` | The inside of the library for the tools of its repository: benchmarks, load generator, fuzz targets. No promise goes with it, and it is not in this documentation. |
//! | `log` | `log`: a log on standard error that never waits for its reader. Without it events go to the [`tracing`] subscriber of your program, if it has one. |
//! | `service` | `service`, which tells a service manager such as systemd how the server is, and `handover::HandOver`, with which a new process takes the place of this one. |
//! | `testing` | `testing`, which calls a handler without a server: for the tests of your own handlers, as a dependency for development. |
//! | `tokens` | Signed tokens (JWT) that say which topics of Phoenix Channels a session may join. Without it a configuration that names a key is refused. |

#![cfg_attr(
    not(feature = "internals"),
    allow(
        dead_code,
        unused_imports,
        reason = "the codec and others have parts that only this project's tools use"
    )
)]

pub mod access;
#[cfg(feature = "api")]
pub(crate) mod api;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod config;
#[cfg(feature = "control")]
mod control;
mod cpus;
mod drain;
pub mod error;
mod failure_log;
mod fan_out_semaphore;
pub mod handler;
pub mod handover;
mod json;
mod latest;
mod listeners;
mod live;
#[cfg(feature = "log")]
pub mod log;
pub mod metrics;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod orders;
mod permits;
mod presence;
mod rate;
#[cfg(feature = "service")]
pub mod service;
mod session;
mod shard;
mod steer;
#[cfg(feature = "testing")]
pub mod testing;

// The modules that this project's own tools look into: public, though hidden, with the
// feature `internals`, and without a promise.
#[cfg(not(feature = "internals"))]
mod hub;
#[cfg(not(feature = "internals"))]
mod link;
#[cfg(not(feature = "internals"))]
mod mesh;
#[cfg(not(feature = "internals"))]
mod participant;
#[cfg(not(feature = "internals"))]
mod plane;
#[cfg(not(feature = "internals"))]
mod publication;
#[cfg(not(feature = "internals"))]
mod publisher;
#[cfg(not(feature = "internals"))]
mod router;
#[cfg(not(feature = "internals"))]
mod runtime;
#[cfg(not(feature = "internals"))]
mod server;
#[cfg(not(feature = "internals"))]
mod shutdown;
#[cfg(not(feature = "internals"))]
mod source;
#[cfg(not(feature = "internals"))]
mod sys;
#[cfg(not(feature = "internals"))]
mod table;
#[cfg(not(feature = "internals"))]
mod upgrade;
#[cfg(not(feature = "internals"))]
mod ws;

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod hub;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod link;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod mesh;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod participant;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod plane;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod publication;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod publisher;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod router;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod runtime;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod server;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod shutdown;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod source;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod sys;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod table;
mod unix_listener;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod upgrade;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod ws;

pub use config::{Config, ConfigError, Endpoint};
pub use error::StartError;
pub use handler::{
    Acceptance, Context, Ended, Handler, Published, RouteContext, RoutePolicy, SessionId,
};
pub use metrics::EndReason;
#[doc(inline)]
pub use participant::ShardId;
#[doc(inline)]
pub use plane::ResolvedDriver;
#[doc(inline)]
pub use publication::{Content, Data, Topic};
#[doc(inline)]
pub use publisher::{PublishError, Publisher, Stopped};
#[doc(inline)]
pub use server::{RunningServer, Server, ServerHandle, Vitals};
#[doc(inline)]
pub use shutdown::Phase;
#[doc(inline)]
pub use sys::{Signal, StopSignals};
#[doc(inline)]
pub use upgrade::{Method, Params, Refusal, Reply, Request};
#[doc(inline)]
pub use ws::{CloseCode, Message, PreparedFrame};

/// The examples of the README are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those of the page about the library.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryPage;
