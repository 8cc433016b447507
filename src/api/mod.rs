//! The HTTP API: backends publish to topics and ask about them.
//!
//! It has a listener of its own and runs on the control plane's thread. Two families of
//! requests do the same: Centrifugo's server API under `/api/` ([`methods`]), for which
//! libraries exist in all languages, and the two lines a person expects, `POST` and
//! `GET` under `/topics` ([`topics`]).
//!
//! A request meets the modules in this order: `gate` (key, rate, metrics) → `body` →
//! `methods` or `topics` → `publishing` (scope, idempotency, rings) or `listing`.
//!
//! # Invariants worth naming
//!
//! - Nothing of a request but its head is read before its key is known to be good.
//! - All that a client can make the server keep is bounded: its connections, the body
//!   of a request, the topics of a list, the idempotency keys ([`limits`]).
//! - No shard wakes this thread itself; see [`relay`].
//! - A publication is on the rings of all shards or on none; where a request has
//!   several, the answer says for each whether it was taken.
//! - No byte of a request reaches the log but the name of its key, which stands in the
//!   server's own file, and its path, escaped and cut.
//!
//! To add a method of the server API: a file in `methods` and its line in
//! `methods::ALL`.

mod body;
mod error;
mod gate;
mod glob;
mod idempotency;
mod keys;
mod limits;
mod listing;
mod methods;
mod metrics;
mod publishing;
mod relay;
mod router;
mod topics;

use std::io;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use self::idempotency::Idempotency;
pub(crate) use self::keys::Keys;
pub(crate) use self::limits::{CONNECTION_AGE, CONNECTIONS};
pub use self::metrics::ApiMetrics;
pub(crate) use self::metrics::{FIELDS, Read as ReadMetric};
use self::relay::Relay;
pub(crate) use self::router::router;
use crate::control::ServerView;
use crate::latest::Latest;
use crate::publisher::Publisher;

/// The state that all requests share.
pub(crate) struct Api {
    publisher: Publisher,
    keys: Arc<Latest<Keys>>,
    max_body_bytes: usize,
    idempotency: Mutex<Idempotency>,
    metrics: Arc<ApiMetrics>,
    view: ServerView,
    relay: Relay,
    /// Permits for the lists that are being made.
    lists: Semaphore,
    /// Names this process in `info`.
    node: String,
}

impl Api {
    /// # Errors
    /// When there is no thread for it.
    pub(crate) fn new(
        publisher: Publisher,
        keys: Arc<Latest<Keys>>,
        max_body_bytes: usize,
        metrics: Arc<ApiMetrics>,
        view: ServerView,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Api {
            publisher,
            keys,
            max_body_bytes,
            idempotency: Mutex::new(Idempotency::new(limits::IDEMPOTENCY_KEYS)),
            metrics,
            view,
            relay: Relay::start()?,
            lists: Semaphore::new(limits::LISTS),
            node: methods::node_name(),
        }))
    }
}
