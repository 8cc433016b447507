//! Where a connection comes from, and how much one source may ask for.
//!
//! A connection's client is usually the other end of its TCP connection. Behind
//! a proxy that end is the proxy, and the client's address is the word of
//! somebody else: of the `X-Forwarded-For` header, or of the PROXY protocol
//! header before the request. `AddressPolicy` knows whose word counts. What
//! one address may ask for is kept in `Sources`, which all shards share.
//!
//! # Invariants worth naming
//!
//! - Only the word of a trusted proxy counts. What a client says of itself in
//!   the same places is not looked at.
//! - An address has one form. An IPv4 address that comes as `::ffff:192.0.2.7`
//!   is the IPv4 address, in networks, headers, peers and limits alike.
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
pub(crate) use limits::{Admission, SourceLimits, SourceRefusal, Sources};
