//! Signed tokens: which topics a session may join and publish to (RFC 7519, with the
//! advice of RFC 8725).
//!
//! The `jsonwebtoken` crate checks signatures, times, audience and issuer. Here
//! is what it leaves to its caller: headers that must be understood, which key a
//! token may be of, claims of the wrong type, and audiences where none is expected.
//! `keys` reads the keys.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::keys::{self, Key};
use super::{TokenFault, TokenSetting, TopicPattern};

/// The claims of a token. A claim of the wrong type makes it a bad one.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    /// The subject: the user that the token stands for.
    pub(crate) sub: Option<String>,
    /// Patterns of the topics that may be joined with it.
    #[serde(default)]
    topics: Vec<String>,
    /// Patterns of the topics, or paths, that may be published to with it.
    #[serde(default)]
    publish: Vec<String>,
    /// Which the crate would also take as a list (RFC 7519 §4.1.1 has none).
    #[serde(rename = "iss")]
    _issuer: Option<String>,
    #[serde(rename = "aud")]
    audience: Option<IgnoredAny>,
    /// When it expires, where sessions end with it.
    #[serde(rename = "exp")]
    expiry: Option<f64>,
}

impl Claims {
    /// When a session that has shown it ends, in seconds since the Unix epoch, if it
    /// does.
    pub(crate) fn ends_session_at(&self) -> Option<u64> {
        // A fraction of a second is left out, so that it does not end late.
        self.expiry.map(|expiry| expiry as u64)
    }

    /// Whether this topic may be joined.
    pub(crate) fn allow(&self, topic: &str) -> bool {
        is_named(topic, &self.topics)
    }

    /// Whether this topic, or path, may be published to.
    pub(crate) fn allow_publishing(&self, topic: &str) -> bool {
        is_named(topic, &self.publish)
    }
}

/// Whether one of the patterns is about a topic.
fn is_named(topic: &str, patterns: &[String]) -> bool {
    // A pattern that is none allows nothing.
    let mut patterns = patterns.iter().filter_map(|text| text.parse().ok());
    patterns.any(|pattern: TopicPattern| pattern.matches(topic))
}

/// Tells good tokens from bad ones.
pub(crate) struct Verifier {
    keys: Vec<Key>,
    validation: Validation,
    has_audience: bool,
    ends_sessions: bool,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Verifier {
    /// Reads the keys.
    ///
    /// # Errors
    /// The fault of the setting or its keys, and the remedy.
    pub(crate) fn new(setting: &TokenSetting) -> Result<Self, String> {
        let keys = keys::read(&setting.keys)?;
        // Each key brings its algorithm.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        // On its expiry a token is over already (RFC 7519 §4.1.4).
        validation.reject_tokens_expiring_in_less_than = 1;
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        validation.validate_aud = setting.audience.is_some();
        if let Some(audience) = &setting.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &setting.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        Ok(Verifier {
            keys,
            validation,
            has_audience: setting.audience.is_some(),
            ends_sessions: setting.ends_sessions,
        })
    }

    /// The claims of a token, if it is good now.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        self.check(token).ok()
    }

    /// The claims of a token.
    ///
    /// # Errors
    /// Whether a token with a good signature has run out, or is not good at all.
    pub(crate) fn check(&self, token: &str) -> Result<Claims, TokenFault> {
        let header = Header::of(token).ok_or(TokenFault::Invalid)?;
        let mut fault = TokenFault::Invalid;
        let mut keys = self.keys.iter().filter(|key| header.may_be_of(key));
        let claims = keys.find_map(|key| {
            let mut validation = self.validation.clone();
            // A token does not choose how it is checked (RFC 8725 §3.1).
            validation.algorithms = vec![key.algorithm];
            let decoded = decode::<Claims>(token, &key.key, &validation);
            // The time is looked at after the signature.
            if let Err(error) = &decoded
                && matches!(error.kind(), ErrorKind::ExpiredSignature)
            {
                fault = TokenFault::Expired;
            }
            Some(decoded.ok()?.claims)
        });
        let mut claims = claims.ok_or(fault)?;
        if !self.ends_sessions {
            claims.expiry = None;
        }
        // The token has an audience, and the configuration does not say that it is ours
        // (RFC 7519 §4.1.3).
        match claims.audience.is_some() && !self.has_audience {
            true => Err(TokenFault::Invalid),
            false => Ok(claims),
        }
    }
}

/// The header of a token, which says what key it was signed with.
struct Header {
    algorithm: String,
    kid: Option<String>,
}

