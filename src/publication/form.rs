//! The forms in which the subscribers of a topic can get its publications.

use super::Content;
use crate::ws::PreparedFrame;

/// How a publication is written for a subscriber: each protocol has a form of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// The data as it is, in a message of its own.
    #[default]
    Data,
    /// Phoenix Channels with `vsn=1.0.0`.
    PhoenixV1,
    /// Phoenix Channels with `vsn=2.0.0`.
    PhoenixV2,
    /// The Centrifuge protocol in JSON.
    CentrifugeJson,
    /// The Centrifuge protocol in Protobuf.
    CentrifugeProtobuf,
}

impl Form {
    /// Number of forms.
    pub(crate) const COUNT: usize = 5;
}

/// Writes a publication to a topic in a form that is not the one it was published in;
/// `None` if it cannot be said in it. The text is a buffer to write in, whose contents
/// do not matter.
pub(crate) type WriteForm = fn(Form, &str, &Content, &mut String) -> Option<PreparedFrame>;
