//! Halves of large messages, on many connections at once, take no more memory than
//! the budget; those that grow and those that are small go on.
//!
//! How: each connection announces a message and sends a part of it. The gauge and the
//! memory of the server say how much is held; the close frames say which sessions had
//! to go.

use std::io::ErrorKind;
use std::time::Duration;

use crate::support::aftermath::withstand;
use crate::support::client::{BINARY, CLOSE, CONTINUATION, Client, FIN, TEXT, encode};
use crate::support::{Server, on_each_driver, wait_until};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A budget of 4 MiB for each of two shards.
const BUDGET: u64 = 8 * MIB as u64;
const OPTIONS: [&str; 4] = [
    "--max-unfinished-bytes",
    "8MiB",
    "--max-message-bytes",
    "1MiB",
];

/// The beginning of a frame of so many bytes that never ends.
fn part(announced: usize, sent: usize) -> Vec<u8> {
    let mut frame = encode(FIN | BINARY, true, &vec![b'x'; announced]);
    frame.truncate(frame.len() - announced + sent);
    frame
}

/// A message in pieces that comes back while others are held.
fn expect_echo_in_pieces(server: &Server, len: usize) {
    let mut client = Client::connect(server.address, "/echo");
    let piece = "y".repeat(len / 8);
    for number in 0..8 {
        let opcode = if number == 0 { TEXT } else { CONTINUATION };
        let fin = if number == 7 { FIN } else { 0 };
        client.send(&encode(fin | opcode, true, piece.as_bytes()));
    }
    assert_eq!(client.read_text().len(), len);
    client.close();
}

/// Whether the session was told that its message had to go.
fn was_closed(client: &mut Client) -> bool {
    let wait = Some(Duration::from_millis(1));
    client.stream.set_read_timeout(wait).unwrap();
    match client.try_frame() {
        Ok(Some(frame)) => {
            assert_eq!((frame.opcode, frame.close_code()), (CLOSE, 1013));
            true
        }
        Ok(None) => panic!("the connection ended without a close frame"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    }
}

#[test]
fn halves_of_large_messages() {
    const CLIENTS: usize = 300;
    /// As many as fit, since each has 512 KiB at least.
    const FIT: usize = 16;
    withstand("halves of large messages", &OPTIONS, |server| {
        let before = server.total("ended.over_budget");
        let half = part(MIB, 512 * KIB);
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let mut client = Client::connect(server.address, "/echo");
            client.send(&half);
            clients.push(client);
            if number % 50 == 0 {
                let held = server.total("unfinished_bytes");
                assert!(held <= BUDGET, "{held} bytes are held");
                expect_echo_in_pieces(server, 64 * KIB);
            }
        }
        // A client that is told ends its connection, and with it the session.
        wait_until("the largest are closed", || {
            clients.retain_mut(|client| !was_closed(client));
            clients.len() <= FIT
        });
        let must_go = before + (CLIENTS - FIT) as u64;
        wait_until("they have ended", || {
            server.total("ended.over_budget") >= must_go
        });
        let held = server.total("unfinished_bytes");
        assert!((1..=BUDGET).contains(&held), "{held} bytes are held");
        assert!(!clients.is_empty(), "those that fit stay");
        drop(clients);
        server.wait_for("unfinished_bytes", 0);
        CLIENTS
    });
}

/// Of messages about as large as each other those that stand still go first, so a client that
/// goes on gets its message through whatever others hold.
#[test]
fn a_message_that_grows_outlives_those_that_stand_still() {
    let options = [&["--shards", "1"], &OPTIONS[..]].concat();
    on_each_driver(&options, |server| {
        let held = part(256 * KIB, 255 * KIB);
        let mut standing = Vec::new();
        for _ in 0..100 {
            let mut client = Client::connect(server.address, "/echo");
            client.send(&held);
            standing.push(client);
            if standing.len() % 20 == 0 {
                expect_echo_in_pieces(server, 200 * KIB);
            }
        }
        let text = "its unfinished message was the largest when they took more than";
        assert!(server.log().contains(text), "{}", server.log());
        assert!(server.log().contains("reason=\"over_budget\""));
        standing.clear();
        server.wait_for("unfinished_bytes", 0);
    });
}

/// The memory of a message comes back when it is whole, when its sender is gone, and
/// when the session ends for another reason.
#[test]
fn what_is_finished_or_gone_is_counted_no_more() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::connect(server.address, "/echo");
        let whole = encode(FIN | BINARY, true, &[b'x'; 1000]);
        client.send(&whole[..500]);
        wait_until("a part is held", || server.total("unfinished_bytes") >= 500);
        client.send(&whole[500..]);
        assert_eq!(client.frame().payload.len(), 1000);
        server.wait_for("unfinished_bytes", 0);

        // A byte of a header is held too.
        client.send(&whole[..1]);
        wait_until("a header is held", || server.total("unfinished_bytes") > 0);
        client.reset();
        server.wait_for("unfinished_bytes", 0);

        // The second frame is at fault; what came before it is not kept for the close.
        let mut client = Client::connect(server.address, "/echo");
        client.send(&encode(BINARY, true, &[b'x'; 1000]));
        wait_until("a fragment is held", || {
            server.total("unfinished_bytes") >= 1000
        });
        client.send(&encode(FIN | BINARY, true, b"x"));
        assert_eq!(client.frame().close_code(), 1002);
        server.wait_for("unfinished_bytes", 0);
    });
}
