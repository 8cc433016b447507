//! `channels`: the channels that have subscribers, all at once. The method has no
//! pages, so it is for servers with few of them; `GET /topics` has.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Call, Method, parse};
use crate::api::error::{Problem, to_json};
use crate::api::listing::Cursor;
use crate::api::{glob, limits};

pub(super) const METHOD: Method = Method {
    name: "channels",
    run: |call, params| Box::pin(run(call, params)),
};

#[derive(Deserialize)]
struct Params<'p> {
    #[serde(borrow)]
    pattern: Option<Cow<'p, str>>,
}

#[derive(Serialize)]
struct Channels<'a> {
    channels: BTreeMap<&'a str, Channel>,
}

#[derive(Serialize)]
struct Channel {
    num_clients: u64,
}

async fn run(call: &Call<'_>, params: &str) -> Result<String, Problem> {
    call.key.may_read()?;
    let Params { pattern } = parse(params)?;
    let pattern = pattern.filter(|pattern| !pattern.is_empty());
    let pattern = pattern.as_deref().unwrap_or("*");
    if pattern.len() > limits::TOPIC_BYTES {
        return Err(Problem::BadRequest("'pattern' is too long".into()));
    }
    glob::check(pattern).map_err(|what| Problem::BadRequest(what.into()))?;
    let is_wanted = |name: &str| glob::matches(pattern, name);
    let most = limits::LISTED_CHANNELS;
    let list = call
        .api
        .list(
            glob::prefix(pattern),
            is_wanted,
            most + 1,
            Cursor::default(),
        )
        .await?;
    if list.topics.len() > most || list.next.is_some() {
        return Err(Problem::NotAvailable(
            format!("there are more than {most} such channels; GET /topics lists them in pages")
                .into(),
        ));
    }
    let channels = list.topics.iter().map(|(topic, num_clients)| {
        let num_clients = *num_clients;
        (topic.as_str(), Channel { num_clients })
    });
    Ok(to_json(&Channels {
        channels: channels.collect(),
    }))
}
