//! Every bound of the HTTP API that is no setting, in one place.

use std::time::Duration;

/// Connections at once. With the largest body for each, this is the most that the API
/// keeps of what clients send.
pub(crate) const CONNECTIONS: usize = 256;

/// Time that a client has for the body of a request.
pub(super) const BODY_TIME: Duration = Duration::from_secs(10);

/// Time that the publications of one request may wait for room on the rings, all
/// together.
pub(super) const ROOM_TIME: Duration = Duration::from_millis(500);

/// Time that shards have to answer the questions of one request.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(2);

/// When a client should try again that found the rings full, in seconds.
pub(super) const RETRY_AFTER: u64 = 1;

/// Bytes of a topic's name; sessions may join none that is longer.
pub(super) const TOPIC_BYTES: usize = 1_024;

/// Bytes of an event's name, and of a tag's; protocols have one byte for their length.
pub(super) const NAME_BYTES: usize = 255;

/// Tags of a publication.
pub(super) const TAGS: usize = 64;

/// Bytes of a tag's value.
pub(super) const TAG_BYTES: usize = 1_024;

/// Commands of a batch.
pub(super) const COMMANDS: usize = 10_000;

/// Channels of a broadcast.
pub(super) const CHANNELS: usize = 10_000;

/// Topics that the method `channels` answers with, which has no pages.
pub(super) const LISTED_CHANNELS: usize = 10_000;

/// Topics of a page of `GET /topics`, and how many there are if the client does not say.
pub(super) const PAGE: usize = 1_000;
pub(super) const DEFAULT_PAGE: usize = 100;

/// Lists that are made at the same time; further ones wait.
pub(super) const LISTS: usize = 8;

/// Age at which a connection is closed after the answer under way, so that a client which
/// does not read its answer does not keep it for long.
pub(crate) const CONNECTION_AGE: Duration = Duration::from_secs(600);

/// Questions to the shards for one list: a table of two million topics on a shard is
/// walked to its end.
pub(super) const QUESTIONS: usize = 512;

/// Bytes of an idempotency key.
pub(super) const IDEMPOTENCY_BYTES: usize = 255;

/// How long an idempotency key is known.
pub(super) const IDEMPOTENCY_TIME: Duration = Duration::from_secs(300);

/// Idempotency keys that are known at once: some six megabytes. The oldest is forgotten
/// before its time when another comes.
pub(super) const IDEMPOTENCY_KEYS: usize = 65_536;

/// Bytes of the file with the keys, the keys in it, and the patterns of one.
pub(super) const KEY_FILE_BYTES: u64 = 1024 * 1024;
pub(super) const KEYS: usize = 1_000;
pub(super) const PATTERNS: usize = 1_000;

/// Bytes of a key: shorter ones can be guessed, longer ones do not fit in a header.
pub(super) const MIN_SECRET_BYTES: usize = 16;
pub(super) const MAX_SECRET_BYTES: usize = 512;
