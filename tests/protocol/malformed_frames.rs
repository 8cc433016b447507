//! Each malformed frame gets the close code RFC 6455 asks for, nothing of it is
//! delivered, and the peers of the session notice nothing.
//!
//! How: raw bytes to `/broadcast`, where a witness on the same path would get
//! whatever was delivered.

use crate::support::client::{BINARY, CLOSE, CONTINUATION, Client, FIN, PING, TEXT, encode, text};
use crate::support::on_each_driver;

/// A name, the bytes sent, and the code they are answered with.
fn faults() -> Vec<(&'static str, Vec<u8>, u16)> {
    let masked = |first: u8, payload: &[u8]| encode(first, true, payload);
    let close = |code: u16| masked(FIN | CLOSE, &code.to_be_bytes());
    let mask = [0u8; 4];
    vec![
        ("unmasked", encode(FIN | TEXT, false, b"x"), 1002),
        ("reserved bit 1", masked(FIN | 0x40 | TEXT, b"x"), 1002),
        ("reserved bit 2", masked(FIN | 0x20 | TEXT, b"x"), 1002),
        ("reserved bit 3", masked(FIN | 0x10 | TEXT, b"x"), 1002),
        ("opcode 3", masked(FIN | 3, b"x"), 1002),
        ("opcode 11", masked(FIN | 11, b"x"), 1002),
        ("ping in fragments", masked(PING, b"x"), 1002),
        ("long ping", masked(FIN | PING, &[0; 126]), 1002),
        (
            "continuation of nothing",
            masked(FIN | CONTINUATION, b"x"),
            1002,
        ),
        (
            "message inside a message",
            [masked(TEXT, b"a"), masked(FIN | TEXT, b"b")].concat(),
            1002,
        ),
        (
            "length of 125 in 16 bits",
            [&[FIN | BINARY, 0x80 | 126, 0, 125][..], &mask, &[0; 125]].concat(),
            1002,
        ),
        (
            "length of 65,535 in 64 bits",
            [
                &[FIN | BINARY, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF][..],
                &mask,
            ]
            .concat(),
            1002,
        ),
        (
            "length with the highest bit",
            [
                &[FIN | BINARY, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0][..],
                &mask,
            ]
            .concat(),
            1002,
        ),
        ("half a close code", masked(FIN | CLOSE, &[3]), 1002),
        ("close code 999", close(999), 1002),
        ("close code 1005", close(1005), 1002),
        ("close code 1006", close(1006), 1002),
        ("close code 1015", close(1015), 1002),
        ("close code 5000", close(5000), 1002),
        (
            "close reason that is not UTF-8",
            masked(FIN | CLOSE, &[0x03, 0xE8, 0xFF]),
            1007,
        ),
        (
            "text that is not UTF-8",
            masked(FIN | TEXT, &[b'a', 0xFF]),
            1007,
        ),
        (
            "text cut inside a character",
            masked(FIN | TEXT, &[0xE2, 0x82]),
            1007,
        ),
        (
            "bad text in the second fragment",
            [masked(TEXT, b"fine"), masked(CONTINUATION, &[0xC0, 0x80])].concat(),
            1007,
        ),
        ("frame too big", masked(FIN | BINARY, &[0; 2049]), 1009),
        (
            "message too big",
            [
                masked(BINARY, &[0; 2000]),
                masked(CONTINUATION, &[0; 2000]),
                masked(FIN | CONTINUATION, &[0; 100]),
            ]
            .concat(),
            1009,
        ),
        (
            "announced too big",
            [
                &[FIN | BINARY, 0x80 | 127, 0, 0, 0, 1, 0, 0, 0, 0][..],
                &mask,
            ]
            .concat(),
            1009,
        ),
    ]
}

#[test]
fn each_malformed_frame_gets_its_code() {
    let limits = ["--max-frame-bytes", "2KiB", "--max-message-bytes", "4KiB"];
    on_each_driver(&[&["--shards", "1"], &limits[..]].concat(), |server| {
        let mut witness = Client::connect(server.address, "/broadcast");
        for (name, bytes, code) in faults() {
            println!("{name}");
            let mut client = Client::connect(server.address, "/broadcast");
            client.send(&bytes);
            assert_eq!(client.frame().close_code(), code, "{name}");
            client.expect_end();
        }
        server.wait_for("sessions", 1);
        let faults = faults();
        let count = |wanted: u16| faults.iter().filter(|(.., code)| *code == wanted).count() as u64;
        assert_eq!(server.total("ended.protocol_error"), count(1002));
        assert_eq!(server.total("ended.invalid_payload"), count(1007));
        assert_eq!(server.total("ended.too_big"), count(1009));
        assert_eq!(server.total("publications"), 0);
        // The first thing the witness hears is what it says itself.
        witness.expect_echo("undisturbed");
        witness.close();
    });
}

/// Messages before the fault are served, those after it are not.
#[test]
fn a_fault_ends_a_pipeline_where_it_stands() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut witness = Client::connect(server.address, "/broadcast");
        let mut client = Client::connect(server.address, "/broadcast");
        let bytes = [text("before"), encode(FIN | 3, true, b""), text("behind")].concat();
        client.send(&bytes);
        assert_eq!(witness.read_text(), "before");
        witness.expect_echo("next");
        assert_eq!(server.total("publications"), 2);
        // Publications and the close frame may come in either order.
        while client.frame().opcode != CLOSE {}
        client.expect_end();
    });
}

/// Exactly as large as allowed is allowed.
#[test]
fn the_limits_themselves_are_allowed() {
    let limits = ["--max-frame-bytes", "2KiB", "--max-message-bytes", "4KiB"];
    on_each_driver(&[&["--shards", "1"], &limits[..]].concat(), |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.expect_echo(&"x".repeat(2048));
        client.send(&encode(TEXT, true, &[b'y'; 2048]));
        client.send(&encode(FIN | PING, true, b"in between"));
        assert_eq!(client.frame().payload, b"in between");
        client.send(&encode(FIN | CONTINUATION, true, &[b'y'; 2048]));
        assert_eq!(client.read_text(), "y".repeat(4096));
        client.close();
    });
}
