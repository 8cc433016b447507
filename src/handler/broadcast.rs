//! `/broadcast`: each message goes to every session on the path.

use super::{Context, Handler};
use crate::hub::Topic;
use crate::upgrade::Request;
use crate::ws::{Message, PreparedFrame};

/// Sends each message to every session on its path, the sender included.
#[derive(Debug)]
pub struct Broadcast {
    topic: Topic,
}

impl Broadcast {
    /// A broadcast among the sessions of all routes with this topic name.
    pub fn new(topic: &str) -> Self {
        Broadcast {
            topic: Topic::new(topic),
        }
    }
}

impl Handler for Broadcast {
    type State = ();

    fn open(&mut self, _request: &Request, ctx: &mut Context<'_>) {
        ctx.subscribe(&self.topic);
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.publish(&self.topic, PreparedFrame::new(message));
    }
}
