//! The keys that tokens are checked with: from secrets, PEM files, or a file with a JWK
//! Set (RFC 7517).
//!
//! # Invariants worth naming
//!
//! - A key has one algorithm (RFC 8725 §3.1), which is not the token's choice.
//! - No key is taken that is too weak, or that could also make tokens where a public
//!   one was asked for.
//! - What is said of a key in an error is its name, never its bytes.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};
use serde_json::{Map, Value};

use super::{NamedKey, TokenKey, TokenKeys};
use crate::config::TokenAlgorithm;

/// Bits of the smallest RSA key that may be used (RFC 7518 §3.3).
const MIN_RSA_BITS: usize = 2_048;
/// Bits of the largest RSA key whose signatures are checked.
const MAX_RSA_BITS: usize = RsaPublicKey::MAX_SIZE;
/// Bytes of the smallest secret: as many as the hash has (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;
/// Bytes of an Ed25519 public key (RFC 8032 §5.1.5).
const ED25519_BYTES: usize = 32;
/// The most keys. A token without a name is tried with each.
const MAX_KEYS: usize = 16;

/// A key that can be used.
pub(super) struct Key {
    /// Its name in the header of tokens.
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Key {
    /// The algorithm's name in the header of tokens.
    pub(super) fn name_of_algorithm(&self) -> &'static str {
        match self.algorithm {
            Algorithm::HS256 => "HS256",
            Algorithm::RS256 => "RS256",
            _ => "EdDSA",
        }
    }
}

/// Reads all keys.
///
/// # Errors
/// The fault of the first that cannot be used, and the remedy.
pub(super) fn read(keys: &TokenKeys) -> Result<Vec<Key>, String> {
    let keys = match keys {
        TokenKeys::Named(keys) => keys.iter().map(named).collect::<Result<Vec<_>, _>>()?,
        TokenKeys::JwksFile(path) => {
            jwks(&read_file(path)?).map_err(|cause| format!("'{}' {cause}", path.display()))?
        }
    };
    if keys.is_empty() {
        return Err("give at least one key".to_owned());
    }
    if keys.len() > MAX_KEYS {
        return Err(format!(
            "{} keys are too many, because a token may be tried with each; give {MAX_KEYS} at most",
            keys.len()
        ));
    }
    let mut names = HashSet::new();
    let kids = keys.iter().filter_map(|key| key.kid.as_ref());
    for kid in kids {
        if !names.insert(kid) {
            return Err(format!(
                "two keys are called '{kid}'; give each a kid of its own"
            ));
        }
    }
    Ok(keys)
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|cause| format!("'{}' cannot be read: {cause}", path.display()))
}

fn named(named: &NamedKey) -> Result<Key, String> {
    let (algorithm, key) = match (named.algorithm, &named.key) {
        (TokenAlgorithm::Hs256, TokenKey::Secret(secret)) => {
            (Algorithm::HS256, secret_key(secret.as_bytes())?)
        }
        (TokenAlgorithm::Hs256, TokenKey::SecretFile(path)) => {
            let secret = read_file(path)?;
            (Algorithm::HS256, secret_key(without_line_end(&secret))?)
        }
        (algorithm, TokenKey::PublicKeyFile(path)) if algorithm != TokenAlgorithm::Hs256 => {
            public_key(algorithm, &read_file(path)?)
                .map_err(|cause| format!("'{}' {cause}", path.display()))?
        }
        (TokenAlgorithm::Hs256, TokenKey::PublicKeyFile(_)) => {
            return Err("HS256 has no public key; give secret_file or secret".to_owned());
        }
        (algorithm, _) => {
            return Err(format!(
                "{} has no secret; give public_key_file",
                algorithm.as_str()
            ));
        }
    };
    Ok(Key {
        kid: named.kid.clone(),
        algorithm,
        key,
    })
}

/// Reads a JWK Set. Keys that are for something else, or of a kind that is not used
/// here, are left out with a line in the log, as RFC 7517 §5 asks for; the error
/// follows the name of the file.
fn jwks(text: &[u8]) -> Result<Vec<Key>, String> {
    let set: Map<String, Value> = serde_json::from_slice(text)
        .map_err(|cause| format!("is no JWK Set, as in {{\"keys\":[…]}}: {cause}"))?;
    let Some(Value::Array(members)) = set.get("keys") else {
        return Err("is no JWK Set: it has no list called keys".to_owned());
    };
    let mut keys = Vec::new();
    for (place, member) in members.iter().enumerate() {
        let name = match member.get("kid").and_then(Value::as_str) {
            Some(kid) => format!("the key '{kid}'"),
            None => format!("the key with the number {}", place + 1),
        };
        match jwk(member) {
            Ok(key) => keys.push(key),
            Err(Unusable::LeftOut(why)) => tracing::warn!("{name} of a JWK Set is not used: {why}"),
            Err(Unusable::Refused(why)) => {
                return Err(format!("has a key that cannot be used: {name} {why}"));
            }
        }
    }
    if keys.is_empty() {
        return Err("has no key for HS256, RS256 or EdDSA".to_owned());
    }
    Ok(keys)
}

/// Why a JWK is not used.
enum Unusable {
    /// It is for something else.
    LeftOut(String),
    /// It is a mistake to have it there.
    Refused(String),
}

