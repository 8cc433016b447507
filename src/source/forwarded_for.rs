//! The client's address as proxies pass it on: `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use super::canonical_address;

/// The client behind trusted proxies, from the values of all `X-Forwarded-For`
/// headers in the order sent.
///
/// Each proxy appends the address it was connected from, so the list is read from its
/// end: the last address that no trusted proxy has is the client's, and the entries
/// before it are the client's own claims and ignored. Where an entry is no address, the
/// proxy after it is the last that is known. `None` if there is no address at all.
///
/// An address may have a port (`192.0.2.7:1234`, `[2001:db8::7]:1234`), which
/// some proxies add; without one it is 0. An IPv4 address in its IPv6 form
/// (`::ffff:192.0.2.7`) is the IPv4 address.
///
/// ```
/// use corecast::source::client_of;
///
/// let trusts = |address: std::net::IpAddr| address.to_string().starts_with("10.");
/// let values = [&b"203.0.113.9, 192.0.2.7"[..], b"10.0.0.2"];
/// let client = client_of(values.into_iter(), trusts).unwrap();
/// assert_eq!(client.ip().to_string(), "192.0.2.7");
/// ```
pub fn client_of<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    trusts: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let values: Vec<&[u8]> = values.collect();
    let entries = values
        .iter()
        .rev()
        .flat_map(|value| value.rsplit(|&byte| byte == b','));
    let mut nearest = None;
    for entry in entries.map(<[u8]>::trim_ascii) {
        // An empty element of a list says nothing (RFC 9110 §5.6.1).
        if entry.is_empty() {
            continue;
        }
        let Some(address) = address(entry) else {
            return nearest;
        };
        nearest = Some(address);
        if !trusts(address.ip()) {
            return nearest;
        }
    }
    nearest
}

fn address(entry: &[u8]) -> Option<SocketAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bare = entry.strip_prefix('[').and_then(|e| e.strip_suffix(']'));
    entry
        .parse()
        .or_else(|_| {
            bare.unwrap_or(entry)
                .parse()
                .map(|ip| SocketAddr::new(ip, 0))
        })
        .ok()
        .map(canonical_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(values: &[&str]) -> Option<String> {
        let trusts = |address: IpAddr| ["10.0.0.1", "10.0.0.2"].contains(&&*address.to_string());
        client_of(values.iter().map(|value| value.as_bytes()), trusts)
            .map(|address| address.to_string())
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_clients() {
        for (values, expected) in [
            (&["192.0.2.7"][..], "192.0.2.7:0"),
            (&["6.6.6.6, 192.0.2.7"], "192.0.2.7:0"),
            (&["192.0.2.7, 10.0.0.1"], "192.0.2.7:0"),
            (
                &["6.6.6.6", "192.0.2.7, 10.0.0.1", "10.0.0.2"],
                "192.0.2.7:0",
            ),
            (&["192.0.2.7:1234"], "192.0.2.7:1234"),
            (&["2001:db8::7"], "[2001:db8::7]:0"),
            (&["[2001:db8::7]"], "[2001:db8::7]:0"),
            (&["[2001:db8::7]:80"], "[2001:db8::7]:80"),
            (&["::ffff:192.0.2.7"], "192.0.2.7:0"),
            (&["[::ffff:c000:207]:80, ::ffff:10.0.0.1"], "192.0.2.7:80"),
            (&["\t192.0.2.7 , ,"], "192.0.2.7:0"),
            // A proxy that connects for itself.
            (&["10.0.0.2, 10.0.0.1"], "10.0.0.2:0"),
        ] {
            assert_eq!(client(values).as_deref(), Some(expected), "{values:?}");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_way_back() {
        assert_eq!(
            client(&["6.6.6.6, unknown, 10.0.0.1"]).as_deref(),
            Some("10.0.0.1:0")
        );
        for values in [
            &[][..],
            &[""],
            &["unknown"],
            &["6.6.6.6, _hidden"],
            &["\u{e9}"],
        ] {
            assert_eq!(client(values), None, "{values:?}");
        }
    }
}
