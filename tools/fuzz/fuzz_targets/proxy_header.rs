//! The PROXY protocol header, versions 1 and 2, on any bytes.
//!
//! The verdict is the same however the header is split; a header ends within its
//! bytes, comes within so many, is accepted again without the bytes after it, and one
//! of version 1 has the address that its words name.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use corecast::source::proxy_protocol::{Header, NotAHeader, read};
use corecast_fuzz::verdict_of_any_split;
use libfuzzer_sys::fuzz_target;

// The first byte says how fine the splits are, and from 128 on that much more follows
// the header than is read; the header follows.
fuzz_target!(|bytes: &[u8]| {
    let [step, header @ ..] = bytes else { return };
    let mut bytes = header.to_vec();
    if *step >= 128 {
        bytes.resize(bytes.len() + 5_000, b' ');
    }
    let bytes = &bytes[..];
    let step = usize::from(*step % 16).max(bytes.len() / 256);
    let verdict = verdict_of_any_split(bytes, step, |bytes| read(bytes).transpose());
    let (client, consumed) = match verdict {
        Some(Ok(Header { client, consumed })) => (client, consumed),
        Some(Err(NotAHeader)) => return,
        None => {
            // Longer than any header, and still in want of more.
            let most = if bytes.first() == Some(&b'P') {
                107
            } else {
                4096
            };
            assert!(
                bytes.len() < most,
                "{} bytes without a verdict",
                bytes.len()
            );
            return;
        }
    };
    assert!((1..=bytes.len()).contains(&consumed));
    assert_eq!(
        read(&bytes[..consumed]),
        Ok(Some(Header { client, consumed }))
    );
    assert_eq!(read(&bytes[..consumed - 1]), Ok(None));
    if let Some(line) = bytes[..consumed].strip_prefix(b"PROXY ") {
        assert_eq!(
            client,
            client_in(line),
            "{:?}",
            String::from_utf8_lossy(line)
        );
    }
});

/// The client in a line of version 1, read word by word.
fn client_in(line: &[u8]) -> Option<SocketAddr> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let words: Vec<&str> = line.split(' ').collect();
    let [family @ ("TCP4" | "TCP6"), source, _, port, _] = words[..] else {
        return None;
    };
    let source: IpAddr = source.parse().ok()?;
    assert_eq!(source.is_ipv4(), family == "TCP4");
    Some(SocketAddr::new(source, port.parse().ok()?))
}
