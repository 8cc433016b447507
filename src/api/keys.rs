//! The keys of the API, and what the backend that has one may do.
//!
//! ```toml
//! [[keys]]
//! name = "shop"
//! key = "…"
//! publish = ["orders:*", "user:{id}"]
//! read = true
//! max_rate = 500
//! ```
//!
//! # Invariants worth naming
//!
//! - A key is compared with all there are, each in a time that depends on its length
//!   only, so that an answer's delay says nothing about a key.
//! - A key is in no log line and in no error: it is called by its name.
//! - A key that is in the file before and after it was read again keeps its rate.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;

use super::error::Problem;
use super::limits;
use crate::access::TopicPattern;
use crate::config::{Config, ConfigError};
use crate::rate::{Bucket, Rate};

/// All keys, as the file has them.
#[derive(Debug)]
pub(crate) struct Keys {
    keys: Vec<Arc<Key>>,
    /// The caller without a key, where none is asked for.
    anyone: Option<Arc<Key>>,
    started: Instant,
}

/// A key and what its owner may do.
pub(super) struct Key {
    name: Box<str>,
    secret: Box<[u8]>,
    publish: Vec<TopicPattern>,
    read: bool,
    disconnect: bool,
    rate: Option<Rate>,
    bucket: Mutex<Bucket>,
}

/// The keys of a table, as they are typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    keys: Vec<TypedKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedKey {
    name: String,
    key: Secret,
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    read: bool,
    #[serde(default)]
    disconnect: bool,
    #[serde(default)]
    max_rate: u32,
}

/// A text that no error shows.
struct Secret(String);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Secret(text)),
            _ => Err(serde::de::Error::custom("a key is text in quotes")),
        }
    }
}

impl Keys {
    /// The keys that the configuration names; anyone may come where it asks for none.
    ///
    /// # Errors
    /// When the file cannot be read or cannot stand.
    pub(crate) fn read(config: &Config) -> Result<Keys, ConfigError> {
        let Some(path) = &config.api_key_file else {
            tracing::warn!(
                "the HTTP API asks for no key, so whoever reaches it may publish to every client"
            );
            return Ok(Keys::for_anyone());
        };
        let problem = |problem: String| {
            let path = path.display();
            ConfigError::new("api_key_file", format!("'{path}' {problem}"))
        };
        let text = read_file(path).map_err(problem)?;
        let keys = Keys::parse(&text)
            .map_err(|fault| problem(format!("is not a file of keys: {fault}")))?;
        tracing::info!("the HTTP API knows {keys}");
        Ok(keys)
    }

    fn for_anyone() -> Keys {
        let anyone = Key {
            name: "anyone".into(),
            secret: Box::default(),
            publish: vec!["*".parse().expect("a pattern")],
            read: true,
            disconnect: true,
            rate: None,
            bucket: Mutex::default(),
        };
        Keys {
            keys: Vec::new(),
            anyone: Some(Arc::new(anyone)),
            started: Instant::now(),
        }
    }

    fn parse(text: &str) -> Result<Keys, String> {
        // The error as a whole would show the line, and with it the key.
        let typed: Typed = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start);
            let line = text
                .get(..before)
                .unwrap_or_default()
                .lines()
                .count()
                .max(1);
            format!("near line {line}: {}", error.message())
        })?;
        if typed.keys.is_empty() || typed.keys.len() > limits::KEYS {
            let (count, most) = (typed.keys.len(), limits::KEYS);
            return Err(format!("it has {count} [[keys]]; allowed: 1 to {most}"));
        }
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for (place, typed) in typed.keys.into_iter().enumerate() {
            let key = Key::new(typed).map_err(|fault| format!("keys[{place}]: {fault}"))?;
            for other in &keys {
                if other.name == key.name {
                    return Err(format!("two keys are called '{}'", key.name));
                }
                if other.secret == key.secret {
                    let (a, b) = (&other.name, &key.name);
                    return Err(format!(
                        "'{a}' and '{b}' have the same key; give each its own"
                    ));
                }
            }
            keys.push(Arc::new(key));
        }
        Ok(Keys {
            keys,
            anyone: None,
            started: Instant::now(),
        })
    }

    /// The same with the rates as far as they are used up now.
    pub(crate) fn after(mut self, before: &Keys) -> Keys {
        self.started = before.started;
        for key in &self.keys {
            let same = |other: &&Arc<Key>| other.name == key.name && other.rate == key.rate;
            if let Some(other) = before.keys.iter().find(same) {
                *lock(&key.bucket) = *lock(&other.bucket);
            } else if let Some(rate) = key.rate {
                *lock(&key.bucket) = Bucket::full(rate, self.elapsed_ms());
            }
        }
        self
    }

    /// Whether a key is asked for.
    pub(super) fn are_needed(&self) -> bool {
        self.anyone.is_none()
    }

    /// The owner of what was given for a key.
    pub(super) fn find(&self, given: Option<&[u8]>) -> Result<Arc<Key>, Problem> {
        if let Some(anyone) = &self.anyone {
            return Ok(Arc::clone(anyone));
        }
        let given = given.ok_or(Problem::Unauthorized("there is no key"))?;
        let mut found = None;
        for key in &self.keys {
            // All are looked at, so that the place of a key in the file does not show.
            if bool::from(key.secret.ct_eq(given)) {
                found = Some(key);
            }
        }
        let found = found.ok_or(Problem::Unauthorized("the key is not known"))?;
        Ok(Arc::clone(found))
    }

    /// Counts an operation of a key's owner, if its rate allows one.
    pub(super) fn admit(&self, key: &Key) -> Result<(), Problem> {
        let Some(rate) = key.rate else {
            return Ok(());
        };
        let now_ms = self.elapsed_ms();
        let mut bucket = lock(&key.bucket);
        match bucket.wait_ms(rate, now_ms) {
            0 => {
                bucket.take(1);
                Ok(())
            }
            wait_ms => Err(Problem::OverRate(wait_ms.div_ceil(1_000))),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        // Milliseconds of a process fit.
        self.started.elapsed().as_millis() as u64
    }
}

