//! Every byte there is, in every part of a header and in the key places of the request
//! line: a byte that RFC 9110 allows there opens a session, one that it forbids is
//! refused with 400.
//!
//! How: 256 requests for each place. The expected verdict comes from the RFC's
//! rules for tokens, field values and hosts, written down here once more.

use std::time::Duration;

use crate::support::aftermath::withstand;
use crate::support::hostile::{Case, Handshake, Verdict};

use Verdict::{Opens, OpensThenFails, Status};

/// RFC 9110 §5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 §5.5: visible characters, bytes beyond ASCII, and white space.
fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || byte == b' ' || (0x21..=0x7E).contains(&byte) || byte >= 0x80
}

/// RFC 3986 §3.2.2, a name: unreserved, sub-delims but the comma (two hosts
/// that something merged), and what a percent sign begins. A colon begins a
/// port, and an empty port is allowed.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:".contains(&byte)
}

fn opens_if(allowed: bool) -> Verdict {
    if allowed { Opens } else { Status(400) }
}

fn spoiled(name: &str, byte: u8, before: &str, after: &str, verdict: Verdict) -> Case {
    let line = [before.as_bytes(), &[byte], after.as_bytes()].concat();
    let name = format!("{name} {byte:#04x}");
    Case::new(&name, Handshake::good().first(line), verdict)
}

/// The cases of one byte.
fn cases(byte: u8) -> Vec<Case> {
    let name = opens_if(is_tchar(byte));
    // A colon further on ends the name early, and the rest is its value.
    let in_name = opens_if(is_tchar(byte) || byte == b':');
    let value = opens_if(is_field_byte(byte));
    // A line feed ends the line, and a name and a colon stand after it.
    let split_value = opens_if(is_field_byte(byte) || byte == b'\n');
    let host = [b"Host: a", &[byte][..]].concat();
    // White space at the end of a value is no part of it.
    let in_host = opens_if(is_host_byte(byte) || byte == b' ' || byte == b'\t');
    let key = [
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j",
        &[byte][..],
        b"Q==",
    ]
    .concat();
    let in_key = opens_if(byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    let target = [b"GET /echo?", &[byte][..], b" HTTP/1.1"].concat();
    vec![
        spoiled("as a name", byte, "", ": c4nary", name),
        spoiled("at the start of a name", byte, "", "X-Name: c4nary", name),
        spoiled("in a name", byte, "X-Na", "me: c4nary", in_name),
        spoiled("at the end of a name", byte, "X-Name", ": c4nary", in_name),
        spoiled(
            "at the start of a value",
            byte,
            "X-Value: ",
            "c4nary",
            value,
        ),
        spoiled("in a value", byte, "X-Value: c4", "nary", value),
        spoiled(
            "in a value, a header behind",
            byte,
            "X-Value: c4",
            "X-Na: me",
            split_value,
        ),
        spoiled("at the end of a value", byte, "X-Value: c4nary", "", value),
        Case::new(
            &format!("in the host {byte:#04x}"),
            Handshake::good().instead("Host", &[]).last(&host),
            // A line feed alone ends the line, and the line after it is the empty one,
            // so that the rest is taken for frames.
            if byte == b'\n' {
                OpensThenFails
            } else {
                in_host
            },
        ),
        Case::new(
            &format!("in the key {byte:#04x}"),
            Handshake::good()
                .instead("Sec-WebSocket-Key", &[])
                .last(&key),
            in_key,
        ),
        Case::new(
            &format!("in the query {byte:#04x}"),
            Handshake::good().request_line(&target),
            // A target ends at a space, and its fragment is not sent.
            opens_if((0x21..=0x7E).contains(&byte) && byte != b'#'),
        ),
    ]
}

#[test]
fn each_byte_in_each_place() {
    let cases: Vec<Case> = (0..=255).flat_map(cases).collect();
    withstand("every byte in header lines", &[], |server| {
        for case in &cases {
            case.check(server.address, &[&case.bytes], Duration::ZERO);
        }
        cases.len()
    });
}