impl Header {
    /// Reads the header of a token, if it asks for nothing that is not done here: no
    /// extension is, so any `crit` is a reason to refuse, its malformed forms
    /// included (RFC 7515 §4.1.11), and so is a payload that is not encoded, with
    /// `crit` or without (RFC 7797 §6). Keys that a token brings along (`jwk`, `jku`,
    /// `x5c`, `x5u`) are not looked at: anyone can bring one.
    fn of(token: &str) -> Option<Self> {
        let header = token.split('.').next().unwrap_or_default();
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Map<String, Value> = serde_json::from_slice(&header).ok()?;
        if header.contains_key("crit") || header.get("b64").is_some_and(|b64| *b64 != true) {
            return None;
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Header {
            algorithm: text(header.get("alg")?)?,
            // One that is no text is no name (RFC 7515 §4.1.4).
            kid: match header.get("kid") {
                Some(kid) => Some(text(kid)?),
                None => None,
            },
        })
    }

    /// Whether a token with this header may have been signed with a key: with its
    /// algorithm, and under its name where both have one.
    fn may_be_of(&self, key: &Key) -> bool {
        let is_named = |kid: &String| self.kid.as_ref().is_none_or(|named| named == kid);
        self.algorithm == key.name_of_algorithm() && key.kid.as_ref().is_none_or(is_named)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use jsonwebtoken::{EncodingKey, encode};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::access::{NamedKey, TokenKey, TokenKeys};
    use crate::config::TokenAlgorithm;

    fn secret(number: usize) -> String {
        format!("secret number {number} of a test, long enough")
    }

    fn key(kid: Option<&str>, number: usize) -> NamedKey {
        NamedKey {
            kid: kid.map(str::to_owned),
            algorithm: TokenAlgorithm::Hs256,
            key: TokenKey::Secret(secret(number)),
        }
    }

    fn verifier(keys: Vec<NamedKey>) -> Result<Verifier, String> {
        let setting = TokenSetting::new(TokenAlgorithm::Hs256, TokenKey::Secret(secret(0)));
        Verifier::new(&TokenSetting {
            keys: TokenKeys::Named(keys),
            ..setting
        })
    }

    fn expiry() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_secs() + 600
    }

    fn sign(kid: Option<&str>, number: usize) -> String {
        let header = jsonwebtoken::Header {
            kid: kid.map(str::to_owned),
            ..Default::default()
        };
        let key = EncodingKey::from_secret(secret(number).as_bytes());
        encode(&header, &json!({"exp": expiry()}), &key).unwrap()
    }

    const KIDS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("")];

    proptest! {
        /// The oracle knows which secret made the token and what each key is called; the
        /// verifier knows the token only.
        #[test]
        fn a_token_is_good_if_its_own_key_is_there_under_its_name(
            keys in prop::collection::vec((0..4_usize, 0..4_usize), 1..6),
            (kid, number) in (0..4_usize, 0..4_usize),
        ) {
            // Two keys of one name would be refused.
            let mut names = std::collections::HashSet::new();
            let keys: Vec<_> = keys
                .into_iter()
                .filter(|(kid, _)| KIDS[*kid].is_none() || names.insert(*kid))
                .collect();
            let is_good = keys.iter().any(|&(key_kid, key_number)| {
                let [ours, theirs] = [KIDS[key_kid], KIDS[kid]];
                let name_fits = ours.is_none() || theirs.is_none() || ours == theirs;
                key_number == number && name_fits
            });
            let keys = keys.iter().map(|&(kid, number)| key(KIDS[kid], number)).collect();
            let verifier = verifier(keys).unwrap();
            prop_assert_eq!(verifier.verify(&sign(KIDS[kid], number)).is_some(), is_good);
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_a_bad_token() {
        let verifier = verifier(vec![key(None, 1)]).unwrap();
        assert!(verifier.verify(&sign(Some("any"), 1)).is_some());
        for kid in ["5", "null", "[\"a\"]", "{}"] {
            let header = format!(r#"{{"alg":"HS256","kid":{kid}}}"#);
            let text = sign(None, 1);
            let (_, rest) = text.split_once('.').unwrap();
            let token = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert!(verifier.verify(&token).is_none(), "{kid}");
        }
    }

    #[test]
    fn two_keys_have_two_names() {
        let error = verifier(vec![key(Some("a"), 1), key(Some("a"), 2)]).unwrap_err();
        assert!(error.contains("two keys are called 'a'"), "{error}");
        let error = verifier(Vec::new()).unwrap_err();
        assert!(error.contains("at least one key"), "{error}");
    }

    #[test]
    fn the_end_of_a_session_is_told_only_if_asked_for() {
        let setting = TokenSetting::new(TokenAlgorithm::Hs256, TokenKey::Secret(secret(0)));
        for ends_sessions in [false, true] {
            let setting = TokenSetting {
                ends_sessions,
                ..setting.clone()
            };
            let claims = Verifier::new(&setting).unwrap().verify(&sign(None, 0));
            let end = claims.unwrap().ends_session_at();
            assert_eq!(end.is_some(), ends_sessions);
        }
    }
}
