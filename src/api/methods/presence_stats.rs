//! `presence_stats`: how many sessions are subscribed to a channel. Which users they
//! are of is not known here, so the number of users is 0.

use serde::Serialize;

use super::{Call, Method, OfChannel, parse};
use crate::api::error::{Problem, to_json};
use crate::api::publishing::check_topic;

pub(super) const METHOD: Method = Method {
    name: "presence_stats",
    run: |call, params| Box::pin(run(call, params)),
};

#[derive(Serialize)]
struct Stats {
    num_clients: u64,
    num_users: u64,
}

async fn run(call: &Call<'_>, params: &str) -> Result<String, Problem> {
    call.key.may_read()?;
    let OfChannel { channel } = parse(params)?;
    check_topic(&channel)?;
    Ok(to_json(&Stats {
        num_clients: call.api.subscribers(&channel).await?,
        num_users: 0,
    }))
}
