//! The conventional WebSocket server that corecast is measured against.
//!
//! It is what a competent engineer writes today: tokio's multi-threaded runtime,
//! tokio-tungstenite, a task per connection, and rooms as a shared registry with
//! a bounded queue per subscriber. It serves the same paths with the same
//! messages as corecast: `/echo`, `/broadcast`, `/ws`, `/ws/{user_id}`, and over
//! plain HTTP on the same port `/healthz` and `/stats`.
//!
//! A weak baseline proves nothing, so it is tuned where its design allows it.
//! Its design stays as it is: no thread per core, no codec of its own, no frame
//! encoded once for many.
//!
//! # The way of a message
//!
//! [`server`] accepts and spawns a task → [`head`] reads the request → [`route`]
//! names the endpoint of its path → [`session`] reads, answers and flushes →
//! [`room`] hands publications to every queue → the subscribers' tasks write.
//! [`chat`] is the JSON of `/ws`, [`stats`] and [`process`] are `/stats`, and
//! [`config`] holds every limit.
//!
//! # Where it is tuned on purpose
//!
//! - **Read buffers of 4 KiB.** tungstenite allocates its read buffer for every
//!   connection and clears it before each read; its default is 128 KiB.
//! - **One flush per turn.** Waiting messages are fed first and leave in one write.
//! - **One task per connection.** It reads, publishes and drains its own queue.
//! - **Messages are shared.** All queues hold the same `Bytes`. tungstenite still
//!   copies each into the write buffer of each connection; that is its design.
//! - **Queues that are full mean two things**, see [`room`]: a subscriber whose
//!   socket takes nothing is cut; when the server is behind, publishers wait.
//! - mimalloc, `TCP_NODELAY` set once on the listener, a backlog of 65,535, the
//!   limit of open files raised to what is allowed, tungstenite's log statements
//!   compiled out, counters added to once per turn, the handshake boxed so that
//!   an idle task does not carry its size.
//!
//! `--style plain` leaves out the first two: the library as its own examples use
//! it, with its default buffers and a flush for each message. That is what one
//! meets in the field, so it is measured beside the tuned one.
//!
//! # What was tried
//!
//! `corecast-bench`, server on one core and load on the other, contestants
//! interleaved, one second a round. Other work shared both cores, so rates were
//! worthless; below is the server's CPU time for each message or delivery in
//! microseconds, least to most of the rounds. Only ranges that do not overlap
//! say something.
//!
//! | echo | 20 B, 10,000 connections, 3 rounds | 16 KiB, 100 connections, 2 rounds |
//! |---|---|---|
//! | read buffer 2 KiB | 11.8–21.2 | 25.9–33.6 |
//! | read buffer 4 KiB (taken) | 13.8–18.0 | 25.2–31.8 |
//! | read buffer 8 KiB | 10.8–18.3 | 25.6–28.4 |
//! | read buffer 16 KiB | 17.1–19.7 | 28.5–32.0 |
//! | read buffer 128 KiB, the default | 30.2–37.7 | 26.6–32.3 |
//! | 4 KiB, one hand-written `poll_fn` instead of `select!` | 12.7–18.3 | 29.1–32.3 |
//! | 4 KiB, runtime with `event_interval` and `global_queue_interval` 200 | 14.1–15.6 | 29.5–34.1 |
//! | fastest floor of the kernel | 9.0–11.5 | 8.4–10.5 |
//!
//! | broadcast, 20 B, 3 rounds | 18,000 subscribers | 10,000 subscribers, 16 outstanding |
//! |---|---|---|
//! | one task with `select!` (taken) | 12.6–16.5 | 0.99–1.45 |
//! | reader and writer task over a split socket | 11.7–18.0 | 0.91–1.28 |
//! | `tokio::sync::broadcast` instead of a queue each | – | 1.04–1.10 |
//! | a read's messages handed over subscriber by subscriber | – | 1.05–1.24 |
//! | floor: a loop of sends | 10.3–12.4 | 7.9–14.7 |
//!
//! So only the default read buffer is ruled out by CPU time, and by memory: in
//! one run at 10,000 connections the process peaked at 1,287 MB with it and at
//! 73 MB with 4 KiB. Large messages cost the same with every buffer; their cost
//! is the copying. Among the rest the simplest was taken: one task, because a
//! second only adds an allocation, and a queue each, because it shows whose
//! consumer is slow. An idle session takes 6.3 KB, of which 4 KiB are the read
//! buffer.
//!
//! Not measured: other registries. It is a `RwLock` around a `Slab`, so that
//! publishers on several workers do not exclude each other and a fan-out walks
//! through an array; with one worker any lock is free.
//!
//! # What is missing
//!
//! It has no idle timeout and sends no pings of its own, and when it ends it
//! closes its connections without a close frame.

pub mod chat;
pub mod cli;
pub mod config;
mod connection;
pub mod head;
pub mod process;
pub mod room;
pub mod route;
pub mod server;
pub mod session;
pub mod stats;

pub use server::Server;
