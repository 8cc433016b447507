//! The answers to a request of the API that is not done.
//!
//! # Invariants worth naming
//!
//! - Each problem has one code, one status and one label in the metrics.
//! - Codes are those that Centrifugo documents for its server API, or, where that has
//!   none, for its clients.

use std::borrow::Cow;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::limits;
use super::metrics::Refusal;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The key is missing or wrong.
    Unauthorized(&'static str),
    /// The key may not do this.
    Forbidden(Cow<'static, str>),
    /// The key does more a second than it may; seconds until it may again.
    OverRate(u64),
    /// The request is not well formed, or names what cannot be.
    BadRequest(Cow<'static, str>),
    /// Its body is larger than allowed.
    TooLarge(usize),
    /// Its body did not come in time.
    TooSlow,
    /// There is no such method of the server API.
    NoMethod,
    /// There is no such path.
    NoPath,
    /// The path does not take this HTTP method.
    WrongHttpMethod,
    /// This cannot be answered here.
    NotAvailable(Cow<'static, str>),
    /// A request with the same idempotency key is under way.
    UnderWay,
    /// The shards cannot keep up.
    Full,
    /// The server ends.
    Stopped,
}

impl Problem {
    pub(super) fn code(&self) -> u16 {
        match self {
            Problem::Full | Problem::Stopped => 100,
            Problem::Unauthorized(_) => 101,
            Problem::Forbidden(_) => 103,
            Problem::NoMethod | Problem::NoPath => 104,
            Problem::BadRequest(_)
            | Problem::TooLarge(_)
            | Problem::TooSlow
            | Problem::WrongHttpMethod => 107,
            Problem::NotAvailable(_) => 108,
            Problem::OverRate(_) => 111,
            Problem::UnderWay => 113,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Problem::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Problem::Forbidden(_) => StatusCode::FORBIDDEN,
            Problem::OverRate(_) => StatusCode::TOO_MANY_REQUESTS,
            Problem::BadRequest(_) | Problem::NotAvailable(_) => StatusCode::BAD_REQUEST,
            Problem::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Problem::NoMethod | Problem::NoPath => StatusCode::NOT_FOUND,
            Problem::WrongHttpMethod => StatusCode::METHOD_NOT_ALLOWED,
            Problem::UnderWay => StatusCode::CONFLICT,
            Problem::Full | Problem::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Problem::Unauthorized(_) => Refusal::Unauthorized,
            Problem::Forbidden(_) => Refusal::Forbidden,
            Problem::OverRate(_) => Refusal::OverRate,
            Problem::BadRequest(_) => Refusal::BadRequest,
            Problem::TooLarge(_) => Refusal::TooLarge,
            Problem::TooSlow => Refusal::TooSlow,
            Problem::NoMethod | Problem::NoPath | Problem::WrongHttpMethod => Refusal::NotFound,
            Problem::NotAvailable(_) => Refusal::NotAvailable,
            Problem::UnderWay => Refusal::UnderWay,
            Problem::Full | Problem::Stopped => Refusal::Full,
        }
    }

    /// Whether the server API answers it with its status even where errors stand in the
    /// body: those of which a client's HTTP library should hear too.
    fn is_of_http(&self) -> bool {
        !matches!(
            self,
            Problem::BadRequest(_)
                | Problem::NoMethod
                | Problem::NotAvailable(_)
                | Problem::UnderWay
        )
    }

    /// A sentence for the person who reads it.
    pub(super) fn message(&self) -> Cow<'_, str> {
        match self {
            Problem::Unauthorized(what) => format!(
                "unauthorized: {what}; send one of the keys of --api-key-file as 'X-API-Key: KEY' \
                 or 'Authorization: apikey KEY'"
            )
            .into(),
            Problem::Forbidden(what) => format!("permission denied: {what}").into(),
            Problem::OverRate(seconds) => format!(
                "too many requests: this key does more a second than its max_rate allows; try \
                 again in {seconds} s"
            )
            .into(),
            Problem::BadRequest(what) => format!("bad request: {what}").into(),
            Problem::TooLarge(limit) => {
                format!("bad request: the body is larger than the {limit} bytes of --max-api-body")
                    .into()
            }
            Problem::TooSlow => format!(
                "bad request: the body did not come within {} s",
                limits::BODY_TIME.as_secs()
            )
            .into(),
            Problem::NoMethod => "method not found".into(),
            Problem::NoPath => {
                "not found: there are POST /api/{method}, GET and POST /topics/{topic}, and GET \
                 /topics"
                    .into()
            }
            Problem::WrongHttpMethod => {
                "bad request: the path does not take this HTTP method; the header Allow lists \
                 those it does"
                    .into()
            }
            Problem::NotAvailable(what) => format!("not available: {what}").into(),
            Problem::UnderWay => {
                "conflict: a request with this idempotency key is under way; try again for its \
                 result"
                    .into()
            }
            Problem::Full => {
                "internal server error: the shards cannot keep up, so this was not published; try \
                 again later"
                    .into()
            }
            Problem::Stopped => "internal server error: the server is stopping".into(),
        }
    }

    /// When a client may try again, in seconds, if that would help.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Problem::OverRate(seconds) => Some(*seconds),
            Problem::Full | Problem::Stopped => Some(limits::RETRY_AFTER),
            _ => None,
        }
    }

    /// The answer as the server API gives it, where errors stand in the body unless the
    /// client asked for `transport`.
    pub(super) fn into_api_response(self, mode: ErrorMode) -> Response {
        match mode {
            ErrorMode::Transport => {
                let body = to_json(&self);
                self.answer(self.status(), body)
            }
            ErrorMode::Body => {
                let status = match self.is_of_http() {
                    true => self.status(),
                    false => StatusCode::OK,
                };
                let body = to_json(&InBody { error: &self });
                self.answer(status, body)
            }
        }
    }

    fn answer(&self, status: StatusCode, body: String) -> Response {
        let mut response = json(status, body);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("apikey"));
        }
        response.extensions_mut().insert(self.refusal());
        response
    }
}

/// How the client wants to hear of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorMode {
    /// In the body of an answer whose status is 200.
    Body,
    /// As HTTP statuses.
    Transport,
}

/// `{"error": …}`.
#[derive(Serialize)]
struct InBody<'p> {
    error: &'p Problem,
}

/// `{"code": …, "message": …}`.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("Error", 2)?;
        error.serialize_field("code", &self.code())?;
        error.serialize_field("message", &self.message())?;
        error.end()
    }
}

/// A problem with a status of its own, and the error in the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = to_json(&InBody { error: &self });
        self.answer(self.status(), body)
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}

/// A value as JSON.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("answers have no maps with other keys than text")
}
