//! The source of a connection, and the limits of one source.
//!
//! A connection's client is usually the other end of its TCP connection. Behind a proxy
//! that end is the proxy, and the client's address is a claim of others: of the
//! `X-Forwarded-For` header, or of the PROXY protocol header before the request.
//! `AddressPolicy` knows which proxies are trusted. The limits of each address are kept
//! in `Sources`, which all shards share.
//!
//! # Invariants worth naming
//!
//! - Only the word of a trusted proxy counts. A client's own claims in the same places
//!   are ignored.
//! - An address has one form. An IPv4 address that comes as `::ffff:192.0.2.7`
//!   is the IPv4 address, in networks, headers, peers and limits alike.
//! - Health checks have no place in the limits: what they took is given back, and a
//!   source that is over a limit has one spare place for them.
//! - Everything here happens once per connection, on the cold path. Without
//!   limits there is no table and nothing is shared.

mod address;
mod forwarded_for;
mod limits;
pub mod proxy_protocol;

#[cfg(feature = "cli")]
pub(crate) use address::canonical_network;
pub(crate) use address::{AddressPolicy, Finding, canonical_address};
pub use forwarded_for::client_of;
pub(crate) use limits::{Admission, SourceLimits, SourceRefusal, Sources, Spare};
