//! Publications, and the bytes in which subscribers get them.
//!
//! A [`Publication`] is a [`Content`] with its topic and origin. The content holds one
//! frame as it is sent, header and data in one allocation, written in the [`Form`] of the
//! protocol it was published by; subscribers of the same form get it as it is. For those
//! of another form the hub of each shard writes it once, from the event and the data. A
//! [`Run`] is what a shard sends to the subscribers of a topic at once: the frames of one
//! publication, or of several that waited for their fan-out together.
//!
//! # Invariants worth naming
//!
//! - The payload of a publication is copied once, when its frame is made. All
//!   shards and all subscribers share that memory; only publications that wait
//!   together are copied once more per shard, into their run.
//! - A run is bytes in one form, shared by its subscribers. Another protocol's form is
//!   written on a shard only where a session has subscribed in it, and makes a run of its
//!   own. Subscribers of the form it was published in pay nothing for it.
//! - Another coding of the same messages, such as a compressed one, would be another run,
//!   made from [`Run::frames`] when the first subscriber of the shard needs it, and chosen
//!   where a delivery is made.

mod content;
mod form;
mod run;
mod topic;

pub use content::{Content, Data};
pub use form::Form;
pub(crate) use form::WriteForm;
pub use run::Run;
pub use topic::Topic;
pub(crate) use topic::TopicSerial;

use crate::participant::Participant;

/// A message on its way to all subscribers of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The topic it goes to.
    pub topic: Topic,
    /// What is published there.
    pub content: Content,
    /// The participant that made it.
    pub origin: Participant,
}
