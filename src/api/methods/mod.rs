//! Centrifugo's server API: `POST /api/{method}` with parameters in JSON.
//!
//! # Invariants worth naming
//!
//! - A method is a file here and a line in [`ALL`]. One that is not there is answered
//!   as the server API answers an unknown one, also in a batch.
//! - Errors stand in the body of an answer with status 200, unless the client asks for
//!   `X-Centrifugo-Error-Mode: transport`; a key that is wrong or may not do this, a
//!   rate, a body that is too large and full rings have their statuses in both modes.

mod batch;
mod broadcast;
mod channels;
mod info;
mod presence_stats;
mod publish;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(super) use self::info::node_name;
use super::error::{Problem, json, to_json};
use super::gate::{Caller, error_mode};
use super::keys::Key;
use super::publishing::Deadline;
use super::{Api, body, limits};

/// Every method; `batch` calls them by their names.
static ALL: &[Method] = &[
    publish::METHOD,
    broadcast::METHOD,
    presence_stats::METHOD,
    channels::METHOD,
    info::METHOD,
];

/// A method of the server API.
struct Method {
    name: &'static str,
    /// Does it, with parameters in JSON. Returns the result in JSON.
    run: for<'a> fn(&'a Call<'a>, &'a str) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<String, Problem>> + Send + 'a>>;

/// The state that the methods called by one request share.
struct Call<'a> {
    api: &'a Api,
    key: &'a Key,
    deadline: Deadline,
    /// A part of the request found no room.
    found_no_room: AtomicBool,
}

impl Call<'_> {
    /// A method by its name.
    async fn run(&self, name: &str, params: &str) -> Result<String, Problem> {
        let method = ALL.iter().find(|method| method.name == name);
        (method.ok_or(Problem::NoMethod)?.run)(self, params).await
    }

    /// The answer for one part of a request, whose others go on.
    fn part<'r>(&self, name: &'r str, done: Result<String, Problem>) -> Part<'r> {
        match done {
            Ok(result) => Part::Done(name, raw(result)),
            Err(problem) => {
                self.api.metrics.refuse(problem.refusal());
                if problem == Problem::Full {
                    self.found_no_room.store(true, Ordering::Relaxed);
                }
                Part::Failed(problem)
            }
        }
    }
}

/// One of several results.
enum Part<'r> {
    Done(&'r str, Box<RawValue>),
    Failed(Problem),
}

impl Serialize for Part<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Part::Done(name, result) => map.serialize_entry(name, result)?,
            Part::Failed(problem) => map.serialize_entry("error", problem)?,
        }
        map.end()
    }
}

/// Fails if no part was taken because there was no room for any: then the request as a
/// whole can be made again.
fn unless_all_full(parts: &[Part<'_>]) -> Result<(), Problem> {
    let is_full = |part: &Part<'_>| matches!(part, Part::Failed(Problem::Full));
    match !parts.is_empty() && parts.iter().all(is_full) {
        true => Err(Problem::Full),
        false => Ok(()),
    }
}

/// `POST /api/{method}`.
pub(super) async fn serve(
    State(api): State<Arc<Api>>,
    Extension(Caller(key)): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mode = error_mode(&headers);
    let body = match body::read(&headers, body, api.max_body_bytes).await {
        Ok(body) => body,
        Err(problem) => return problem.into_api_response(mode),
    };
    let name = uri.path().strip_prefix("/api/").unwrap_or_default();
    let call = Call {
        api: &api,
        key: &key,
        deadline: Deadline::from_now(),
        found_no_room: AtomicBool::new(false),
    };
    let answer = answer(&call, name, &body).await;
    let mut response = match answer {
        Ok(answer) => json(StatusCode::OK, answer),
        Err(problem) => problem.into_api_response(mode),
    };
    if call.found_no_room.load(Ordering::Relaxed) {
        let seconds = HeaderValue::from(limits::RETRY_AFTER);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

async fn answer(call: &Call<'_>, name: &str, body: &[u8]) -> Result<String, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Problem::BadRequest("the body is not UTF-8".into()))?;
    // As a person types it who asks a method without parameters.
    let params = if text.trim().is_empty() { "{}" } else { text };
    if name == batch::NAME {
        return batch::run(call, params).await;
    }
    let result = call.run(name, params).await?;
    Ok(to_json(&WithResult {
        result: raw(result),
    }))
}

/// `{"result": …}`.
#[derive(Serialize)]
struct WithResult {
    result: Box<RawValue>,
}

/// The parameters of a method.
fn parse<'p, P: Deserialize<'p>>(params: &'p str) -> Result<P, Problem> {
    // A derived reader would take a list of the values as well.
    if !params.trim_start().starts_with('{') {
        let what = "the parameters are no object, as in {\"channel\": \"news\"}";
        return Err(Problem::BadRequest(what.into()));
    }
    serde_json::from_str(params).map_err(|error| Problem::BadRequest(Cow::Owned(error.to_string())))
}

/// JSON that was just written.
fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("a result is JSON")
}

/// The parameters of a method about one channel.
#[derive(Deserialize)]
struct OfChannel<'p> {
    #[serde(borrow)]
    channel: Cow<'p, str>,
}
