//! What is published to a topic, whichever protocol it came by.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::Form;
use crate::json::is_json;
use crate::ws::{Message, OpCode, PreparedFrame};

/// The content of a publication: its frame in the form of the protocol it came by, and
/// what the other forms are made from.
///
/// A frame becomes one by `into`: its payload is the data. Protocols that name an event
/// say [`Content::EVENT`] then.
///
/// ```
/// use corecast::{Content, Data, PreparedFrame};
///
/// let price = Content::json(r#"{"price":42}"#).with_event("price");
/// assert_eq!(price.event(), "price");
/// assert_eq!(price.data(), Data::Json(r#"{"price":42}"#));
///
/// let text = Content::from(PreparedFrame::text("hello"));
/// assert_eq!((text.event(), text.data()), (Content::EVENT, Data::Text("hello")));
/// ```
///
/// # Invariants worth naming
///
/// - The data lies in the frame, and is copied nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    frame: PreparedFrame,
    form: Form,
    /// `None` for data without an event and tags.
    details: Option<Arc<Details>>,
}

/// What is said beside the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    event: Option<Box<str>>,
    /// What the publication is the newest state of, as a number; 0 for none.
    key: u64,
    /// Names and values, for protocols that have them.
    tags: Vec<(Box<str>, Box<str>)>,
    kind: Kind,
    /// The place of the data among the frame's bytes.
    place: Range<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Text,
    Binary,
}

/// The data of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// A value in JSON.
    Json(&'a str),
    /// Text that is not JSON.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

impl Content {
    /// The event of a publication that names none.
    pub const EVENT: &'static str = "publication";

    /// A value in JSON. That it is JSON is not checked here.
    pub fn json(json: &str) -> Content {
        let frame = PreparedFrame::text(json);
        let place = frame.len() - json.len()..frame.len();
        Content::in_form(Form::Data, frame, place, Data::Json(json))
    }

    /// A publication that was written in the form of a protocol, in which the data
    /// stands at `place` of the frame's bytes.
    pub(crate) fn in_form(
        form: Form,
        frame: PreparedFrame,
        place: Range<usize>,
        data: Data<'_>,
    ) -> Content {
        debug_assert_eq!(&frame.as_bytes()[place.clone()], data.as_bytes());
        let details = Details {
            event: None,
            key: 0,
            tags: Vec::new(),
            kind: match data {
                Data::Json(_) => Kind::Json,
                Data::Text(_) => Kind::Text,
                Data::Binary(_) => Kind::Binary,
            },
            // No frame is longer: a message is 4 GiB at most, and mostly much shorter.
            place: place.start as u32..place.end as u32,
        };
        Content {
            frame,
            form,
            details: Some(Arc::new(details)),
        }
    }

    /// The same with a name for what has happened.
    #[must_use]
    pub fn with_event(mut self, event: &str) -> Content {
        self.details_mut().event = Some(event.into());
        self
    }

    /// The same as the newest state of something: for a session that reads too slowly, and
    /// on a route whose policy is `latest`, it takes the place of an earlier publication to
    /// the same topic with the same key.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Content {
        // Secret, because a client may choose the keys.
        static HASHER: OnceLock<RandomState> = OnceLock::new();
        let hash = HASHER.get_or_init(RandomState::new).hash_one(key);
        self.details_mut().key = hash.max(1);
        self
    }

    /// The same with one more tag.
    #[must_use]
    pub fn with_tag(mut self, name: &str, value: &str) -> Content {
        let tags = &mut self.details_mut().tags;
        tags.push((name.into(), value.into()));
        self
    }

    fn details_mut(&mut self) -> &mut Details {
        let details = self.details.get_or_insert_with(|| {
            let data = data_of(&self.frame);
            let content = Content::in_form(
                self.form,
                self.frame.clone(),
                self.frame.len() - data.as_bytes().len()..self.frame.len(),
                data,
            );
            content.details.expect("a form has details")
        });
        Arc::make_mut(details)
    }

    /// The frame as it was written where it was published.
    #[inline]
    pub fn frame(&self) -> &PreparedFrame {
        &self.frame
    }

    /// The same, to keep.
    #[inline]
    pub(crate) fn into_frame(self) -> PreparedFrame {
        self.frame
    }

    /// The form of that frame.
    #[doc(hidden)]
    #[inline]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The name of what has happened.
    pub fn event(&self) -> &str {
        let details = self.details.as_ref();
        details
            .and_then(|details| details.event.as_deref())
            .unwrap_or(Content::EVENT)
    }

    /// The key's number; 0 where there is none.
    #[inline]
    pub(crate) fn key(&self) -> u64 {
        self.details.as_ref().map_or(0, |details| details.key)
    }

    /// Names and values that the publisher has added.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let tags = self.details.iter().flat_map(|details| &details.tags);
        tags.map(|(name, value)| (&**name, &**value))
    }

    /// The same, with the event as the first where one is named: for protocols that have
    /// tags and no events.
    pub(crate) fn tags_with_event(&self) -> impl Iterator<Item = (&str, &str)> {
        let event = Some(("event", self.event()));
        let event = event.filter(|(_, event)| *event != Content::EVENT);
        event.into_iter().chain(self.tags())
    }

    /// The data alone.
    pub fn data(&self) -> Data<'_> {
        let Some(details) = &self.details else {
            return data_of(&self.frame);
        };
        let place = details.place.start as usize..details.place.end as usize;
        let bytes = &self.frame.as_bytes()[place];
        let text = match details.kind {
            Kind::Binary => None,
            Kind::Json | Kind::Text => std::str::from_utf8(bytes).ok(),
        };
        match (details.kind, text) {
            (Kind::Json, Some(text)) => Data::Json(text),
            (Kind::Text, Some(text)) => Data::Text(text),
            _ => Data::Binary(bytes),
        }
    }
}

