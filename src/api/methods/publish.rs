//! `publish`: data to one channel.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Call, Method, parse};
use crate::api::error::Problem;
use crate::api::limits;
use crate::api::publishing::{check_event, check_key};
use crate::publication::Content;
use crate::ws::PreparedFrame;

pub(super) const METHOD: Method = Method {
    name: "publish",
    run: |call, params| Box::pin(run(call, params)),
};

/// A publication without an offset, since topics have no history.
pub(super) const RESULT: &str = "{}";

/// The tag that names a publication's event.
const EVENT_TAG: &str = "event";
/// The tag that names what it is the newest state of.
const KEY_TAG: &str = "key";

async fn run(call: &Call<'_>, params: &str) -> Result<String, Problem> {
    let params: Params = parse(params)?;
    let channel = params.channel.as_deref();
    let channel = channel.ok_or(Problem::BadRequest("'channel' is missing".into()))?;
    let content = params.content()?;
    let key = params.idempotency_key.as_deref();
    call.api
        .publish(call.key, channel, content, key, call.deadline)
        .await?;
    Ok(RESULT.to_owned())
}

/// The parameters of `publish` and `broadcast`, which differ in one. Those about history,
/// which there is none of, have no effect.
#[derive(Deserialize)]
pub(super) struct Params<'p> {
    channel: Option<Cow<'p, str>>,
    pub(super) channels: Option<Vec<Cow<'p, str>>>,
    #[serde(borrow)]
    data: Option<&'p RawValue>,
    b64data: Option<Cow<'p, str>>,
    tags: Option<BTreeMap<Cow<'p, str>, Cow<'p, str>>>,
    pub(super) idempotency_key: Option<Cow<'p, str>>,
}

impl Params<'_> {
    /// What is published.
    pub(super) fn content(&self) -> Result<Content, Problem> {
        let bad = |what: &'static str| Problem::BadRequest(what.into());
        let base64 = self.b64data.as_deref().filter(|text| !text.is_empty());
        let mut content = match (base64, self.data) {
            (Some(base64), _) => {
                let bytes = STANDARD.decode(base64);
                let bytes = bytes.map_err(|_| bad("'b64data' is not base64 with padding"))?;
                Content::from(PreparedFrame::binary(&bytes))
            }
            (None, Some(data)) => Content::json(data.get()),
            (None, None) => return Err(bad("'data' is missing; null is none")),
        };
        let Some(tags) = &self.tags else {
            return Ok(content);
        };
        if tags.len() > limits::TAGS {
            return Err(Problem::BadRequest(
                format!("there are more than {} tags", limits::TAGS).into(),
            ));
        }
        for (name, value) in tags {
            if name.len() > limits::NAME_BYTES || value.len() > limits::TAG_BYTES {
                let (name, value) = (limits::NAME_BYTES, limits::TAG_BYTES);
                return Err(Problem::BadRequest(
                    format!("a tag is longer than {name} bytes, or its value than {value}").into(),
                ));
            }
            if name == EVENT_TAG {
                check_event(value)?;
                content = content.with_event(value);
            } else if name == KEY_TAG {
                check_key(value)?;
                content = content.with_key(value);
            }
            content = content.with_tag(name, value);
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publication::Data;

    fn content(params: &str) -> Content {
        parse::<Params>(params).unwrap().content().unwrap()
    }

    #[test]
    fn data_is_kept_as_it_was_written() {
        let json = content(r#"{"channel": "a", "data": {"b":  [1.50]} }"#);
        assert_eq!(json.data(), Data::Json(r#"{"b":  [1.50]}"#));
        let binary = content(r#"{"channel": "a", "data": 1, "b64data": "/+4="}"#);
        assert_eq!(binary.data(), Data::Binary(&[0xff, 0xee]));
    }

    #[test]
    fn two_tags_mean_something_to_all_protocols() {
        let plain = content(r#"{"data": 1, "tags": {"a": "b"}}"#);
        assert_eq!((plain.event(), plain.key()), (Content::EVENT, 0));
        let named = content(r#"{"data": 1, "tags": {"event": "price", "key": "EUR"}}"#);
        assert_eq!(named.event(), "price");
        assert_eq!(named.key(), Content::json("1").with_key("EUR").key());
        assert_eq!(named.tags().count(), 2);
    }
}
