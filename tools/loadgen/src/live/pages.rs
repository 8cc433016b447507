//! The pages, and the paths they are served at.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::state::State;
use crate::report;

/// The version of the state that an answer shows.
const VERSION: HeaderName = HeaderName::from_static("x-version");
/// Whether the run has finished: `yes` or `no`.
const FINISHED: HeaderName = HeaderName::from_static("x-finished");

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// The pages. `/part` is for the page's own script.
pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/part", get(part))
        .route("/outcome.json", get(outcome))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(state)
}

async fn page(Shared(state): Shared<Arc<State>>) -> Response {
    state.asked();
    let title = match state.published().outcome {
        Some(outcome) => report::heading(&outcome),
        None => "a run".to_owned(),
    };
    let rendered = state.rendered();
    let behind = format!(
        "<p id=\"live\" role=\"status\" data-version=\"{}\">running</p>\n<script>\n{}</script>\n",
        rendered.version,
        include_str!("follow.js")
    );
    let html = report::document(&title, &rendered.main, &behind);
    (headers(HTML), html).into_response()
}

/// The `<main>` of the page with its version in a header, or 204 when the
/// script has seen that version.
async fn part(Shared(state): Shared<Arc<State>>, RawQuery(query): RawQuery) -> Response {
    state.asked();
    let published = state.published();
    let mut headers = headers(HTML);
    let finished = if published.finished { "yes" } else { "no" };
    headers.insert(FINISHED, HeaderValue::from_static(finished));
    if query == Some(format!("seen={}", published.version)) {
        return (StatusCode::NO_CONTENT, headers).into_response();
    }
    let rendered = state.rendered();
    headers.insert(VERSION, HeaderValue::from(rendered.version));
    (headers, rendered.main.to_string()).into_response()
}

async fn outcome(Shared(state): Shared<Arc<State>>) -> Response {
    match state.published().outcome {
        Some(outcome) => (headers(JSON), report::json(&outcome)).into_response(),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "nothing has been measured yet\n",
        )
            .into_response(),
    }
}

fn headers(content: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static(content)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ])
}
