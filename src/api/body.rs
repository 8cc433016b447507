//! The body of a request, within bounds of size and time.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use tokio::time::timeout;

use super::error::Problem;
use super::limits::BODY_TIME;

/// Reads a body of at most so many bytes. One that says that it is larger is not read.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Problem::TooLarge(limit));
    }
    let read = timeout(BODY_TIME, to_bytes(body, limit)).await;
    let read = read.map_err(|_| Problem::TooSlow)?;
    read.map_err(|error| match is_too_large(&error) {
        true => Problem::TooLarge(limit),
        // The client went away, or its chunks are malformed.
        false => Problem::BadRequest("the body does not arrive whole".into()),
    })
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string() == "length limit exceeded" {
            return true;
        }
        cause = error.source();
    }
    false
}
