//! Headers that are added to the opening handshake.

/// Headers the tool writes itself, with the reason or the replacement.
const OWN: &[(&str, &str)] = &[
    ("host", "it follows the URL"),
    ("upgrade", "it is always sent"),
    ("connection", "it is always sent"),
    ("sec-websocket-key", "it is new for every connection"),
    ("sec-websocket-version", "it is always 13"),
    ("sec-websocket-extensions", "extensions are not spoken"),
    ("sec-websocket-protocol", "set the subprotocol instead"),
];

/// Checks one header that is to be added to every opening handshake.
///
/// # Errors
///
/// When the name is not a token (RFC 9110 §5.6.2), the value has a line break
/// or another control character, or the tool writes this header itself.
pub fn check_header(name: &str, value: &str) -> Result<(), HeaderError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(HeaderError::Name { name: name.into() });
    }
    if let Some((_, instead)) = OWN.iter().find(|(own, _)| name.eq_ignore_ascii_case(own)) {
        return Err(HeaderError::Own {
            name: name.into(),
            instead,
        });
    }
    if value
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t')
    {
        return Err(HeaderError::Value { name: name.into() });
    }
    Ok(())
}

/// Why a header cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The name is empty or has characters no header's name has.
    #[error("'{name}' is not a header's name; letters, digits and dashes are, as in X-Token")]
    Name {
        /// The name.
        name: String,
    },
    /// The value has a control character.
    #[error("the value of the header '{name}' has a line break or another control character")]
    Value {
        /// The header's name.
        name: String,
    },
    /// The tool writes it itself.
    #[error("the header '{name}' cannot be set: {instead}")]
    Own {
        /// The header's name.
        name: String,
        /// The advice for the error message.
        instead: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_handshake_is_refused() {
        assert_eq!(check_header("X-Token", "a b\tc"), Ok(()));
        assert_eq!(check_header("Origin", "https://example.com"), Ok(()));
        for (name, value, words) in [
            ("", "x", "not a header's name"),
            ("X Token", "x", "not a header's name"),
            ("X:", "x", "not a header's name"),
            ("X", "a\r\nHost: b", "line break"),
            ("HOST", "x", "follows the URL"),
            ("Sec-WebSocket-Protocol", "chat", "subprotocol"),
        ] {
            let complaint = check_header(name, value).unwrap_err().to_string();
            assert!(complaint.contains(words), "{complaint}");
        }
    }
}
