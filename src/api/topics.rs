//! `/topics`: publishing with the body as the data, and asking who listens.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::error::{Problem, json, to_json};
use super::gate::Caller;
use super::listing::Cursor;
use super::publishing::{Deadline, Taken, check_event, check_key, check_topic};
use super::{Api, body, limits};
use crate::publication::{Content, Data, Form};
use crate::upgrade::{decode_component, decode_path};
use crate::ws::PreparedFrame;

const EVENT: HeaderName = HeaderName::from_static("x-event");
const KEY: HeaderName = HeaderName::from_static("x-key");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

#[derive(Serialize)]
struct Published<'a> {
    topic: &'a str,
}

#[derive(Serialize)]
struct Counted<'a> {
    topic: &'a str,
    subscribers: u64,
}

#[derive(Serialize)]
struct Page<'a> {
    topics: Vec<Counted<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `POST /topics/{topic}`: publishes the body.
pub(super) async fn publish(
    State(api): State<Arc<Api>>,
    Extension(Caller(key)): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let topic = topic_of(&uri)?;
    // Before a body is read that is of no use.
    key.may_publish_to(&topic)?;
    let event = text_of(&headers, &EVENT)?;
    let newest_of = text_of(&headers, &KEY)?;
    let idempotency_key = text_of(&headers, &IDEMPOTENCY_KEY)?;
    let body = body::read(&headers, body, api.max_body_bytes).await?;
    let mut content = content_of(headers.get(CONTENT_TYPE), &body)?;
    if let Some(event) = event {
        check_event(event)?;
        content = content.with_event(event);
    }
    if let Some(newest_of) = newest_of {
        check_key(newest_of)?;
        content = content.with_key(newest_of);
    }
    let taken = api
        .publish(&key, &topic, content, idempotency_key, Deadline::from_now())
        .await?;
    let answer = to_json(&Published { topic: &topic });
    let mut response = json(StatusCode::ACCEPTED, answer);
    if taken == Taken::Before {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `GET /topics/{topic}`: how many sessions are subscribed.
pub(super) async fn count(
    State(api): State<Arc<Api>>,
    Extension(Caller(key)): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Problem> {
    key.may_read()?;
    let topic = topic_of(&uri)?;
    let subscribers = api.subscribers(&topic).await?;
    let answer = Counted {
        topic: &topic,
        subscribers,
    };
    Ok(json(StatusCode::OK, to_json(&answer)))
}

/// `GET /topics?prefix=…&limit=…&after=…`: the topics that have subscribers.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(Caller(key)): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Problem> {
    key.may_read()?;
    let Query {
        prefix,
        limit,
        from,
    } = Query::of(uri.query().unwrap_or_default())?;
    let found = api.list(&prefix, |_| true, limit, from).await?;
    let topics = found.topics.iter().map(|(topic, subscribers)| Counted {
        topic: topic.as_str(),
        subscribers: *subscribers,
    });
    let page = Page {
        topics: topics.collect(),
        next: found.next.map(|next| next.to_string()),
    };
    Ok(json(StatusCode::OK, to_json(&page)))
}

/// The part of the list that was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    prefix: String,
    limit: usize,
    from: Cursor,
}

impl Query {
    fn of(query: &str) -> Result<Query, Problem> {
        let bad = |what: String| Problem::BadRequest(what.into());
        let mut asked = Query {
            prefix: String::new(),
            limit: limits::DEFAULT_PAGE,
            from: Cursor::default(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode_component(value)
                .ok_or_else(|| bad("the query is not percent-encoded UTF-8".to_owned()))?;
            match name {
                "prefix" => asked.prefix = value.into_owned(),
                "limit" => {
                    let limit = value.parse().ok();
                    let limit = limit.filter(|limit| (1..=limits::PAGE).contains(limit));
                    let most = limits::PAGE;
                    asked.limit = limit.ok_or_else(|| bad(format!("limit is not 1 to {most}")))?;
                }
                "after" => {
                    let from = value.parse();
                    let what = "after is not the 'next' of an earlier answer";
                    asked.from = from.map_err(|()| bad(what.to_owned()))?;
                }
                _ => {
                    let what = "the query has another name than prefix, limit and after";
                    return Err(bad(what.to_owned()));
                }
            }
        }
        Ok(asked)
    }
}

/// The topic that a path names.
fn topic_of(uri: &Uri) -> Result<String, Problem> {
    let path = uri.path();
    let raw = path.strip_prefix("/topics/").unwrap_or_default();
    let topic = decode_path(raw).map_err(|_| {
        let what = "the topic in the path is not percent-encoded UTF-8 without control characters";
        Problem::BadRequest(what.into())
    })?;
    check_topic(&topic)?;
    Ok(topic.into_owned())
}

/// The value of a header as text.
fn text_of<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let value = headers
        .get(name)
        .map(|value| std::str::from_utf8(value.as_bytes()));
    value
        .transpose()
        .map_err(|_| Problem::BadRequest(format!("the header {name} is not UTF-8").into()))
}

/// What a body of this type publishes.
fn content_of(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Content, Problem> {
    let content_type = content_type.map(|value| value.as_bytes());
    let essence = content_type.and_then(|value| value.split(|byte| *byte == b';').next());
    let essence = essence
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    let text = std::str::from_utf8(body);
    if essence == b"application/json" || essence.ends_with(b"+json") {
        let text = text
            .ok()
            .filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let json = text.ok_or(Problem::BadRequest(
            "the body is not JSON, which its Content-Type says it is".into(),
        ))?;
        return Ok(Content::json(json));
    }
    if essence.starts_with(b"text/") {
        let text = text.map_err(|_| {
            let what = "the body is not UTF-8; send other text as application/octet-stream";
            Problem::BadRequest(what.into())
        })?;
        return Ok(plain_text(text));
    }
    // What curl says of any text that it is told to send.
    let may_be_text = essence.is_empty() || essence == b"application/x-www-form-urlencoded";
    if let (true, Ok(text)) = (may_be_text, text) {
        return Ok(match Data::of_text(text) {
            Data::Json(json) => Content::json(json),
            _ => plain_text(text),
        });
    }
    Ok(PreparedFrame::binary(body).into())
}

/// Text as text, also where it could be read as JSON.
fn plain_text(text: &str) -> Content {
    let frame = PreparedFrame::text(text);
    let place = frame.len() - text.len()..frame.len();
    Content::in_form(Form::Data, frame, place, Data::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_its_type_says() {
        let content = |content_type: &'static str, body: &[u8]| {
            let content_type = HeaderValue::from_static(content_type);
            content_of(Some(&content_type), body)
        };
        for (content_type, body, data) in [
            (
                "application/json",
                &b"{\"a\": 1}"[..],
                Data::Json("{\"a\": 1}"),
            ),
            ("Application/JSON; charset=utf-8", b"1", Data::Json("1")),
            ("application/geo+json", b"[]", Data::Json("[]")),
            ("text/plain", b"1", Data::Text("1")),
            ("text/html", b"", Data::Text("")),
            ("application/x-www-form-urlencoded", b"1", Data::Json("1")),
            ("application/x-www-form-urlencoded", b"hi", Data::Text("hi")),
            (
                "application/x-www-form-urlencoded",
                b"\xff",
                Data::Binary(b"\xff"),
            ),
            ("image/png", b"1", Data::Binary(b"1")),
        ] {
            let content = content(content_type, body).unwrap();
            assert_eq!(content.data(), data, "{content_type}");
        }
        for (content_type, body) in [
            ("application/json", &b"{"[..]),
            ("application/json", b""),
            ("application/json", b"\"\xff\""),
            ("text/plain", b"\xff"),
        ] {
            assert!(content(content_type, body).is_err(), "{content_type}");
        }
        assert_eq!(content_of(None, b"[1]").unwrap().data(), Data::Json("[1]"));
    }

    #[test]
    fn a_query_names_a_page() {
        let page = Query::of("prefix=room%3A&limit=7&after=1-20").unwrap();
        assert_eq!((page.prefix.as_str(), page.limit), ("room:", 7));
        assert_eq!(page.from.to_string(), "1-20");
        assert_eq!(Query::of("").unwrap().limit, 100);
        for query in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "after=x",
            "prefix=%ff",
            "pre=x",
        ] {
            assert!(Query::of(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_topic_may_have_slashes() {
        for (path, topic) in [
            ("/topics/a", Some("a")),
            (
                "/topics/corecast:broadcast:/news",
                Some("corecast:broadcast:/news"),
            ),
            ("/topics/a%2Fb%20c+d", Some("a/b c+d")),
            ("/topics/%0a", None),
            ("/topics/%ff", None),
            ("/topics/%4", None),
        ] {
            let uri: Uri = path.parse().unwrap();
            assert_eq!(topic_of(&uri).ok().as_deref(), topic, "{path}");
        }
    }
}
