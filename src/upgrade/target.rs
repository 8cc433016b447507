//! The request target: its path and query, and the texts they decode to (RFC 9112 §3.2,
//! RFC 3986).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::HttpError;

/// A request target taken apart, nothing decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The authority of an absolute URI; it overrules the `Host` header (RFC 9112 §3.2.2).
    pub(super) authority: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl Target<'_> {
    /// The whole server, about which OPTIONS can ask (RFC 9112 §3.2.4).
    pub(super) const SERVER: Target<'static> = Target {
        authority: None,
        path: "*",
        query: None,
    };
}

/// Takes a target in origin-form or absolute-form apart.
pub(super) fn split(target: &str) -> Result<Target<'_>, HttpError> {
    if target.contains('#') {
        return Err(HttpError::Target);
    }
    let (authority, rest) = if target.starts_with('/') {
        (None, target)
    } else {
        let (scheme, rest) = target.split_once("://").ok_or(HttpError::Target)?;
        let known = ["http", "https", "ws", "wss"];
        if !known.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(HttpError::Target);
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !is_authority(authority.as_bytes()) {
            return Err(HttpError::Target);
        }
        (Some(authority), rest)
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    // 'http://example.com?a=1' is a legal way to ask for '/'.
    let path = if path.is_empty() { "/" } else { path };
    Ok(Target {
        authority,
        path,
        query,
    })
}

/// Whether this is `host[:port]` without user information (RFC 3986 §3.2).
///
/// Stricter than the grammar in one point: no commas, because a comma here is
/// two `Host` headers that something on the way merged into one.
pub(super) fn is_authority(authority: &[u8]) -> bool {
    let (host, port) = match authority {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else {
                return false;
            };
            let address = std::str::from_utf8(&rest[..end]).unwrap_or_default();
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            match &rest[end + 1..] {
                [] => return true,
                [b':', port @ ..] => return is_port(port),
                _ => return false,
            }
        }
        _ => match authority.iter().position(|&byte| byte == b':') {
            Some(colon) => (&authority[..colon], &authority[colon + 1..]),
            None => (authority, &[][..]),
        },
    };
    !host.is_empty()
        && host
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte))
        && is_port(port)
}

/// A port may be empty (RFC 3986 §3.2.3).
fn is_port(port: &[u8]) -> bool {
    port.is_empty()
        || port.iter().all(u8::is_ascii_digit)
            && std::str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok())
}

/// A path as a person would write it: everything decoded.
pub(crate) fn decode_path(raw: &str) -> Result<Cow<'_, str>, HttpError> {
    let path = decode(raw, &[], false).ok_or(HttpError::PathEncoding)?;
    // Encoded control characters are of no use and forge lines in logs.
    if path.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(HttpError::PathEncoding);
    }
    Ok(path)
}

/// A path as it is routed: everything decoded but `%2F` and `%25`, so that an
/// encoded slash stays part of its segment and can still be told from the text
/// "%2F". Their digits are in upper case, as RFC 3986 §6.2.2.1 has them. `None`
/// if it is the decoded path, which is nearly always.
pub(super) fn routing_path(raw: &str) -> Option<String> {
    match decode(raw, b"/%", false)? {
        Cow::Owned(path) if path.contains('%') => Some(path),
        _ => None,
    }
}

/// A route's pattern in the form of [`routing_path`]. Its braces mean something;
/// those that were encoded are text, and are doubled to say so. `None` if no
/// path could have this form.
pub(crate) fn routing_pattern(pattern: &str) -> Option<String> {
    decode_path(pattern).ok()?;
    let mut parts = pattern.split('%');
    let mut text = parts.next()?.to_owned();
    // Runs of encoded bytes make characters together.
    let mut run = String::new();
    for part in parts {
        let (digits, literal) = part.split_at_checked(2)?;
        run.extend(["%", digits]);
        if !literal.is_empty() {
            push_decoded(&mut text, &std::mem::take(&mut run))?;
            text.push_str(literal);
        }
    }
    push_decoded(&mut text, &run)?;
    Some(text)
}

