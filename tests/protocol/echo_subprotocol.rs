//! `echo` selects the first subprotocol that a client offers, as clients such as undici
//! and `ws` of Node expect of a server, unless `[handlers.echo]` says none.
//!
//! How: handshakes over raw sockets; `foreign_clients` does it with `ws`.

use std::io::Write;

use crate::support::client::{Client, request_with};
use crate::support::{Server, on_each_driver};

/// The header that selects, in the answer to a handshake that offers these.
fn selected(server: &Server, offered: &str) -> Option<String> {
    let mut client = Client::open(server.address);
    let header = match offered {
        "" => String::new(),
        offered => format!("Sec-WebSocket-Protocol: {offered}\r\n"),
    };
    client.send(request_with("/echo", &header).as_bytes());
    let head = client.response_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.expect_echo("whatever it is");
    let header = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-protocol")
            .then(|| value.to_owned())
    });
    client.close();
    header
}

#[test]
fn the_first_that_is_offered_is_selected() {
    on_each_driver(&["--shards", "1"], |server| {
        for (offered, first) in [
            ("", None),
            ("v1", Some("v1")),
            ("v2.example, v1", Some("v2.example")),
            ("v2\r\nSec-WebSocket-Protocol: v1", Some("v2")),
        ] {
            assert_eq!(selected(server, offered).as_deref(), first, "{offered}");
        }
    });
}

#[test]
fn none_is_selected_where_the_settings_say_so() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[handlers.echo]\nsubprotocol = \"none\"").unwrap();
    let path = file.path().to_str().unwrap();
    on_each_driver(&["--shards", "1", "--config", path], |server| {
        assert_eq!(selected(server, "v1, v2"), None);
    });
}
