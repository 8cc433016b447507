//! The gate that each request passes: its key, its rate, and what is counted of it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::error::{ErrorMode, Problem};
use super::keys::{Key, Keys};
use super::metrics::Refusal;
use crate::control::Peer;
use crate::failure_log;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ERROR_MODE: HeaderName = HeaderName::from_static("x-centrifugo-error-mode");

/// The owner of a request's key.
#[derive(Clone)]
pub(super) struct Caller(pub(super) Arc<Key>);

/// Lets a request pass that has a good key, and counts how it ended.
pub(super) async fn pass(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    api.metrics.requests.add(1);
    let peer = request.extensions().get::<Peer>().copied();
    let uri = request.uri().clone();
    let (response, name) = match admit(&api.keys.get(), request.headers()) {
        Ok(key) => {
            request.extensions_mut().insert(Caller(Arc::clone(&key)));
            (next.run(request).await, Some(key))
        }
        Err((problem, key)) => {
            let response = match uri.path().starts_with("/api/") {
                true => problem.into_api_response(error_mode(request.headers())),
                false => problem.into_response(),
            };
            (response, key)
        }
    };
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        api.metrics.refuse(*refusal);
        let key = name.as_ref().map(|key| key.name());
        let status = response.status().as_u16();
        let (place, reason) = (*refusal as usize, refusal.label());
        failure_log::api_refused(
            place,
            reason,
            status,
            peer.map(|peer| peer.0),
            key,
            uri.path(),
        );
    }
    response
}

/// The owner of the request's key, if it may ask now.
fn admit(keys: &Keys, headers: &HeaderMap) -> Result<Arc<Key>, (Problem, Option<Arc<Key>>)> {
    if !keys.are_needed() && headers.contains_key(ORIGIN) {
        // Any page that the user of this host opens could publish otherwise.
        let what = "browsers may not use an API without keys, and only they send Origin";
        return Err((Problem::Forbidden(what.into()), None));
    }
    let key = keys
        .find(given(headers))
        .map_err(|problem| (problem, None))?;
    match keys.admit(&key) {
        Ok(()) => Ok(key),
        Err(problem) => Err((problem, Some(key))),
    }
}

/// The key that a request brings.
fn given(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(API_KEY) {
        return Some(key.as_bytes());
    }
    let authorization = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = authorization.split_at_checked("apikey ".len())?;
    scheme
        .eq_ignore_ascii_case(b"apikey ")
        .then(|| key.trim_ascii())
}

/// How the client wants to hear of errors in the server API.
pub(super) fn error_mode(headers: &HeaderMap) -> ErrorMode {
    let asked = headers.get(ERROR_MODE).map(|mode| mode.as_bytes());
    match asked {
        Some(mode) if mode.eq_ignore_ascii_case(b"transport") => ErrorMode::Transport,
        _ => ErrorMode::Body,
    }
}
