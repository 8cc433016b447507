//! Which sites' pages may connect (RFC 6455 §10.2).

use super::Request;
use super::target::is_authority;

/// The origins a browser may connect from.
///
/// A WebSocket is not bound by the same-origin policy: any page may open one,
/// with the user's cookies. The `Origin` header, which pages cannot forge, is
/// what a server has against that.
///
/// Origins are compared as RFC 6454 §5 says: scheme, host and port, case
/// ignored, a scheme's own port the same as none. An entry such as
/// `https://*.example.com` stands for every host below `example.com`, at any depth, and
/// not for `example.com` itself; whoever can have a page on one of them may connect.
/// Browsers send `null` for sandboxed frames, and some send it or `file://` for
/// pages from a file, as in Cordova and Electron; each can be on the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginPolicy {
    /// Empty: any.
    allowed: Vec<Allowed>,
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    /// This origin, in the form [`normalize`] gives.
    One(String),
    /// Those with this scheme, `://` included, whose host and port end so, after a name
    /// and a dot.
    Below { scheme: String, end: String },
}

impl Allowed {
    fn of(entry: &str) -> Option<Self> {
        if let Some(origin) = normalize(entry) {
            return Some(Allowed::One(origin));
        }
        let (scheme, authority) = entry.split_once("://")?;
        let base = authority.strip_prefix("*.")?;
        // Of each of them there are pages of strangers: an address has no hosts below it,
        // and a top-level domain belongs to everyone.
        let host = base.split(':').next().unwrap_or_default();
        let mut names = host.rsplit('.');
        let last = names.next().unwrap_or_default();
        let is_domain = names.next().is_some_and(|name| !name.is_empty())
            || last.eq_ignore_ascii_case("localhost");
        if last.is_empty() || last.bytes().all(|byte| byte.is_ascii_digit()) || !is_domain {
            return None;
        }
        let origin = normalize(&format!("{scheme}://{base}"))?;
        let at = scheme.len() + "://".len();
        Some(Allowed::Below {
            scheme: origin[..at].to_owned(),
            end: format!(".{}", &origin[at..]),
        })
    }

    /// Whether this entry is about an origin, in the form [`normalize`] gives.
    fn has(&self, origin: &str) -> bool {
        match self {
            Allowed::One(one) => one == origin,
            Allowed::Below { scheme, end } => origin
                .strip_prefix(scheme.as_str())
                .and_then(|authority| authority.strip_suffix(end.as_str()))
                .is_some_and(|names| !names.is_empty() && !names.starts_with('.')),
        }
    }
}

