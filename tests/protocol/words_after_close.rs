//! Data that a client sends after its close frame costs it nothing: it still gets the
//! answers to what it had said before, then the close frame, then the end of the
//! stream, and no reset.
//!
//! How: in one write, a message, a close frame and bytes after it that the server has
//! not read when it finds the close frame. Closing a socket over unread bytes resets
//! the connection and throws away what the client has not received, so the client has a
//! small receive buffer and the answer waits in the server's kernel. (Autobahn's case
//! 7.1.6 with reads of one byte.)

use crate::support::client::{CLOSE, Client, FIN, PING, encode, text};
use crate::support::{Server, on_each_driver};

const MESSAGE_BYTES: usize = 30_000;

fn answers_arrive(server: &Server, words_after: &[u8]) {
    let message = "m".repeat(MESSAGE_BYTES);
    let mut client = Client::connect_narrow(server.address, "/echo");
    let said = [
        text(&message),
        encode(FIN | CLOSE, true, &1000_u16.to_be_bytes()),
        words_after.to_vec(),
    ];
    client.send(&said.concat());
    assert_eq!(client.read_text(), message);
    assert_eq!(client.frame().close_code(), 1000);
    client.expect_end();
}

/// A ping after the close frame, with reads that end before it.
#[test]
fn a_ping_after_the_close_frame() {
    let ping = encode(FIN | PING, true, b"");
    on_each_driver(&["--max-read-bytes", "1"], |server| {
        answers_arrive(server, &ping);
    });
}

/// More after the close frame than one read takes.
#[test]
fn a_flood_after_the_close_frame() {
    let flood = encode(FIN | PING, true, b"more").repeat(20_000);
    on_each_driver(&[], |server| answers_arrive(server, &flood));
}
