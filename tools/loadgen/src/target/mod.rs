//! The target of connections: a server's URL, taken apart once.
//!
//! [`Target::parse`] reads `ws://host[:port]/path?query` and resolves the host,
//! so that the code that opens connections has an address, a `Host` header and
//! a path and never looks at the URL again. [`probe`] opens one connection to
//! find out, before a run, whether there is anything to measure.
//!
//! # Invariants worth naming
//!
//! - The path is sent as it was written. Only what a request line cannot carry
//!   is percent-encoded; nothing is normalised, because a load test is about
//!   the path its author typed.
//! - A [`Target`] that exists can be connected to as far as its text tells:
//!   scheme, host, port and placeholders are checked, the name is resolved.

mod error;
mod header;
mod path;
mod probe;

use std::borrow::Cow;
use std::net::{SocketAddr, ToSocketAddrs};

use url::{Host, ParseError, Url};

pub use error::TargetError;
pub use header::{HeaderError, check_header};
pub use path::{PathError, PathTemplate, Placeholders};
pub use probe::{ProbeError, probe};

/// The port of `ws://` where the URL has none (RFC 6455 §3).
const DEFAULT_PORT: u16 = 80;

/// A server to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    address: SocketAddr,
    host_header: String,
    path: PathTemplate,
}

impl Target {
    /// Reads `ws://host[:port]/path?query` and resolves the host. The path, `/`
    /// when there is none, may contain the placeholders of [`PathTemplate`].
    ///
    /// A name with addresses of both families stands for the first IPv4 one:
    /// only there can one machine have as many source addresses as it likes.
    /// Write the address in brackets to reach the IPv6 one.
    ///
    /// # Errors
    ///
    /// The fault of the URL and its correct form, or the fact that its name has no
    /// address. Resolving asks the system and may take as long as that takes.
    pub fn parse(url: &str) -> Result<Target, TargetError> {
        let parts = Parts::parse(url)?;
        let address = resolve(&parts.host, parts.port)?;
        Ok(Target {
            url: url.trim().to_owned(),
            address,
            host_header: parts.host_header(),
            path: parts.path,
        })
    }

    /// Checks everything about a URL that can be checked without resolving it.
    ///
    /// # Errors
    ///
    /// As [`Target::parse`].
    pub fn check(url: &str) -> Result<(), TargetError> {
        Parts::parse(url).map(drop)
    }

    /// The URL as it was written.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value of the `Host` header: the host as in the URL, and the port
    /// unless it is 80.
    pub fn host_header(&self) -> &str {
        &self.host_header
    }

    /// The path and query of one connection's request.
    pub fn path(&self, placeholders: Placeholders) -> Cow<'_, str> {
        self.path.render(placeholders)
    }

    /// Whether the path differs from one connection to another.
    pub fn has_placeholders(&self) -> bool {
        self.path.has_placeholders()
    }
}

/// A URL's parts, not resolved.
struct Parts {
    host: Host<String>,
    port: u16,
    path: PathTemplate,
}

impl Parts {
    fn parse(url: &str) -> Result<Parts, TargetError> {
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(TargetError::NoScheme { url: url.into() });
        };
        match scheme.to_ascii_lowercase().as_str() {
            "ws" => {}
            "wss" | "https" => return Err(TargetError::Tls { url: url.into() }),
            "http" => {
                return Err(TargetError::Http { rest: rest.into() });
            }
            _ => {
                return Err(TargetError::Scheme {
                    scheme: scheme.into(),
                    rest: rest.into(),
                });
            }
        }
        if rest.contains('#') {
            return Err(TargetError::Fragment { url: url.into() });
        }
        // A backslash is a slash to a browser, and here more likely a slip.
        let (authority, path) = rest.split_at(rest.find(['/', '?', '\\']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(TargetError::UserInfo);
        }
        let (host, port) = parse_authority(authority, url)?;
        let path = PathTemplate::parse(path).map_err(|problem| TargetError::Path {
            url: url.into(),
            problem,
        })?;
        Ok(Parts { host, port, path })
    }

    fn host_header(&self) -> String {
        match self.port {
            DEFAULT_PORT => self.host.to_string(),
            port => format!("{}:{port}", self.host),
        }
    }
}

/// Reads `host[:port]`. The path is left out of it: this parser would
/// normalise it and encode the placeholders' braces.
fn parse_authority(authority: &str, url: &str) -> Result<(Host<String>, u16), TargetError> {
    let bad_host = |problem: &'static str| TargetError::Host {
        url: url.into(),
        problem,
    };
    if authority.contains(char::is_whitespace) {
        return Err(bad_host("it has a space in it"));
    }
    if authority.contains(['{', '}']) {
        return Err(bad_host("placeholders can stand in the path only"));
    }
    // Without brackets the last group of an IPv6 address would pass for a port.
    if !authority.starts_with('[') && authority.matches(':').count() > 1 {
        return Err(bad_host(
            "an IPv6 address is written in brackets, as in [::1]:8080",
        ));
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(TargetError::NoHost { url: url.into() });
    }
    let parsed = Url::parse(&format!("ws://{authority}/")).map_err(|error| match error {
        ParseError::InvalidPort => TargetError::Port { url: url.into() },
        ParseError::EmptyHost => TargetError::NoHost { url: url.into() },
        ParseError::InvalidIpv4Address => bad_host("it is not a valid IPv4 address"),
        ParseError::InvalidIpv6Address => bad_host("it is not a valid IPv6 address"),
        _ => bad_host("it is not a name that a host can have"),
    })?;
    let port = parsed.port().unwrap_or(DEFAULT_PORT);
    if port == 0 {
        return Err(TargetError::Port { url: url.into() });
    }
    let host = parsed
        .host()
        .map(|host| host.to_owned())
        .ok_or_else(|| TargetError::NoHost { url: url.into() })?;
    Ok((host, port))
}

