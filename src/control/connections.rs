//! Accepting and bounding the connections of the control plane and the HTTP API.
//!
//! A client that hangs, trickles or never reads costs one task until its time is over,
//! and other clients nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::HttpService;

/// Time for the request of a client that was accepted just before the control
/// plane retired.
const LAST_REQUEST: Duration = Duration::from_millis(250);

/// Bytes of a request's head, and of what is read or written at a time, for each
/// connection.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// The limits for one client, and for all together.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connections at once; over it none is accepted until one ends.
    pub connections: usize,
    /// Time for a request's head, and the longest silence between two requests.
    pub head: Duration,
    /// Age at which a connection is closed after the answer under way.
    pub age: Duration,
    /// Time for that answer.
    pub last_answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            // Longer than the usual interval between scrapes, so that they keep their connection.
            head: Duration::from_secs(75),
            age: Duration::from_secs(3_600),
            last_answer: Duration::from_secs(10),
        }
    }
}

/// The other end of the connection by which a request came.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(feature = "api"),
    expect(dead_code, reason = "the pages ask no one who they are")
)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A service whose listener belongs to the runtime.
pub(super) struct Service {
    name: &'static str,
    listener: TcpListener,
    router: Router,
    limits: Limits,
}

impl Service {
    /// To be called in the runtime.
    pub(super) fn new(service: HttpService) -> io::Result<Self> {
        let HttpService {
            name,
            listener,
            router,
            limits,
        } = service;
        Ok(Service {
            name,
            listener: TcpListener::from_std(listener)?,
            router,
            limits,
        })
    }
}

/// Serves until it is dropped, or told that it is `retired`: then it stops
/// accepting and returns, and connections end with the answer under way.
pub(super) async fn serve(service: Service, mut retired: watch::Receiver<bool>) {
    let Service {
        name,
        listener,
        router,
        limits,
    } = service;
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut paused = false;
    loop {
        let next = async {
            let place = Arc::clone(&places)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            _ = retired.wait_for(|retired| *retired) => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                if std::mem::take(&mut paused) {
                    tracing::info!("{name} accepts again");
                }
                // Small answers must not wait for the client's acknowledgement.
                let _ = stream.set_nodelay(true);
                let router = router.clone().layer(Extension(Peer(peer)));
                let connection = serve_one(stream, router, limits.clone(), retired.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(cause) => {
                // Descriptors that ran out come back with time; without a pause this would spin.
                if !std::mem::replace(&mut paused, true) {
                    tracing::warn!(%cause, "{name} cannot accept");
                }
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
    drop(listener);
    // Connections that we accepted are answered by us, unless that takes long.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _ = timeout(LAST_REQUEST * 4, places.acquire_many(all)).await;
}

async fn serve_one(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut retired: watch::Receiver<bool>,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .max_buf_size(MAX_BUFFER_BYTES)
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    // How a client's connection ends is the client's concern, hence no look at the results.
    let retires = async {
        let _ = retired.wait_for(|retired| *retired).await;
    };
    let first_wait = tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(limits.age) => Duration::ZERO,
        () = retires => LAST_REQUEST,
    };
    if timeout(first_wait, connection.as_mut()).await.is_ok() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.last_answer, connection).await;
}
