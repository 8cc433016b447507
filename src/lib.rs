//! # corecast
//!
//! A WebSocket server for millions of connections on one Linux host: one
//! pinned io_uring runtime per core, a listener on each, and broadcast across
//! cores over lock-free rings into core-local subscriber tables.
//!
//! The `corecast` binary serves echo, broadcast and a JSON chat. This library
//! is the same server with handlers of your own:
//!
//! ```
//! use corecast::config::Config;
//! use corecast::handler::{Context, Handler};
//! use corecast::hub::Topic;
//! use corecast::server::Server;
//! use corecast::upgrade::Request;
//! use corecast::ws::{Message, PreparedFrame};
//!
//! /// One room per path: what anybody says, all in the room hear.
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
//! 4. [`handler`] decides what a message means.
//! 5. [`hub`] holds who is in which topic, and [`mesh`] carries a [`publication`] to
//!    the hubs of the other shards. A [`publisher`] gives them more, from any thread.
//! 6. [`link::Outlet`] sends, and keeps what a socket does not take at once.
//!
//! Around them: [`config`] and [`cli`] (what may be set), [`cpus`] (lists of cores), [`server`], `shard`,
//! `steer` and [`runtime`] (threads), [`metrics`] and [`control`] (what can be seen),
//! [`orders`] (what signals ask for), `live` (settings that a running server takes anew), [`shutdown`] (how it ends), [`handover`] (how another process takes over),
//! [`service`] (what a service manager is told), [`sys`] (system calls). Beside the
//! server: [`host`] reads what a host allows, [`budget`] is what a connection costs,
//! and `doctor` and `plan` put the two together.

pub mod budget;
pub mod cli;
pub mod config;
#[cfg(feature = "control")]
pub mod control;
pub mod cpus;
#[cfg(feature = "doctor")]
pub mod doctor;
pub mod error;
mod fan_out_semaphore;
pub mod handler;
pub mod handover;
pub mod host;
pub mod hub;
mod latest;
pub mod link;
mod listeners;
mod live;
pub mod log;
pub mod mesh;
pub mod metrics;
pub mod orders;
pub mod participant;
mod permits;
#[cfg(feature = "doctor")]
pub mod plan;
pub mod plane;
pub mod publication;
pub mod publisher;
mod rate;
pub mod router;
pub mod runtime;
pub mod server;
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

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
