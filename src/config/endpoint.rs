//! An address at which a server is reached, and the protocol spoken there.

use std::fmt;
use std::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The most endpoints of one server. Each has a listening socket on each shard.
pub const MAX_ENDPOINTS: usize = 32;

/// The most Unix sockets of one server.
pub(crate) const MAX_UNIX_SOCKETS: usize = 8;

/// An address that a server listens on, and the protocol spoken there.
///
/// ```
/// use corecast::config::EndpointKind;
/// use corecast::Endpoint;
///
/// let endpoint: Endpoint = "[::1]:8080".parse()?;
/// assert_eq!(endpoint.address.port(), 8080);
/// assert_eq!(endpoint.kind, EndpointKind::Plain);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// The address. Port 0 lets the kernel choose one port for all shards.
    pub address: SocketAddr,
    /// The protocol spoken there.
    pub kind: EndpointKind,
}

/// The protocol spoken at an [`Endpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EndpointKind {
    /// WebSocket over plain TCP (`ws://`).
    #[default]
    Plain,
}

impl Endpoint {
    /// An endpoint for WebSocket over plain TCP.
    pub fn plain(address: SocketAddr) -> Self {
        Endpoint {
            address,
            kind: EndpointKind::Plain,
        }
    }

    /// The endpoint as a URL without a path, as in `ws://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        match self.kind {
            EndpointKind::Plain => format!("ws://{}", self.address),
        }
    }

    /// Whether this is every IPv6 address and one of `others` every IPv4 address, on
    /// the same port: then this one must leave IPv4 alone.
    pub(crate) fn is_beside_ipv4(&self, others: &[Endpoint]) -> bool {
        let is_any = |endpoint: &Endpoint, ip: IpAddr| endpoint.address.ip() == ip;
        let port = self.address.port();
        is_any(self, Ipv6Addr::UNSPECIFIED.into())
            && port != 0
            && others.iter().any(|other| {
                is_any(other, Ipv4Addr::UNSPECIFIED.into()) && other.address.port() == port
            })
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Endpoint::plain(address)
    }
}

impl FromStr for Endpoint {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Endpoint::plain)
    }
}

impl fmt::Display for Endpoint {
    /// As a person writes it for `--listen`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
