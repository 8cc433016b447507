//! Messages with placeholders.

use std::io::Write;

use crate::random::Random;

/// The longest text `{random:N}` may ask for.
pub const MAX_RANDOM: usize = 65_536;

/// Letters and digits that look different from each other; 32, so that five
/// bits choose one.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The values of the placeholders in one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Values {
    /// The connection's number in this run, from 0: `{connection}`.
    pub connection: u64,
    /// The user's number: `{user}`.
    pub user: u64,
    /// The user's room, from 0: `{room}`.
    pub room: u64,
    /// How many messages the user has sent, this one included: `{sequence}`.
    pub sequence: u64,
    /// Milliseconds since 1970: `{now_ms}`.
    pub now_ms: u64,
    /// A number that is new for each message, the seed of `{random:N}`.
    pub random: u64,
}

/// A message with placeholders, read once and written many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Connection,
    User,
    Room,
    Sequence,
    NowMs,
    Random(usize),
}

impl Template {
    /// Reads a text. A brace starts a placeholder only when a word and `}`
    /// follow, so JSON needs no escapes; `{{word}}` is the text `{word}`.
    ///
    /// # Errors
    ///
    /// A word that is not a placeholder, and a length it does not take.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut template = Template { pieces: Vec::new() };
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            template.push_bytes(&rest.as_bytes()[..open]);
            rest = &rest[open..];
            if let Some(word) = braced(rest, "{{", "}}") {
                template.push_bytes(format!("{{{word}}}").as_bytes());
                rest = &rest[word.len() + 4..];
            } else if let Some(word) = braced(rest, "{", "}") {
                template.pieces.push(Piece::parse(word)?);
                rest = &rest[word.len() + 2..];
            } else {
                template.push_bytes(b"{");
                rest = &rest[1..];
            }
        }
        template.push_bytes(rest.as_bytes());
        Ok(template)
    }

    /// A message without placeholders.
    pub fn of_bytes(bytes: Vec<u8>) -> Template {
        Template {
            pieces: vec![Piece::Bytes(bytes)],
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Bytes(bytes.to_vec())),
        }
    }

    /// Appends the message.
    pub fn render(&self, out: &mut Vec<u8>, values: &Values) {
        let mut random = Random::new(values.random);
        for piece in &self.pieces {
            let number = match piece {
                Piece::Bytes(bytes) => {
                    out.extend_from_slice(bytes);
                    continue;
                }
                Piece::Random(len) => {
                    push_letters(out, *len, &mut random);
                    continue;
                }
                Piece::Connection => values.connection,
                Piece::User => values.user,
                Piece::Room => values.room,
                Piece::Sequence => values.sequence,
                Piece::NowMs => values.now_ms,
            };
            write!(out, "{number}").expect("a Vec takes everything");
        }
    }

    /// The message, when it is the same for every user and every time.
    pub fn as_fixed(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Bytes(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// Whether the message cannot be foretold when another is being sent.
    pub(super) fn is_unforeseeable(&self) -> bool {
        let unforeseeable = |piece: &Piece| matches!(piece, Piece::NowMs | Piece::Random(_));
        self.pieces.iter().any(unforeseeable)
    }
}

/// The word between these braces at the beginning of the text, if it is one:
/// letters and underscores, then perhaps a colon and more.
fn braced<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    let inner = text.strip_prefix(open)?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    let len = inner.bytes().take_while(|&byte| is_part(byte)).count();
    let (word, rest) = inner.split_at(len);
    let begins_well = word.starts_with(|first: char| first.is_ascii_alphabetic());
    (begins_well && rest.starts_with(close)).then_some(word)
}

impl Piece {
    fn parse(word: &str) -> Result<Piece, TemplateError> {
        let (name, argument) = match word.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (word, None),
        };
        match (name, argument) {
            ("connection", None) => Ok(Piece::Connection),
            ("user", None) => Ok(Piece::User),
            ("room", None) => Ok(Piece::Room),
            ("sequence", None) => Ok(Piece::Sequence),
            ("now_ms", None) => Ok(Piece::NowMs),
            ("random", argument) => argument
                .and_then(|len| len.parse().ok())
                .filter(|len| (1..=MAX_RANDOM).contains(len))
                .map(Piece::Random)
                .ok_or(TemplateError::RandomLength),
            _ => Err(TemplateError::Unknown { word: word.into() }),
        }
    }
}