fn push_decoded(text: &mut String, encoded: &str) -> Option<()> {
    for character in decode(encoded, b"/%", false)?.chars() {
        if matches!(character, '{' | '}') {
            text.push(character);
        }
        text.push(character);
    }
    Some(())
}

/// Decodes what [`routing_path`] left encoded. Text that is not
/// percent-encoded comes back as it is.
pub(crate) fn decode_segment(segment: &str) -> Cow<'_, str> {
    decode(segment, &[], false).unwrap_or(Cow::Borrowed(segment))
}

/// Decodes a name or value of a query, where `+` is a space. `None` if it does
/// not decode to UTF-8.
pub(crate) fn decode_component(raw: &str) -> Option<Cow<'_, str>> {
    decode(raw, &[], true)
}

/// Replaces each `%XX` by its byte, except the bytes in `kept`. `None` if an
/// encoding is broken or the result is not UTF-8.
fn decode<'a>(raw: &'a str, kept: &[u8], plus_is_space: bool) -> Option<Cow<'a, str>> {
    if !(raw.contains('%') || plus_is_space && raw.contains('+')) {
        return Some(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let [high, low, tail @ ..] = rest else {
                    return None;
                };
                let byte = hex(*high)? << 4 | hex(*low)?;
                rest = tail;
                if kept.contains(&byte) {
                    let digits = [high, low].map(u8::to_ascii_uppercase);
                    decoded.extend_from_slice(&[b'%', digits[0], digits[1]]);
                } else {
                    decoded.push(byte);
                }
            }
            b'+' if plus_is_space => decoded.push(b' '),
            byte => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        let cases = [
            ("/", None, "/", None),
            ("/a/b?c=d?e", None, "/a/b", Some("c=d?e")),
            ("/a?", None, "/a", Some("")),
            ("//a", None, "//a", None),
            ("http://h", Some("h"), "/", None),
            ("WSS://h:1?x", Some("h:1"), "/", Some("x")),
            ("ws://[::1]:80/a", Some("[::1]:80"), "/a", None),
        ];
        for (target, authority, path, query) in cases {
            let expected = Target {
                authority,
                path,
                query,
            };
            assert_eq!(split(target), Ok(expected), "{target}");
        }
    }

    #[test]
    fn targets_that_are_refused() {
        for target in [
            "*",
            "a",
            "example.com:80",
            "ftp://h/",
            "http:///a",
            "http://user@h/",
            "http://h:x/",
            "/a#b",
            "http://",
            "://h/",
        ] {
            assert_eq!(split(target), Err(HttpError::Target), "{target}");
        }
    }

    #[test]
    fn authorities() {
        for good in [
            "h",
            "h:",
            "h:80",
            "1.2.3.4:5",
            "[::1]",
            "[::1]:65535",
            "a_b.c",
        ] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "h:65536", "h:+1", "h:1:2", "a b", "a,b", "[::1", "[x]", "[::1]x", "a/b",
            "u@h", "é",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn paths_are_decoded_once() {
        assert_eq!(decode_path("/a%20b%C3%A9").unwrap(), "/a bé");
        assert_eq!(decode_path("/%252F").unwrap(), "/%2F");
        assert_eq!(decode_path("/a+b").unwrap(), "/a+b");
        for broken in [
            "/%", "/%4", "/%zz", "/%ff", "/%c3", "/%00", "/%0a", "/%7F", "/%+1",
        ] {
            assert_eq!(
                decode_path(broken),
                Err(HttpError::PathEncoding),
                "{broken}"
            );
        }
    }

    #[test]
    fn an_encoded_slash_is_routed_as_part_of_its_segment() {
        assert_eq!(routing_path("/ws/a%20b"), None);
        assert_eq!(routing_path("/ws/a%2fb").as_deref(), Some("/ws/a%2Fb"));
        assert_eq!(routing_path("/w%73/%252F").as_deref(), Some("/ws/%252F"));
        assert_eq!(decode_segment("a%2fb"), "a/b");
        assert_eq!(decode_segment("%252F"), "%2F");
    }
}
