//! The paths of the API.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::error::Problem;
use super::{Api, gate, methods, topics};

/// All paths, behind the gate that asks for a key.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/api/{method}", post(methods::serve))
        .route("/topics", get(topics::list))
        .route("/topics/{*topic}", get(topics::count).post(topics::publish))
        .method_not_allowed_fallback(async || Problem::WrongHttpMethod)
        .fallback(async || Problem::NoPath)
        .layer(from_fn_with_state(Arc::clone(&api), gate::pass))
        .with_state(api)
}