fn jwk(member: &Value) -> Result<Key, Unusable> {
    let refused = |why: &str| Unusable::Refused(why.to_owned());
    let left_out = |why: String| Unusable::LeftOut(why);
    let text = |name: &str| member.get(name).and_then(Value::as_str);
    let bytes = |name: &str| {
        let decoded = text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        decoded.ok_or_else(|| Unusable::Refused(format!("has no '{name}' in base64url")))
    };
    if let Some(purpose) = text("use").filter(|purpose| *purpose != "sig") {
        return Err(left_out(format!("its use is '{purpose}'")));
    }
    if let Some(Value::Array(operations)) = member.get("key_ops")
        && !operations.iter().any(|operation| operation == "verify")
    {
        return Err(left_out("its key_ops have no 'verify'".to_owned()));
    }
    if member.get("kid").is_some_and(|kid| !kid.is_string()) {
        return Err(refused("has a 'kid' that is no text"));
    }
    let curve = text("crv").unwrap_or_default();
    let (algorithm, name) = match (text("kty").unwrap_or_default(), curve) {
        ("oct", _) => (Algorithm::HS256, "HS256"),
        ("RSA", _) => (Algorithm::RS256, "RS256"),
        ("OKP", "Ed25519") => (Algorithm::EdDSA, "EdDSA"),
        (kind, curve) => return Err(left_out(format!("its kty is '{kind}' {curve}"))),
    };
    // RFC 9864 calls it by its curve.
    let is_known = |alg: &str| alg == name || alg == "Ed25519" && name == "EdDSA";
    if let Some(other) = text("alg").filter(|alg| !is_known(alg)) {
        return Err(left_out(format!("its alg is '{other}'")));
    }
    if algorithm != Algorithm::HS256 && member.get("d").is_some() {
        return Err(refused(
            "is a private key, which only those who make tokens may have; leave out its 'd'",
        ));
    }
    let key = match algorithm {
        Algorithm::HS256 => {
            secret_key(&bytes("k")?).map_err(|why| Unusable::Refused(format!(": {why}")))?
        }
        Algorithm::RS256 => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            let numbers = [&n, &e].map(|bytes| BigUint::from_bytes_be(bytes));
            let [modulus, exponent] = numbers;
            let rsa = RsaPublicKey::new(modulus, exponent).map_err(not_rsa);
            rsa.and_then(|rsa| check_rsa(&rsa))
                .map_err(Unusable::Refused)?;
            DecodingKey::from_rsa_raw_components(&n, &e)
        }
        _ => {
            let x = bytes("x")?;
            if x.len() != ED25519_BYTES {
                return Err(Unusable::Refused(not_ed25519()));
            }
            DecodingKey::from_ed_components(text("x").unwrap_or_default())
                .map_err(|_| Unusable::Refused(not_ed25519()))?
        }
    };
    Ok(Key {
        kid: text("kid").map(str::to_owned),
        algorithm,
        key,
    })
}

fn not_rsa(cause: impl std::fmt::Display) -> String {
    format!("is not an RSA key of at most {MAX_RSA_BITS} bits: {cause}")
}

fn not_ed25519() -> String {
    format!("is not an Ed25519 key: those have {ED25519_BYTES} bytes")
}

/// Checks that an RSA key is large enough.
fn check_rsa(rsa: &RsaPublicKey) -> Result<(), String> {
    let bits = rsa.n().bits();
    if bits < MIN_RSA_BITS {
        return Err(format!(
            "is an RSA key of {bits} bits, whose private key can be found; give one of \
             {MIN_RSA_BITS} to {MAX_RSA_BITS}"
        ));
    }
    Ok(())
}

/// A secret without the line end that an editor puts after it. Other space may
/// be part of random bytes.
fn without_line_end(secret: &[u8]) -> &[u8] {
    let secret = secret.strip_suffix(b"\n").unwrap_or(secret);
    secret.strip_suffix(b"\r").unwrap_or(secret)
}

fn secret_key(secret: &[u8]) -> Result<DecodingKey, String> {
    // A PEM file may be a public key, which must not be taken for a secret.
    if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
        return Err(
            "the secret is a key in PEM; give it as public_key_file with the algorithm RS256 or \
             EdDSA, or a secret of random bytes"
                .to_owned(),
        );
    }
    if secret.len() < MIN_SECRET_BYTES {
        return Err(format!(
            "a secret of {} bytes can be guessed; give at least {MIN_SECRET_BYTES}, as from \
             'openssl rand -base64 32'",
            secret.len()
        ));
    }
    Ok(DecodingKey::from_secret(secret))
}

/// Reads a public key in PEM; the error follows the name of its file.
fn public_key(algorithm: TokenAlgorithm, pem: &[u8]) -> Result<(Algorithm, DecodingKey), String> {
    // A server that only checks tokens must not be able to make them.
    if String::from_utf8_lossy(pem).contains("PRIVATE KEY-----") {
        return Err(
            "holds a private key, which only those who make tokens may have; give the public \
             one, as from 'openssl pkey -pubout'"
                .to_owned(),
        );
    }
    let not_one = |_| {
        format!(
            "is not a public key for {} in PEM (-----BEGIN PUBLIC KEY-----)",
            algorithm.as_str()
        )
    };
    if algorithm == TokenAlgorithm::EdDsa {
        let key = DecodingKey::from_ed_pem(pem).map_err(not_one)?;
        return match key.try_get_as_bytes() {
            Ok(bytes) if bytes.len() == ED25519_BYTES => Ok((Algorithm::EdDSA, key)),
            _ => Err(not_ed25519()),
        };
    }
    let key = DecodingKey::from_rsa_pem(pem).map_err(not_one)?;
    let der = key.try_get_as_bytes().map_err(not_one)?;
    let rsa = RsaPublicKey::from_pkcs1_der(der).map_err(not_rsa)?;
    check_rsa(&rsa)?;
    Ok((Algorithm::RS256, key))
}