impl<'a> Data<'a> {
    /// Its bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Data::Json(text) | Data::Text(text) => text.as_bytes(),
            Data::Binary(bytes) => bytes,
        }
    }

    /// Text as what it is: a value in JSON, or not.
    pub fn of_text(text: &'a str) -> Self {
        match is_json(text) {
            true => Data::Json(text),
            false => Data::Text(text),
        }
    }
}

/// The data of a frame that is nothing else.
fn data_of(frame: &PreparedFrame) -> Data<'_> {
    let payload = frame.payload_bytes();
    match (frame.opcode(), std::str::from_utf8(payload)) {
        (OpCode::Text, Ok(text)) => Data::of_text(text),
        _ => Data::Binary(payload),
    }
}

/// The message as it is.
impl From<Message<'_>> for Content {
    fn from(message: Message<'_>) -> Content {
        PreparedFrame::new(message).into()
    }
}

/// Data as it is.
impl From<PreparedFrame> for Content {
    #[inline]
    fn from(frame: PreparedFrame) -> Content {
        Content {
            frame,
            form: Form::Data,
            details: None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn data_is_what_the_frame_holds() {
        for (frame, data) in [
            (PreparedFrame::text("[1]"), Data::Json("[1]")),
            (PreparedFrame::text("hello"), Data::Text("hello")),
            (PreparedFrame::text(""), Data::Text("")),
            (PreparedFrame::binary(b"[1]"), Data::Binary(b"[1]")),
        ] {
            let plain = Content::from(frame.clone());
            assert_eq!(plain.data(), data);
            let tagged = plain.with_event("e").with_tag("a", "1");
            assert_eq!(tagged.data(), data);
            assert_eq!(tagged.frame(), &frame);
            assert_eq!((tagged.event(), tagged.form()), ("e", Form::Data));
            assert_eq!(tagged.tags().collect::<Vec<_>>(), [("a", "1")]);
        }
    }

    #[test]
    fn data_is_found_within_the_frame_of_a_protocol() {
        let frame = PreparedFrame::text(r#"["e",{"a":1}]"#);
        let place = frame.len() - 8..frame.len() - 1;
        let data = Data::Json(r#"{"a":1}"#);
        let content = Content::in_form(Form::PhoenixV2, frame, place, data).with_event("e");
        assert_eq!(content.data(), data);
        assert_eq!(content.form(), Form::PhoenixV2);
    }

    #[test]
    fn a_publication_without_details_is_small() {
        assert_eq!(size_of::<Content>(), size_of::<PreparedFrame>() + 16);
    }
}