fn resolve(host: &Host<String>, port: u16) -> Result<SocketAddr, TargetError> {
    let name = match host {
        Host::Ipv4(address) => return Ok((*address, port).into()),
        Host::Ipv6(address) => return Ok((*address, port).into()),
        Host::Domain(name) => name,
    };
    let failed = |cause: String| TargetError::Unresolvable {
        name: name.clone(),
        cause,
    };
    let addresses: Vec<SocketAddr> = (name.as_str(), port)
        .to_socket_addrs()
        .map_err(|error| failed(error.to_string()))?
        .collect();
    addresses
        .iter()
        .find(|address| address.is_ipv4())
        .or(addresses.first())
        .copied()
        .ok_or_else(|| failed("it has no address".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn complaint(url: &str) -> String {
        Target::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn a_url_is_taken_apart() {
        let one = target(" ws://127.0.0.1:8080/ws?token=a%20b ");
        assert_eq!(one.url(), "ws://127.0.0.1:8080/ws?token=a%20b");
        assert_eq!(one.address(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(one.host_header(), "127.0.0.1:8080");
        assert_eq!(one.path(Placeholders::default()), "/ws?token=a%20b");
        assert!(!one.has_placeholders());

        let two = target("WS://[::1]/");
        assert_eq!(two.address(), "[::1]:80".parse().unwrap());
        assert_eq!(two.host_header(), "[::1]");
    }

    #[test]
    fn a_url_without_a_path_means_the_root() {
        for (url, path) in [
            ("ws://127.0.0.1:9000", "/"),
            ("ws://127.0.0.1:9000/", "/"),
            ("ws://127.0.0.1:9000?a=1", "/?a=1"),
        ] {
            assert_eq!(target(url).path(Placeholders::default()), path);
        }
    }

    #[test]
    fn placeholders_stand_in_path_and_query() {
        let target = target("ws://127.0.0.1:1/room/{room}/{user}?n={connection}");
        assert!(target.has_placeholders());
        let placeholders = Placeholders {
            connection: 1,
            room: 22,
            user: 333,
        };
        assert_eq!(target.path(placeholders), "/room/22/333?n=1");
    }

    #[test]
    fn localhost_is_the_ipv4_one() {
        assert_eq!(
            target("ws://localhost:8080/").address(),
            "127.0.0.1:8080".parse().unwrap()
        );
        assert_eq!(
            target("ws://localhost:8080/").host_header(),
            "localhost:8080"
        );
    }

    /// A name no resolver can know: 64 letters are one more than a label may
    /// have, so that nothing is asked over the network.
    fn no_host() -> String {
        format!("ws://{}.invalid/ws", "x".repeat(64))
    }

    #[test]
    fn each_slip_is_explained() {
        for (url, words) in [
            ("wss://example.com/ws", "TLS"),
            ("https://example.com/ws", "TLS"),
            ("http://example.com/ws", "did you mean ws://example.com/ws?"),
            ("ftp://example.com/ws", "write ws://example.com/ws"),
            ("localhost:8080", "write ws://localhost:8080"),
            ("/ws", "write ws://HOST:PORT/ws"),
            ("", "write ws://HOST:PORT/PATH"),
            ("ws://", "no host"),
            ("ws:///path", "no host"),
            ("ws://:8080/path", "no host"),
            ("ws://127.0.0.1:0/", "1 to 65535"),
            ("ws://127.0.0.1:65536/", "1 to 65535"),
            ("ws://127.0.0.1:http/", "1 to 65535"),
            ("ws://127.0.0.300/", "not a valid IPv4 address"),
            ("ws://[::g]/", "not a valid IPv6 address"),
            ("ws://::1:8080/", "in brackets"),
            ("ws://exa mple/", "a space"),
            ("ws://exa<mple/", "not a name that a host can have"),
            ("ws://{user}.example.com/", "in the path only"),
            ("ws://127.0.0.1/{name}", "{connection}, {room} and {user}"),
            ("ws://127.0.0.1/{user", "never closed"),
            ("ws://127.0.0.1\\ws", "starts with '/'"),
            ("ws://127.0.0.1/ws#top", "'#'"),
            ("ws://ann:secret@127.0.0.1/ws", "Authorization"),
            (&no_host(), "cannot be resolved"),
        ] {
            let complaint = complaint(url);
            assert!(complaint.contains(words), "{url}: {complaint}");
            assert!(!complaint.contains('\n'), "{url}: {complaint}");
            assert!(!complaint.contains("secret"), "{complaint}");
        }
    }

    #[test]
    fn checking_does_not_resolve() {
        assert_eq!(Target::check(&no_host()), Ok(()));
        assert!(Target::check("ws://example.com/{x}").is_err());
    }
}
