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
//! use corecast::config::Config;
//! use corecast::handler::{Context, Handler};
//! use corecast::hub::Topic;
//! use corecast::server::Server;
//! use corecast::upgrade::Request;
//! use corecast::ws::{Message, PreparedFrame};
//!
//! /// One room per path: each message goes to everyone in the room.
//! struct Rooms;
//!
//! impl Handler for Rooms {
//!     type State = Topic;
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
//! let config =
//!     Config { listen: vec!["127.0.0.1:0".parse()?], admin: None, shards: 2, ..Config::default() };
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
//! The modules stand in the order in which a message meets them:
//!
//! 1. `shard::entrance` accepts on each shard, looks at where a connection comes
//!    from ([`source`]) and reads the opening handshake ([`upgrade`]), for which
//!    [`router`] finds the route.
//! 2. [`plane`] tells which sessions of the shard's [`table`] became readable;
//!    `session` reads them through their [`link`].
//! 3. [`ws`] turns bytes into messages, without any I/O of its own.
//! 4. [`handler`] decides what a message means; [`access`] holds the rights of clients,
//!    and `presence` the members of each topic.
//! 5. [`hub`] holds the subscribers of each topic, and [`mesh`] carries a
//!    [`publication`] to the hubs of the other shards. A [`publisher`] gives them more,
//!    from any thread.
//! 6. [`link::Outlet`] sends, and keeps what a socket does not take at once.
//!
//! Around them: `api` (publishing over HTTP), [`config`] and `cli` (settings), [`server`], `shard`, `steer` and
//! [`runtime`] (threads), [`metrics`] and `control` (observation), `orders` (signals),
//! `live` (settings that a running server takes anew), [`shutdown`] (how it ends),
//! [`handover`] (how another process takes over), `service` (messages to a service
//! manager), [`sys`] (system calls). Beside the server: the crate `corecast-host` reads
//! what a host allows and computes what a load needs, for `corecast doctor` and
//! `corecast plan`.
//!
//! # Features
//!
//! With `default-features = false` the library is the data plane: shards, codec, hub,
//! handlers, and a server that is started from a [`config::Config`]. Each feature adds
//! a part and the packages that it needs; the default is `api`, `cli`, `control` and
//! `tokens`, which is the whole program.
//!
//! | feature | what it adds |
//! |---|---|
//! | `api` | The HTTP API for backends, on the thread of the control plane, with keys from a file. Without it a server with [`Config::api`](config::Config::api) does not start. |
//! | `cli` | The `corecast` binary, and for it `cli` (command line, environment, configuration file, doctor and plan), `orders` (signals), and `log` and `service` below. |
//! | `control` | `control`: metrics, health and statistics over HTTP on a thread of its own. Without it [`Config::admin`](config::Config::admin) is `None` by default, and a server with an address there does not start. |
//! | `log` | `log`: a log on standard error that never waits for its reader. Without it events go to the [`tracing`] subscriber of your program, if it has one. |
//! | `service` | `service`, which tells a service manager such as systemd how the server is, and `handover::HandOver`, with which a new process takes the place of this one. |
//! | `tokens` | Signed tokens (JWT) that say which topics of Phoenix Channels a session may join. Without it a configuration that names a key is refused. |

pub mod access;
#[cfg(feature = "api")]
pub(crate) mod api;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
#[cfg(feature = "control")]
pub mod control;
mod cpus;
pub mod error;
mod failure_log;
mod fan_out_semaphore;
pub mod handler;
pub mod handover;
pub mod hub;
mod json;
mod latest;
pub mod link;
mod listeners;
mod live;
#[cfg(feature = "log")]
pub mod log;
pub mod mesh;
pub mod metrics;
#[cfg(feature = "cli")]
pub mod orders;
pub mod participant;
mod permits;
pub mod plane;
mod presence;
pub mod publication;
pub mod publisher;
mod rate;
pub mod router;
pub mod runtime;
pub mod server;
#[cfg(feature = "service")]
pub mod service;
mod session;
mod shard;
pub mod shutdown;
pub mod source;
mod steer;
pub mod sys;
pub mod table;
pub mod upgrade;
pub mod ws;

/// The examples of the README are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those of the page about the library.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryPage;
