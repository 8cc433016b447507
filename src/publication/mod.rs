//! Publications, and the bytes in which subscribers get them.
//!
//! A [`Publication`] is a message with its topic and origin. Its message is a
//! [`PreparedFrame`]: one allocation that holds the frame as it is sent, header
//! and payload, and lends out the payload as a slice. A [`Run`] is what a shard
//! sends to the subscribers of a topic at once: the frames of one publication, or
//! of several that waited for their fan-out together.
//!
//! # Invariants worth naming
//!
//! - The payload of a publication is copied once, when its frame is made. All
//!   shards and all subscribers share that memory; only publications that wait
//!   together are copied once more per shard, into their run.
//! - A run is bytes in one form, shared by its subscribers. Another form of the
//!   same messages, such as a compressed one, is another run, made from
//!   [`Run::frames`] when the first subscriber of the shard needs it, and chosen
//!   where a delivery is made. Subscribers of the plain form pay nothing for it.

mod run;
mod topic;

pub use run::Run;
pub use topic::Topic;

use crate::participant::Participant;
use crate::ws::PreparedFrame;

/// A message on its way to all subscribers of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The topic it goes to.
    pub topic: Topic,
    /// The message that goes there.
    pub message: PreparedFrame,
    /// The participant that made it.
    pub origin: Participant,
}