fn push_letters(out: &mut Vec<u8>, len: usize, random: &mut Random) {
    let end = out.len() + len;
    while out.len() < end {
        let mut bits = random.number();
        // 64 bits choose twelve letters.
        for _ in 0..(end - out.len()).min(12) {
            out.push(LETTERS[(bits % 32) as usize]);
            bits /= 32;
        }
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder that does not exist.
    #[error(
        "'{{{word}}}' is not a placeholder; there are {{connection}}, {{user}}, {{room}}, \
             {{sequence}}, {{now_ms}} and {{random:N}}, and {{{{{word}}}}} is the text itself"
    )]
    Unknown {
        /// The text between the braces.
        word: String,
    },
    /// `{random}` without a length or with one it does not take.
    #[error(
        "{{random:N}} needs a number of characters from 1 to {}, as in {{random:8}}",
        MAX_RANDOM
    )]
    RandomLength,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: Values = Values {
        connection: 1,
        user: 22,
        room: 333,
        sequence: 4,
        now_ms: 5_000,
        random: 6,
    };

    fn rendered(text: &str) -> String {
        let mut out = b"> ".to_vec();
        Template::parse(text).unwrap().render(&mut out, &VALUES);
        String::from_utf8(out).unwrap().split_off(2)
    }

    #[test]
    fn placeholders_become_numbers() {
        assert_eq!(
            rendered(
                r#"{"room":"rooms:{room}","user":{user},"n":[{sequence},{connection}],"at":{now_ms}}"#
            ),
            r#"{"room":"rooms:333","user":22,"n":[4,1],"at":5000}"#
        );
        assert_eq!(rendered("{user}{user}"), "2222");
    }

    #[test]
    fn braces_that_start_nothing_stay() {
        for text in [
            "",
            "{}",
            "{",
            "}",
            "{\"a\":{\"b\":{}}}",
            "{ user }",
            "{1}",
            "{user",
            "{a-b}",
            "ü{ä}",
        ] {
            assert_eq!(rendered(text), text);
        }
        assert_eq!(rendered("{{user}} {{x:1}}"), "{user} {x:1}");
        assert_eq!(rendered("{{user}"), "{22");
        assert_eq!(rendered("{{user}}}"), "{user}}");
    }

    #[test]
    fn random_text_has_its_length_and_is_new_each_time() {
        let text = rendered("{random:30}-{random:30}");
        let (first, second) = text.split_once('-').unwrap();
        assert_eq!((first.len(), second.len()), (30, 30));
        assert_ne!(first, second);
        assert_eq!(rendered("{random:30}"), first);
        let mut other = Vec::new();
        let values = Values {
            random: 7,
            ..VALUES
        };
        Template::parse("{random:30}")
            .unwrap()
            .render(&mut other, &values);
        assert_ne!(other, first.as_bytes());
    }

    #[test]
    fn slips_are_explained() {
        for (text, words) in [
            (
                "{usr}",
                "'{usr}' is not a placeholder; there are {connection}",
            ),
            ("{usr}", "{{usr}} is the text itself"),
            ("{user:3}", "'{user:3}' is not"),
            ("{random}", "from 1 to 65536"),
            ("{random:0}", "from 1 to 65536"),
            ("{random:65537}", "from 1 to 65536"),
        ] {
            let complaint = Template::parse(text).unwrap_err().to_string();
            assert!(complaint.contains(words), "{complaint}");
        }
    }

    proptest! {
        /// Text without a word in braces is never changed.
        #[test]
        fn other_text_is_sent_as_it_is(text in "[{}\":a-z0-9 ,\\[\\]ü]{0,40}") {
            let has_word = text.match_indices('{').any(|(at, _)| braced(&text[at..], "{", "}").is_some());
            prop_assume!(!has_word);
            prop_assert_eq!(rendered(&text), text.clone());
            let template = Template::parse(&text).unwrap();
            prop_assert_eq!(template.as_fixed(), Some(text.as_bytes()));
        }
    }
}
