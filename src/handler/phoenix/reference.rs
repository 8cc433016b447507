//! The references that a client gives its messages and joins, to recognise the answers.
//!
//! A reference goes back as it came: most clients send digits in a string,
//! some send numbers, and each expects its own kind.

/// A reference in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    /// There is none.
    None,
    /// A plain number, as `7`.
    Number(u32),
    /// A plain number in a string, as `"7"`.
    Digits(u32),
    /// Any other JSON, as it was written.
    Json(&'a str),
    /// Any other text, from a binary message.
    Text(&'a str),
}

impl<'a> Reference<'a> {
    /// Longer ones are refused; in a binary message none could be.
    const MAX_BYTES: usize = 255;

    /// One that is written in JSON. `None` if it is too long to be kept.
    pub(super) fn from_json(json: &'a str) -> Option<Self> {
        if json.len() > Self::MAX_BYTES {
            return None;
        }
        let quoted = json
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        Some(match (json, plain_number(quoted.unwrap_or(json))) {
            ("null", _) => Reference::None,
            (_, Some(number)) if quoted.is_some() => Reference::Digits(number),
            (_, Some(number)) => Reference::Number(number),
            (_, None) => Reference::Json(json),
        })
    }

    /// One from a binary message, where all are text.
    pub(super) fn from_text(text: &'a str) -> Self {
        match plain_number(text) {
            Some(number) => Reference::Digits(number),
            None => Reference::Text(text),
        }
    }

    /// Whether this is the same reference. Binary messages cannot tell a number
    /// from a string, so that is no difference.
    pub(super) fn is_same(self, other: Reference<'_>) -> bool {
        match (self, other) {
            (Reference::Digits(a), Reference::Number(b))
            | (Reference::Number(a), Reference::Digits(b)) => a == b,
            (Reference::Text(text), Reference::Json(json))
            | (Reference::Json(json), Reference::Text(text)) => to_json(text) == json,
            (a, b) => a == b,
        }
    }

    /// Writes it as JSON.
    pub(super) fn write(self, out: &mut String) {
        use std::fmt::Write;
        // Writing to a string cannot fail.
        let _ = match self {
            Reference::None => out.write_str("null"),
            Reference::Number(number) => write!(out, "{number}"),
            Reference::Digits(number) => write!(out, "\"{number}\""),
            Reference::Json(json) => out.write_str(json),
            Reference::Text(text) => out.write_str(&to_json(text)),
        };
    }
}

fn to_json(text: &str) -> String {
    serde_json::to_string(text).expect("text is always valid JSON")
}

/// A number that is written in the one way that gives it back.
fn plain_number(text: &str) -> Option<u32> {
    match text.as_bytes() {
        [b'0'] => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_came() {
        for json in [
            "null",
            "0",
            "7",
            "\"7\"",
            "\"0\"",
            "007",
            "\"007\"",
            "-1",
            "1.5",
            "\"\"",
            "\"a b\"",
            "\"\\u00e9\"",
            "true",
            "[1]",
            "4294967295",
            "4294967296",
            "\"4294967296\"",
            "\"",
        ] {
            let mut out = String::new();
            Reference::from_json(json).unwrap().write(&mut out);
            assert_eq!(out, json);
        }
    }

    #[test]
    fn text_is_the_same_as_its_json() {
        for text in ["7", "", "a\"b", "é", "01"] {
            let json = to_json(text);
            let written = Reference::from_json(&json).unwrap();
            assert!(Reference::from_text(text).is_same(written), "{text}");
            assert!(written.is_same(Reference::from_text(text)), "{text}");
        }
        assert!(Reference::from_text("7").is_same(Reference::Number(7)));
        assert!(!Reference::from_text("7").is_same(Reference::Number(8)));
        assert!(!Reference::from_text("").is_same(Reference::None));
    }

    #[test]
    fn long_ones_are_not_kept() {
        let json = format!("\"{}\"", "x".repeat(253));
        assert!(Reference::from_json(&json).is_some());
        let json = format!("\"{}\"", "x".repeat(254));
        assert!(Reference::from_json(&json).is_none());
    }
}
