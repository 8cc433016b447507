//! The forms of the built-in protocols: how a publication is written for each.

use super::centrifuge::{self, Encoding};
use super::phoenix::{self, Version};
use crate::publication::{Content, Data, Form};
use crate::ws::PreparedFrame;

/// Writes a publication in a form other than the one it was published in, for the hub.
/// `None` if it cannot be said in it.
pub(crate) fn write_form(
    form: Form,
    topic: &str,
    content: &Content,
    out: &mut String,
) -> Option<PreparedFrame> {
    match form {
        Form::Data => Some(match content.data() {
            Data::Json(text) | Data::Text(text) => PreparedFrame::text(text),
            Data::Binary(bytes) => PreparedFrame::binary(bytes),
        }),
        Form::PhoenixV1 => phoenix::write_form(Version::V1, topic, content, out),
        Form::PhoenixV2 => phoenix::write_form(Version::V2, topic, content, out),
        Form::CentrifugeJson => Some(centrifuge::write_form(Encoding::Json, topic, content, out)),
        #[cfg(feature = "protobuf")]
        Form::CentrifugeProtobuf => Some(centrifuge::write_form(
            Encoding::Protobuf,
            topic,
            content,
            out,
        )),
        #[cfg(not(feature = "protobuf"))]
        Form::CentrifugeProtobuf => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A publication that came by one protocol says the same in each other's words.
    #[test]
    fn every_form_says_the_same() {
        let mut text = String::new();
        let mut write = |form, content: &Content| write_form(form, "t", content, &mut text);
        let content = Content::json("[1]").with_event("e");
        let v2 = PreparedFrame::text(r#"[null,null,"t","e",[1]]"#);
        assert_eq!(write(Form::PhoenixV2, &content), Some(v2));
        assert_eq!(
            write(Form::Data, &content),
            Some(PreparedFrame::text("[1]"))
        );

        let binary = Content::from(PreparedFrame::binary(&[7]));
        let v2 = PreparedFrame::binary(b"\x02\x01\x0btpublication\x07");
        assert_eq!(write(Form::PhoenixV2, &binary), Some(v2));
        assert_eq!(write(Form::PhoenixV1, &binary), None);
    }
}
