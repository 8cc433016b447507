//! The little JSON that is written and looked at by hand.

use serde::de::IgnoredAny;

/// Writes text as JSON.
pub(crate) fn write_text(text: &str, out: &mut String) {
    // Most names have nothing to escape.
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("text is always valid JSON"));
    }
}

/// Text as JSON.
pub(crate) fn json_of_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_text(text, &mut out);
    out
}

/// Whether JSON text is an object, if it is JSON at all. Where a struct is
/// expected, serde takes an array of its fields as well.
pub(crate) fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
}

/// Whether text is one value in JSON.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn text_is_escaped_where_it_must_be() {
        for text in ["", "plain", "\"", "\\", "\n\u{0}", "é€", "\u{7f}\u{2028}"] {
            let mut out = String::new();
            write_text(text, &mut out);
            assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!(text));
        }
    }
}