/// The names and rights of all, for the log.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.keys.iter().map(|key| key.to_string()).collect();
        let noun = if words.len() == 1 { "key" } else { "keys" };
        write!(f, "{} {noun}: {}", words.len(), words.join("; "))
    }
}

impl Key {
    fn new(typed: TypedKey) -> Result<Key, String> {
        let TypedKey {
            name,
            key: Secret(secret),
            publish,
            read,
            disconnect,
            max_rate,
        } = typed;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
            return Err("its name is not up to 64 letters, digits, '-', '_' and '.'".to_owned());
        }
        let allowed = limits::MIN_SECRET_BYTES..=limits::MAX_SECRET_BYTES;
        if !allowed.contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "the key of '{name}' is not {} to {} visible ASCII characters without spaces; \
                 'openssl rand -hex 32' makes a good one",
                limits::MIN_SECRET_BYTES,
                limits::MAX_SECRET_BYTES
            ));
        }
        if publish.len() > limits::PATTERNS {
            return Err(format!(
                "'{name}' has more than {} patterns",
                limits::PATTERNS
            ));
        }
        let publish: Vec<TopicPattern> = publish
            .iter()
            .map(|pattern| pattern.parse())
            .collect::<Result<_, String>>()
            .map_err(|fault| format!("'{name}' may publish to: {fault}"))?;
        if publish.is_empty() && !read && !disconnect {
            return Err(format!(
                "'{name}' may do nothing; give it publish = [\"topic:*\"], read = true or \
                 disconnect = true"
            ));
        }
        let rate = Rate::new(max_rate as usize, Duration::from_secs(1));
        Ok(Key {
            name: name.into(),
            secret: secret.into_bytes().into(),
            publish,
            read,
            disconnect,
            bucket: Mutex::new(rate.map_or_else(Bucket::default, |rate| Bucket::full(rate, 0))),
            rate,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether its owner may publish to a topic.
    pub(super) fn may_publish_to(&self, topic: &str) -> Result<(), Problem> {
        if self.publish.iter().any(|pattern| pattern.matches(topic)) {
            return Ok(());
        }
        Err(self.lacks("may not publish to this topic; its publish patterns do not match it"))
    }

    /// Whether its owner may ask about topics and the server.
    pub(super) fn may_read(&self) -> Result<(), Problem> {
        match self.read {
            true => Ok(()),
            false => Err(self.lacks("may not ask; it has no read = true")),
        }
    }

    fn lacks(&self, what: &str) -> Problem {
        Problem::Forbidden(Cow::Owned(format!("the key '{}' {what}", self.name)))
    }

    /// Counts further operations of a request that is under way, whether the rate allows
    /// them or not: they are paid back before the next request.
    pub(super) fn take(&self, operations: usize) {
        if self.rate.is_some() {
            lock(&self.bucket).take(operations as u64);
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let publish = self
            .publish
            .iter()
            .map(|pattern| format!("publish {pattern}"));
        let read = self.read.then(|| "read".to_owned());
        let disconnect = self.disconnect.then(|| "disconnect".to_owned());
        let rights: Vec<_> = publish.chain(read).chain(disconnect).collect();
        write!(f, "{} ({})", self.name, rights.join(", "))
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.permissions().mode();
    if mode & 0o004 != 0 {
        tracing::warn!(
            "every user of this host can read the API's keys in '{path}'; run: chmod o-r '{path}'",
            path = path.display()
        );
    }
    let mut text = String::new();
    let read = file
        .take(limits::KEY_FILE_BYTES + 1)
        .read_to_string(&mut text);
    match read.map_err(cannot)? as u64 > limits::KEY_FILE_BYTES {
        true => Err(format!("is larger than {} bytes", limits::KEY_FILE_BYTES)),
        false => Ok(text),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Its value is whole at every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn parsed(more: &str) -> Result<Keys, String> {
        Keys::parse(&format!(
            "[[keys]]\nname = 'shop'\nkey = '{SECRET}'\n{more}"
        ))
    }

    fn find(keys: &Keys, given: &str) -> Result<Arc<Key>, Problem> {
        keys.find(Some(given.as_bytes()))
    }

    #[test]
    fn a_key_is_found_by_all_of_its_bytes() {
        let keys = parsed(
            "publish = ['orders:*', 'user:{id}']\n\
             [[keys]]\nname = 'dash'\nkey = 'fedcba9876543210'\nread = true",
        )
        .unwrap();
        let shop = find(&keys, SECRET).unwrap();
        assert_eq!(shop.name(), "shop");
        shop.may_publish_to("orders:7").unwrap();
        shop.may_publish_to("user:7").unwrap();
        assert!(shop.may_publish_to("user:7:a").is_err());
        assert!(shop.may_read().is_err());
        find(&keys, "fedcba9876543210").unwrap().may_read().unwrap();
        for given in [
            "",
            "0",
            "0123456789abcdeF",
            "0123456789abcdef0",
            "0123456789abcde",
        ] {
            let problem = find(&keys, given).unwrap_err();
            assert!(matches!(problem, Problem::Unauthorized(_)), "{given}");
        }
        assert!(keys.find(None).is_err());
    }

    #[test]
    fn a_file_that_cannot_stand_says_why_and_shows_no_key() {
        for (text, part) in [
            ("", "missing field `keys`"),
            ("keys = []", "1 to 1000"),
            ("[[keys]]\nname = 'a'", "missing field `key`"),
            (
                "[[keys]]\nname = 'a'\nkey = 'short'\nread = true",
                "16 to 512",
            ),
            (
                "[[keys]]\nname = 'a'\nkey = 'has a space in it'\nread = true",
                "without spaces",
            ),
            (
                "[[keys]]\nname = 'a'\nkey = 1234567890123456789\nread = true",
                "in quotes",
            ),
            (
                "[[keys]]\nname = 'a'\nkey = 0123456789abcdef\nread = true",
                "near line 3",
            ),
            (
                "[[keys]]\nname = ''\nkey = '0123456789abcdef'\nread = true",
                "its name",
            ),
            (
                "[[keys]]\nname = 'a\\nb'\nkey = '0123456789abcdef'",
                "its name",
            ),
            (
                "[[keys]]\nname = 'a'\nkey = '0123456789abcdef'",
                "may do nothing",
            ),
            (
                "[[keys]]\nname = 'a'\nkey = '0123456789abcdef'\npublish = ['*x']",
                "at the end",
            ),
            (
                "[[keys]]\nname = 'a'\nkey = '0123456789abcdef'\nwrite = true",
                "unknown field",
            ),
        ] {
            let fault = Keys::parse(text).map(drop).unwrap_err();
            assert!(fault.contains(part), "{fault}");
            for secret in ["0123456789abcdef", "1234567890123456789", "short"] {
                assert!(!fault.contains(secret), "{fault}");
            }
        }
        for (second, part) in [
            (
                "name = 'shop'\nkey = 'fedcba9876543210'",
                "two keys are called 'shop'",
            ),
            ("name = 'b'\nkey = '0123456789abcdef'", "the same key"),
        ] {
            let fault = parsed(&format!("read = true\n[[keys]]\n{second}\nread = true"));
            let fault = fault.map(drop).unwrap_err();
            assert!(fault.contains(part), "{fault}");
        }
        let keys = parsed("read = true").unwrap();
        assert!(!format!("{keys} {keys:?}").contains(SECRET));
    }

    #[test]
    fn a_rate_holds_and_a_batch_is_paid_back() {
        let keys = parsed("read = true\nmax_rate = 10").unwrap();
        let key = find(&keys, SECRET).unwrap();
        for _ in 0..10 {
            keys.admit(&key).unwrap();
        }
        assert!(matches!(keys.admit(&key), Err(Problem::OverRate(1))));
        key.take(50);
        let Err(Problem::OverRate(seconds)) = keys.admit(&key) else {
            panic!("50 more were taken");
        };
        assert!((5..=6).contains(&seconds), "{seconds}");
        // Reading the file again does not forgive it.
        let again = parsed("read = true\nmax_rate = 10").unwrap().after(&keys);
        let key = find(&again, SECRET).unwrap();
        assert!(again.admit(&key).is_err());
        let raised = parsed("read = true\nmax_rate = 20").unwrap().after(&keys);
        let key = find(&raised, SECRET).unwrap();
        raised.admit(&key).unwrap();
    }

    #[test]
    fn without_keys_anyone_may_do_everything() {
        let keys = Keys::for_anyone();
        let anyone = keys.find(None).unwrap();
        anyone.may_publish_to("any").unwrap();
        anyone.may_read().unwrap();
        keys.admit(&anyone).unwrap();
        assert!(!keys.are_needed());
    }
}
