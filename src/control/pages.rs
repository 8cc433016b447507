//! The paths of the control plane and the answers of each.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;

use super::ServerView;
use super::exposition::Exposition;
use super::format::Format;
use super::stats::Stats;
use crate::shutdown::Phase;

const INDEX: &str = "\
corecast control plane

/metrics  everything counted, per shard, for Prometheus (OpenMetrics, or text/plain if asked)
/stats    the same in JSON: totals, each shard, the process
/healthz  200 while the process lives
/readyz   200 while new connections are served, else 503 and the phase
";

/// The state that the pages share.
struct Shared {
    view: Arc<ServerView>,
    exposition: Exposition,
}

/// All pages about one server.
pub(super) fn router(view: ServerView) -> Router {
    let view = Arc::new(view);
    let shared = Arc::new(Shared {
        exposition: Exposition::new(Arc::clone(&view)),
        view,
    });
    Router::new()
        .route("/", get(INDEX))
        .route("/metrics", get(metrics))
        .route("/stats", get(stats))
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(readyz))
        .fallback(not_found)
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(ACCEPT).iter();
    let format = Format::accepted(accept.filter_map(|value| value.to_str().ok()));
    let headers = [(CONTENT_TYPE, format.content_type()), (VARY, "Accept")];
    (headers, format.write(shared.exposition.text())).into_response()
}

async fn stats(State(shared): State<Arc<Shared>>) -> Response {
    let headers = [(CACHE_CONTROL, "no-store")];
    (headers, Json(Stats::of(&shared.view))).into_response()
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let phase = shared.view.lifecycle.phase();
    let status = match phase {
        Phase::Running => StatusCode::OK,
        Phase::Starting | Phase::Unready | Phase::Draining | Phase::Stopped => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    (status, format!("{phase}\n")).into_response()
}

async fn not_found() -> Response {
    (
        StatusCode::NOT_FOUND,
        "no such page; / lists those there are\n",
    )
        .into_response()
}
