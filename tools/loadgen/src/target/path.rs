//! A request's path with placeholders.

use std::borrow::Cow;
use std::fmt::Write;

/// The values of a path's placeholders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placeholders {
    /// The connection's number in this run, from 0: `{connection}`.
    pub connection: u64,
    /// The number of the room it is in, from 0: `{room}`.
    pub room: u64,
    /// The user's number: `{user}`.
    pub user: u64,
}

/// A path and query, with `{connection}`, `{room}` and `{user}` where a
/// connection's own numbers stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    /// The text before the first placeholder.
    head: String,
    /// Each placeholder with what follows it.
    rest: Vec<(Placeholder, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Connection,
    Room,
    User,
}

impl PathTemplate {
    /// Reads a path with its query. An empty one is `/`. Characters that a
    /// request line cannot carry, such as a space or an umlaut, are
    /// percent-encoded; all others stay as they are.
    ///
    /// # Errors
    ///
    /// An unknown or unclosed placeholder, a `#`, or a path that starts with
    /// neither `/` nor `?`.
    pub fn parse(path: &str) -> Result<PathTemplate, PathError> {
        let mut template = PathTemplate {
            head: String::new(),
            rest: Vec::new(),
        };
        match path.as_bytes().first() {
            None | Some(b'?') => template.head.push('/'),
            Some(b'/') => {}
            Some(_) => return Err(PathError::NotAbsolute),
        }
        if path.contains('#') {
            return Err(PathError::Fragment);
        }
        let mut rest = path;
        while let Some(open) = rest.find(['{', '}']) {
            encode(&rest[..open], template.tail());
            if rest.as_bytes()[open] == b'}' {
                return Err(PathError::Unopened);
            }
            let inner = &rest[open + 1..];
            let close = inner.find('}').ok_or(PathError::Unclosed)?;
            let placeholder = match &inner[..close] {
                "connection" => Placeholder::Connection,
                "room" => Placeholder::Room,
                "user" => Placeholder::User,
                unknown => {
                    return Err(PathError::Unknown {
                        name: unknown.to_owned(),
                    });
                }
            };
            template.rest.push((placeholder, String::new()));
            rest = &inner[close + 1..];
        }
        encode(rest, template.tail());
        Ok(template)
    }

    /// The text that is being appended to.
    fn tail(&mut self) -> &mut String {
        match self.rest.last_mut() {
            Some((_, text)) => text,
            None => &mut self.head,
        }
    }

    /// Whether there are placeholders.
    pub fn has_placeholders(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The path of one connection; nothing is copied when there are no
    /// placeholders.
    pub fn render(&self, placeholders: Placeholders) -> Cow<'_, str> {
        if self.rest.is_empty() {
            return Cow::Borrowed(&self.head);
        }
        let mut path = self.head.clone();
        for (placeholder, text) in &self.rest {
            let number = match placeholder {
                Placeholder::Connection => placeholders.connection,
                Placeholder::Room => placeholders.room,
                Placeholder::User => placeholders.user,
            };
            write!(path, "{number}{text}").expect("a String takes everything");
        }
        Cow::Owned(path)
    }
}

/// Appends a text with the bytes encoded that RFC 3986 allows in no path or query.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|' => {
                write!(out, "%{byte:02X}").expect("a String takes everything");
            }
            0x21..=0x7e => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("a String takes everything"),
        }
    }
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It starts with neither `/` nor `?`.
    #[error("a path starts with '/'")]
    NotAbsolute,
    /// It has a `#`.
    #[error("a part behind '#' is never sent to a server; write %23 for the character")]
    Fragment,
    /// A `{` without its `}`.
    #[error("a '{{' is never closed; write %7B for the character itself")]
    Unclosed,
    /// A `}` without its `{`.
    #[error("a '}}' closes nothing; write %7D for the character itself")]
    Unopened,
    /// A placeholder that does not exist.
    #[error("'{{{name}}}' is not a placeholder; there are {{connection}}, {{room}} and {{user}}")]
    Unknown {
        /// The text between the braces.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(path: &str) -> String {
        let placeholders = Placeholders {
            connection: 7,
            room: 8,
            user: 9,
        };
        let template = PathTemplate::parse(path).unwrap();
        template.render(placeholders).into_owned()
    }

    #[test]
    fn what_is_allowed_stays_and_the_rest_is_encoded() {
        for (path, sent) in [
            ("", "/"),
            ("?a", "/?a"),
            ("/a/../b//c;d=e/~f%20g", "/a/../b//c;d=e/~f%20g"),
            ("/jürgen b?\"x\"", "/j%C3%BCrgen%20b?%22x%22"),
            ("/{user}", "/9"),
            ("/{room}{connection}x{user}/", "/87x9/"),
        ] {
            assert_eq!(rendered(path), sent);
        }
    }

    #[test]
    fn slips_are_found() {
        assert_eq!(PathTemplate::parse("ws"), Err(PathError::NotAbsolute));
        assert_eq!(PathTemplate::parse("/#"), Err(PathError::Fragment));
        assert_eq!(PathTemplate::parse("/a}"), Err(PathError::Unopened));
        assert_eq!(PathTemplate::parse("/{user"), Err(PathError::Unclosed));
        let unknown = PathTemplate::parse("/{User}").unwrap_err();
        assert!(unknown.to_string().starts_with("'{User}' is not"));
    }

    proptest! {
        /// Whatever is accepted can stand in a request line.
        #[test]
        fn a_path_has_no_bytes_that_end_it(text in "[/?]\\PC{0,40}") {
            if let Ok(template) = PathTemplate::parse(&text) {
                let path = template.render(Placeholders::default()).into_owned();
                prop_assert!(path.starts_with('/'));
                prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
