//! The trust in proxies: which of them may name a client's address.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use super::client_of;
use crate::config::ClientAddress;
use crate::upgrade::Request;

/// The place in which the address of a connection's client is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is this one.
    Known(SocketAddr),
    /// In the PROXY header that comes before the request.
    InProxyHeader,
    /// In the headers of the request.
    InRequest,
    /// It is this one, which does not come through a proxy although it should.
    PastProxy(SocketAddr),
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
            trusted: trusted.iter().copied().map(canonical_network).collect(),
        }
    }

    /// The place in which to look for the client of a connection from `peer`.
    pub(crate) fn find(&self, peer: SocketAddr) -> Finding {
        match (self.from, self.trusts(peer.ip())) {
            (ClientAddress::ForwardedFor, true) => Finding::InRequest,
            (ClientAddress::ProxyProtocol, true) => Finding::InProxyHeader,
            (ClientAddress::ProxyProtocol, false) => Finding::PastProxy(peer),
            (ClientAddress::Peer | ClientAddress::ForwardedFor, _) => Finding::Known(peer),
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

/// A network of IPv4 addresses in their IPv6 form, such as `::ffff:10.0.0.0/104`,
/// as the IPv4 network that it is; any other as it is.
pub(crate) fn canonical_network(network: IpNet) -> IpNet {
    /// Bits of `::ffff:0:0`, after which the IPv4 address stands (RFC 4291 §2.5.5.2).
    const MAPPED_BITS: u8 = 96;
    match network {
        IpNet::V6(v6) => {
            let address = v6.addr().to_ipv4_mapped();
            let prefix = v6.prefix_len().checked_sub(MAPPED_BITS);
            address
                .zip(prefix)
                .and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok())
                .map_or(network, IpNet::V4)
        }
        IpNet::V4(_) => network,
    }
}

/// An address with the port; an IPv4 address in its IPv6 form, as a listener on
/// `[::]` sees it, becomes the IPv4 address.
pub(crate) fn canonical_address(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // As it is, with its scope.
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_form() {
        for (text, shown) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:a00:0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.5/128", "10.0.0.5/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("::10.0.0.0/104", "::a00:0/104"),
        ] {
            let network = canonical_network(text.parse().unwrap());
            assert_eq!(network.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn a_proxy_is_trusted_in_whatever_form_its_network_is_named() {
        for network in ["10.0.0.0/8", "::ffff:10.0.0.0/104"] {
            let networks = [network.parse().unwrap()];
            let policy = AddressPolicy::new(ClientAddress::ForwardedFor, &networks);
            for (peer, finding) in [
                ("10.1.2.3:1", Finding::InRequest),
                ("[::ffff:10.1.2.3]:1", Finding::InRequest),
                ("11.1.2.3:1", Finding::Known("11.1.2.3:1".parse().unwrap())),
                (
                    "[::10.1.2.3]:1",
                    Finding::Known("[::10.1.2.3]:1".parse().unwrap()),
                ),
            ] {
                assert_eq!(policy.find(peer.parse().unwrap()), finding, "{network}");
            }
        }
    }

    fn policy(from: ClientAddress) -> AddressPolicy {
        AddressPolicy::new(
            from,
            &["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        )
    }

    fn find(from: ClientAddress, peer: &str) -> Finding {
        policy(from).find(peer.parse().unwrap())
    }

    #[test]
    fn only_trusted_proxies_are_asked() {
        for proxy in ["10.1.2.3:1", "[fd00::1]:1", "[::ffff:10.1.2.3]:1"] {
            let known = Finding::Known(proxy.parse().unwrap());
            assert_eq!(find(ClientAddress::Peer, proxy), known);
            assert_eq!(find(ClientAddress::ForwardedFor, proxy), Finding::InRequest);
            assert_eq!(
                find(ClientAddress::ProxyProtocol, proxy),
                Finding::InProxyHeader
            );
        }
        for other in ["192.0.2.7:1", "[2001:db8::7]:1"] {
            let known = Finding::Known(other.parse().unwrap());
            assert_eq!(find(ClientAddress::Peer, other), known);
            assert_eq!(find(ClientAddress::ForwardedFor, other), known);
            assert_eq!(
                find(ClientAddress::ProxyProtocol, other),
                Finding::PastProxy(other.parse().unwrap())
            );
        }
    }
}
