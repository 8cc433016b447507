//! Accepting and bounding the control plane's connections.
//!
//! A client that hangs, trickles or never reads costs one task until its time
//! is over, and everybody else nothing.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// What one client, and all together, may take.
#[derive(Debug, Clone)]
pub(super) struct Limits {
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

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, router: Router, limits: Limits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut paused = false;
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                if std::mem::take(&mut paused) {
                    tracing::info!("the control plane accepts again");
                }
                let connection = serve_one(stream, router.clone(), limits.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(cause) => {
                // Descriptors that ran out come back with time; without a pause this would spin.
                if !std::mem::replace(&mut paused, true) {
                    tracing::warn!(%cause, "the control plane cannot accept");
                }
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve_one(stream: TcpStream, router: Router, limits: Limits) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    // How a client's connection ends is the client's concern, hence no look at the results.
    if timeout(limits.age, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(limits.last_answer, connection).await;
    }
}
