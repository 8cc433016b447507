//! The header with which a proxy begins a connection to name its client.
//!
//! Versions 1 and 2 of the PROXY protocol, as HAProxy's `proxy-protocol.txt`
//! has them. The bytes are read by the `proxy-header` crate; here are the
//! bounds and what the answer means. Extensions (TLVs) are skipped, the optional
//! checksum among them, because TCP has one of its own.

use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};

use super::canonical_address;

/// The longest header of version 1, its line end included.
const MAX_V1_BYTES: usize = 107;
/// The longest header of version 2 that is taken. The protocol would allow 64
/// KiB of extensions; proxies send some hundred bytes.
const MAX_V2_BYTES: usize = 4 * 1024;

const CONFIG: ParseConfig = ParseConfig {
    include_tlvs: false,
    allow_v1: true,
    allow_v2: true,
};

/// A PROXY header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The client, an IPv4 address also where it came in its IPv6 form, or `None` where the proxy speaks for itself, as in a health
    /// check, or does not know.
    pub client: Option<SocketAddr>,
    /// Its length. The bytes after it are the connection's own.
    pub consumed: usize,
}

/// The connection does not begin with a PROXY header that can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection does not begin with a PROXY protocol header, version 1 or 2")]
pub struct NotAHeader;

/// Reads the header at the beginning of a connection. `Ok(None)` means that it
/// is not complete yet; call again with more.
///
/// ```
/// use corecast::source::proxy_protocol;
///
/// let bytes = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n";
/// let header = proxy_protocol::read(bytes).unwrap().expect("complete");
/// assert_eq!(header.client, Some("192.0.2.7:56324".parse().unwrap()));
/// assert!(bytes[header.consumed..].starts_with(b"GET "));
/// assert_eq!(proxy_protocol::read(&bytes[..20]), Ok(None));
/// assert!(proxy_protocol::read(b"GET / HTTP/1.1\r\n").is_err());
/// ```
///
/// # Errors
/// When the bytes are no header, are one of a connection that is not TCP, or
/// are longer than a header may be.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, NotAHeader> {
    let most = match bytes.first() {
        Some(b'P') => MAX_V1_BYTES,
        _ => MAX_V2_BYTES,
    };
    // Looking no further than the limit makes the verdict independent of how
    // much happened to arrive with one read.
    let window = &bytes[..bytes.len().min(most)];
    match ProxyHeader::parse(window, CONFIG) {
        Ok((header, consumed)) => {
            let client = match header.proxied_address() {
                Some(address) if address.protocol == Protocol::Stream => {
                    Some(canonical_address(address.source))
                }
                Some(_) => return Err(NotAHeader),
                None => None,
            };
            Ok(Some(Header { client, consumed }))
        }
        Err(Error::BufferTooShort) if window.len() < most => Ok(None),
        Err(_) => Err(NotAHeader),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proxy_header::ProxiedAddress;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    /// The verdict on all of it, having checked that every beginning of it is
    /// answered with that verdict or with 'not complete'.
    fn verdict(bytes: &[u8]) -> Result<Option<Header>, NotAHeader> {
        let whole = read(bytes);
        for length in 0..bytes.len() {
            let part = read(&bytes[..length]);
            assert!(
                part == Ok(None) || part == whole,
                "{part:?} of {length} bytes"
            );
        }
        whole
    }

    fn client(bytes: &[u8]) -> Option<SocketAddr> {
        let header = verdict(bytes).unwrap().expect("complete");
        assert_eq!(header.consumed, bytes.len());
        header.client
    }

    #[test]
    fn version_1() {
        for (text, address) in [
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
                Some("192.0.2.7:56324"),
            ),
            (
                "PROXY TCP6 2001:db8::7 ::1 1 65535\r\n",
                Some("[2001:db8::7]:1"),
            ),
            (
                "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 1 2\r\n",
                Some("192.0.2.7:1"),
            ),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", None),
        ] {
            let expected = address.map(|address| address.parse().unwrap());
            assert_eq!(client(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn version_1_that_cannot_stand() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "proxy TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
            "PROXY TCP5 192.0.2.7 198.51.100.1 56324 443\r\n",
            "PROXY TCP4 192.0.2.700 198.51.100.1 56324 443\r\n",
            "PROXY TCP4 ::1 ::1 56324 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n",
            "PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n",
        ] {
            // The request after it has a line that does not end.
            let bytes = [text.as_bytes(), &[b'x'; MAX_V1_BYTES]].concat();
            assert_eq!(verdict(&bytes), Err(NotAHeader), "{text}");
        }
        let endless = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        assert_eq!(verdict(endless.as_bytes()), Err(NotAHeader));
    }

    #[test]
    fn version_2() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB];
        let expected = Some("192.0.2.7:56324".parse().unwrap());
        assert_eq!(client(&v2(0x21, 0x11, &v4)), expected);

        let mut with_extensions = v4.to_vec();
        with_extensions.extend([0x04, 0, 3, 1, 2, 3]);
        assert_eq!(client(&v2(0x21, 0x11, &with_extensions)), expected);

        let addresses = ProxiedAddress::stream(
            "[2001:db8::7]:1".parse().unwrap(),
            "[::1]:2".parse().unwrap(),
        );
        let mut v6 = Vec::new();
        ProxyHeader::with_address(addresses)
            .encode_v2(&mut v6)
            .unwrap();
        assert_eq!(client(&v6), Some("[2001:db8::7]:1".parse().unwrap()));

        assert_eq!(client(&v2(0x20, 0x00, &[])), None, "the proxy itself");
        assert_eq!(
            client(&v2(0x20, 0x11, &v4)),
            None,
            "addresses of a health check"
        );
        assert_eq!(client(&v2(0x21, 0x00, b"what")), None, "unspecified");
        assert_eq!(client(&v2(0x21, 0x31, &[0; 216])), None, "a Unix socket");
    }

    #[test]
    fn version_2_that_cannot_stand() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB];
        for (name, bytes) in [
            ("version 1 in the binary form", v2(0x11, 0x11, &v4)),
            ("an unknown command", v2(0x22, 0x11, &v4)),
            ("an unknown family", v2(0x21, 0x41, &v4)),
            ("an unknown transport", v2(0x21, 0x13, &v4)),
            ("UDP", v2(0x21, 0x12, &v4)),
            (
                "too short for its addresses",
                [v2(0x21, 0x11, &v4[..11]), b"GET".to_vec()].concat(),
            ),
            ("longer than is taken", v2(0x21, 0x11, &[0; 5_000])),
            (
                "a spoilt signature",
                [b"\r\n\r\n\0\r\nQUIX\n", &[0x20; 20][..]].concat(),
            ),
        ] {
            assert_eq!(verdict(&bytes), Err(NotAHeader), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = verdict(&bytes);
            let _ = verdict(&[SIGNATURE, &bytes].concat());
            let _ = verdict(&[b"PROXY TCP4 ", &bytes[..]].concat());
        }
    }
}
