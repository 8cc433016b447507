//! `broadcast`: the same data to several channels, with a result for each.

use super::publish::{Params, RESULT};
use super::{Call, Method, parse, unless_all_full};
use crate::api::error::{Problem, to_json};
use crate::api::limits;

pub(super) const METHOD: Method = Method {
    name: "broadcast",
    run: |call, params| Box::pin(run(call, params)),
};

async fn run(call: &Call<'_>, params: &str) -> Result<String, Problem> {
    let params: Params = parse(params)?;
    let channels = params.channels.as_deref().unwrap_or_default();
    if channels.is_empty() || channels.len() > limits::CHANNELS {
        let (count, most) = (channels.len(), limits::CHANNELS);
        return Err(Problem::BadRequest(
            format!("there are {count} 'channels'; allowed: 1 to {most}").into(),
        ));
    }
    call.key.take(channels.len() - 1);
    // Its frame is made once, and shared by all.
    let content = params.content()?;
    let mut parts = Vec::with_capacity(channels.len());
    for channel in channels {
        let key = params.idempotency_key.as_deref();
        let publish = call
            .api
            .publish(call.key, channel, content.clone(), key, call.deadline);
        let done = publish.await;
        parts.push(call.part("result", done.map(|_| RESULT.to_owned())));
    }
    unless_all_full(&parts)?;
    Ok(format!("{{\"responses\":{}}}", to_json(&parts)))
}
