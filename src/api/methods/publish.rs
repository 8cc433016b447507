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
use crate::api::publishing::check_event;
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
            }
            content = content.with_tag(name, value);
        }
        Ok(content)
    }
}
