//! Whose word is taken for a client's address.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::client_of;
use crate::config::ClientAddress;
use crate::upgrade::{HttpError, Request};

/// Where the address of a connection's client is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is this one.
    Known(SocketAddr),
    /// In the PROXY header that comes before the request.
    InProxyHeader,
    /// In the headers of the request.
    InRequest,
}

/// How clients' addresses are found, and which proxies are believed.
#[derive(Debug, Clone)]
pub(crate) struct AddressPolicy {
    from: ClientAddress,
    trusted: Vec<IpNet>,
}

impl AddressPolicy {
    pub(crate) fn new(from: ClientAddress, trusted: &[IpNet]) -> Self {
        AddressPolicy {
            from,
            trusted: trusted.to_vec(),
        }
    }

    /// Where to look for the client of a connection from `peer`.
    ///
    /// # Errors
    /// When all connections must come through a proxy and this one does not.
    pub(crate) fn find(&self, peer: SocketAddr) -> Result<Finding, HttpError> {
        match (self.from, self.trusts(peer.ip())) {
            (ClientAddress::ForwardedFor, true) => Ok(Finding::InRequest),
            (ClientAddress::ProxyProtocol, true) => Ok(Finding::InProxyHeader),
            (ClientAddress::ProxyProtocol, false) => Err(HttpError::NotThroughProxy),
            (ClientAddress::Peer | ClientAddress::ForwardedFor, _) => Ok(Finding::Known(peer)),
        }
    }

    /// The client that a trusted proxy says the request is of, if it says so.
    pub(crate) fn forwarded_for(&self, request: &Request) -> Option<SocketAddr> {
        client_of(request.headers_named("x-forwarded-for"), |address| {
            self.trusts(address)
        })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        // A listener on `[::]` sees IPv4 peers in their IPv6 form.
        let address = address.to_canonical();
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(from: ClientAddress) -> AddressPolicy {
        AddressPolicy::new(
            from,
            &["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        )
    }

    fn find(from: ClientAddress, peer: &str) -> Result<Finding, HttpError> {
        policy(from).find(peer.parse().unwrap())
    }

    #[test]
    fn only_trusted_proxies_are_asked() {
        for proxy in ["10.1.2.3:1", "[fd00::1]:1", "[::ffff:10.1.2.3]:1"] {
            let known = Finding::Known(proxy.parse().unwrap());
            assert_eq!(find(ClientAddress::Peer, proxy), Ok(known));
            assert_eq!(
                find(ClientAddress::ForwardedFor, proxy),
                Ok(Finding::InRequest)
            );
            assert_eq!(
                find(ClientAddress::ProxyProtocol, proxy),
                Ok(Finding::InProxyHeader)
            );
        }
        for other in ["192.0.2.7:1", "[2001:db8::7]:1"] {
            let known = Finding::Known(other.parse().unwrap());
            assert_eq!(find(ClientAddress::Peer, other), Ok(known));
            assert_eq!(find(ClientAddress::ForwardedFor, other), Ok(known));
            assert_eq!(
                find(ClientAddress::ProxyProtocol, other),
                Err(HttpError::NotThroughProxy)
            );
        }
    }
}