impl OriginPolicy {
    /// A policy that allows these origins, or all if there are none.
    ///
    /// # Errors
    ///
    /// An entry that is not `scheme://host` or `scheme://host:port`, whose host may begin
    /// with `*.` if it is below a domain. `null` and
    /// `file://` are accepted too; each allows *every* page that has this origin.
    pub fn new<I>(origins: I) -> Result<Self, OriginError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let allowed = origins
            .into_iter()
            .map(|origin| {
                let origin = origin.as_ref();
                Allowed::of(origin).ok_or_else(|| OriginError {
                    origin: origin.to_owned(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(OriginPolicy { allowed })
    }

    /// Whether this request may become a session.
    ///
    /// A request without `Origin` is let through: it is not a browser's. With
    /// a list, a request with several `Origin` headers is not.
    pub fn allows(&self, request: &Request) -> bool {
        if self.allowed.is_empty() {
            return true;
        }
        let mut origins = request.headers_named("origin");
        let Some(origin) = origins.next() else {
            return true;
        };
        origins.next().is_none()
            && std::str::from_utf8(origin)
                .ok()
                .and_then(normalize)
                .is_some_and(|origin| self.allowed.iter().any(|allowed| allowed.has(&origin)))
    }
}

/// An entry of the list of allowed origins that is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "'{origin}' is not an origin; write scheme://host or scheme://host:port as a browser sends \
     it, without a path, trailing slash or quotes, and other letters than ASCII as xn--, \
     for example https://example.com, or https://*.example.com for all hosts below it; or \
     file://, or null"
)]
pub struct OriginError {
    /// The entry as given.
    pub origin: String,
}

/// Lower case, without the scheme's own port. `None` if it is not an origin.
fn normalize(origin: &str) -> Option<String> {
    let mut origin = origin.to_ascii_lowercase();
    if origin == "null" {
        return Some(origin);
    }
    let (scheme, authority) = origin.split_once("://")?;
    let known = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if (scheme, authority) == ("file", "") {
        return Some(origin);
    }
    if !known || !is_authority(authority.as_bytes()) || !authority.bytes().all(is_sent) {
        return None;
    }
    let own_port = match scheme {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => ":",
    };
    let without_port = [own_port, ":"]
        .iter()
        .find_map(|port| authority.strip_suffix(port))
        .map(|host| scheme.len() + "://".len() + host.len());
    if let Some(length) = without_port {
        origin.truncate(length);
    }
    Some(origin)
}

/// Whether a browser sends this byte in an origin's host or port. RFC 3986 has
/// more, of which '*' is a hoped-for wildcard and the rest are slips.
fn is_sent(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &str) -> Request {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let peer = "127.0.0.1:1".parse().unwrap();
        super::super::parse(text.as_bytes(), 8192, peer)
            .unwrap()
            .unwrap()
            .request
    }

    #[test]
    fn an_empty_list_allows_all() {
        let policy = OriginPolicy::new([""; 0]).unwrap();
        assert!(policy.allows(&request("Origin: https://evil.example\r\n")));
        assert!(policy.allows(&request("")));
    }

    #[test]
    fn a_list_allows_what_is_on_it_and_requests_without_origin() {
        let policy = OriginPolicy::new(["https://Example.com", "http://localhost:3000"]).unwrap();
        assert!(policy.allows(&request("")));
        for (origin, allowed) in [
            ("https://example.com", true),
            ("HTTPS://EXAMPLE.COM", true),
            ("https://example.com:443", true),
            ("http://localhost:3000", true),
            ("http://example.com", false),
            ("https://example.com:8443", false),
            ("https://example.com.evil.example", false),
            ("https://evil-example.com", false),
            ("https://a.example.com", false),
            ("http://localhost", false),
            ("https://example.com/", false),
            ("https://user@example.com", false),
            ("null", false),
            ("", false),
            ("\u{e9}", false),
        ] {
            let request = request(&format!("Origin: {origin}\r\n"));
            assert_eq!(policy.allows(&request), allowed, "{origin}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_the_hosts_below_a_domain() {
        let policy = OriginPolicy::new([
            "https://*.Example.com",
            "http://*.example.org:8080",
            "http://*.localhost",
        ])
        .unwrap();
        for (origin, allowed) in [
            ("https://a.example.com", true),
            ("https://A.B.example.com", true),
            ("https://a.example.com:443", true),
            ("https://example.com", false),
            ("https://.example.com", false),
            ("https://..example.com", false),
            ("http://a.example.com", false),
            ("https://a.example.com:8443", false),
            ("https://aexample.com", false),
            ("https://a.example.com.evil.example", false),
            ("https://evil.example/.example.com", false),
            ("https://evil.example#.example.com", false),
            ("https://evil.example?.example.com", false),
            ("https://evil.example:80.example.com", false),
            ("https://evil@a.example.com", false),
            ("https://*.example.com", false),
            ("http://a.example.org:8080", true),
            ("http://a.example.org", false),
            ("http://app.localhost", true),
            ("null", false),
        ] {
            let request = request(&format!("Origin: {origin}\r\n"));
            assert_eq!(policy.allows(&request), allowed, "{origin}");
        }
    }

    #[test]
    fn a_second_origin_is_refused() {
        let policy = OriginPolicy::new(["https://example.com"]).unwrap();
        let twice = "Origin: https://example.com\r\norigin: https://example.com\r\n";
        assert!(!policy.allows(&request(twice)));
    }

    #[test]
    fn pages_without_a_host_are_allowed_only_when_listed() {
        let origins = ["null", "file://", "app://-", "https://example.com"];
        for listed in origins {
            let policy = OriginPolicy::new([listed]).unwrap();
            for sent in origins {
                let request = request(&format!("Origin: {sent}\r\n"));
                assert_eq!(policy.allows(&request), sent == listed, "{sent} {listed}");
            }
        }
    }

    #[test]
    fn entries_that_are_no_origin_are_named() {
        for entry in [
            "*",
            "example.com",
            "https://",
            "https://*.com",
            "https://*.",
            "https://*.*.a.com",
            "https://a.*.com",
            "https://*a.com",
            "https://*.a..com/",
            "https://*.1.2.3.4",
            "https://*.[::1]",
            "*.a.com",
            "*://a.com",
            "https://*.a.com:*",
            "https://*.a.com:99999",
            "https://a.com/",
            "https://a.com:99999",
            "https://b\u{fc}cher.example",
            "\"https://a.com\"",
            "https://a.com'",
            "https://user@a.com",
            "http://fe80::1",
            "https://a.com,b",
            "file:///",
            "file:///android_asset",
            "http://",
            "NUL",
            "",
            " ",
        ] {
            let error = OriginPolicy::new([entry]).unwrap_err();
            assert_eq!(error.origin, entry);
            assert!(error.to_string().contains("scheme://host"));
        }
    }
}
