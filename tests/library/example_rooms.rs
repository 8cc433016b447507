//! `examples/rooms.rs` does what its first page says: two guests of one room hear each
//! other and are told who comes and goes, another room hears nothing, and a client that
//! cannot be served is told why. Runs the example's own server.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use corecast::upgrade::{accept_key, client};
use corecast::ws::{FrameHeader, OpCode, encode_masked_close, encode_masked_frame};
use corecast::{CloseCode, RunningServer, Server};

#[path = "../../examples/rooms.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod rooms;

/// The example's server, running until it is dropped.
struct Example(RunningServer);

impl Example {
    fn start() -> Example {
        let server = rooms::server(([127, 0, 0, 1], 0).into()).and_then(Server::start);
        Example(server.expect("a port that is free can be had"))
    }

    fn guest(&self, room: &str, name: &str) -> Guest {
        let mut guest = self
            .open(&format!("/rooms/{room}?name={name}"))
            .unwrap_or_else(|error| panic!("{name} was refused: {error}"));
        assert_eq!(guest.hear(), format!("* welcome, {name}"));
        guest
    }

    fn open(&self, path: &str) -> Result<Guest, client::ClientError> {
        let mut socket = TcpStream::connect(self.0.local_addr()).expect("the example listens");
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a time that is not zero");
        let key = client::key([7; 16]);
        let mut out = Vec::new();
        client::request("rooms.test", path, &key, &[], &mut out);
        socket.write_all(&out).expect("the socket takes a request");
        let mut received = Vec::new();
        loop {
            let ended = read_more(&mut socket, &mut received) == 0;
            // A refusal's body may come after its head; its end is the socket's.
            match client::parse_response(&received, &accept_key(&key)) {
                Ok(Some(consumed)) => {
                    received.drain(..consumed);
                    return Ok(Guest { socket, received });
                }
                Err(error) if ended => return Err(error),
                _ => assert!(!ended, "the answer ended early"),
            }
        }
    }
}

fn read_more(socket: &mut TcpStream, received: &mut Vec<u8>) -> usize {
    let mut chunk = [0; 4096];
    loop {
        match socket.read(&mut chunk) {
            Ok(count) => {
                received.extend_from_slice(&chunk[..count]);
                return count;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return 0,
            Err(error) => panic!("nothing came: {error}"),
        }
    }
}

/// A client with a connection to a room.
struct Guest {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Guest {
    fn say(&mut self, text: &str) {
        let mut out = Vec::new();
        encode_masked_frame(&mut out, OpCode::Text, text.as_bytes(), [1, 2, 3, 4]);
        self.socket
            .write_all(&out)
            .expect("the socket takes a frame");
    }

    fn hear(&mut self) -> String {
        let (opcode, payload) = self.frame();
        assert_eq!(opcode, OpCode::Text);
        String::from_utf8(payload).expect("text is UTF-8")
    }

    /// The next line that somebody said.
    fn hear_said(&mut self) -> String {
        loop {
            // Guests that came a moment before us may still be announced to us.
            let line = self.hear();
            if !line.starts_with("* ") {
                return line;
            }
        }
    }

    fn frame(&mut self) -> (OpCode, Vec<u8>) {
        loop {
            let header = FrameHeader::parse(&self.received).expect("the server sends frames");
            if let Some((header, start)) = header {
                let end = start + header.payload_len as usize;
                if self.received.len() >= end {
                    let payload = self.received[start..end].to_vec();
                    self.received.drain(..end);
                    return (header.opcode, payload);
                }
            }
            let count = read_more(&mut self.socket, &mut self.received);
            assert_ne!(count, 0, "the connection ended");
        }
    }

    fn leave(mut self) {
        let mut out = Vec::new();
        encode_masked_close(&mut out, CloseCode::NORMAL_CLOSURE, "", [1, 2, 3, 4]);
        self.socket
            .write_all(&out)
            .expect("the socket takes a frame");
        assert_eq!(self.frame().0, OpCode::Close);
    }
}

#[test]
fn guests_of_a_room_hear_each_other() {
    let example = Example::start();
    let mut ada = example.guest("kitchen", "ada");
    let mut bob = example.guest("kitchen", "bob");
    assert_eq!(ada.hear(), "* bob has come in");
    // The topic of the chat on /ws is called so; the room is not.
    let mut eve = example.guest("chat", "eve");

    ada.say("Who is cooking?");
    assert_eq!(ada.hear_said(), "ada: Who is cooking?");
    assert_eq!(bob.hear_said(), "ada: Who is cooking?");
    eve.say("Anybody here?");
    assert_eq!(
        eve.hear_said(),
        "eve: Anybody here?",
        "and nothing of the kitchen"
    );

    bob.leave();
    assert_eq!(ada.hear(), "* bob has left");
}

#[test]
fn what_cannot_be_served_is_told_why() {
    let example = Example::start();
    for path in [
        "/rooms/kitchen".to_owned(),
        "/rooms/kitchen?name=%20".to_owned(),
        "/rooms/kitchen?name=a%0Ab".to_owned(),
        format!("/rooms/kitchen?name={}", "x".repeat(33)),
        format!("/rooms/{}?name=ada", "x".repeat(33)),
    ] {
        match example.open(&path).map(drop) {
            Err(client::ClientError::Status { status: 400, body }) => {
                assert!(body.contains("/rooms/ROOM?name=NAME"), "{path}: {body}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }

    let mut ada = example.guest("kitchen", "ada");
    ada.say("  ");
    assert_eq!(ada.hear(), "* say something, or say nothing");
    ada.say(&"x".repeat(2_001));
    assert_eq!(ada.hear(), "* that was more than 2000 bytes");
    let mut out = Vec::new();
    encode_masked_frame(&mut out, OpCode::Binary, &[0], [1, 2, 3, 4]);
    ada.socket
        .write_all(&out)
        .expect("the socket takes a frame");
    let (opcode, payload) = ada.frame();
    assert_eq!(
        (opcode, &payload[..2]),
        (OpCode::Close, &1003_u16.to_be_bytes()[..])
    );
}
