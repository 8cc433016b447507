//! A small WebSocket server that does what it should, except to one of its
//! connections: to that one it breaks a promise, and a test checks that the
//! generator notices.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use corecast::upgrade::accept_key;
use corecast::ws::{
    CloseCode, Decoder, Event, Input, OpCode, Role, Rules, encode_close, encode_frame,
};

/// The fault of the server towards connection number 1. Deliveries are counted
/// from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Nothing: it is honest.
    None,
    /// Keeps back each delivery with a number, from 1, that is a multiple of this.
    DropEvery(u64),
    /// Delivers this one after the next one.
    Swap(u64),
    /// Delivers this one twice.
    Repeat(u64),
    /// Changes the last byte of this one.
    Corrupt(u64),
    /// Ends the stream in place of this one.
    EndStream(u64),
    /// Sends a close frame with this code in place of this one.
    CloseWith(u64, CloseCode),
    /// Sends a frame that is against the protocol in place of this one.
    BreakProtocol(u64),
    /// Delivers nothing at all.
    Silence,
}

/// The server. It lives as long as the test's process.
pub struct Liar {
    address: SocketAddr,
}

impl Liar {
    pub fn start(lie: Lie) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let room = Arc::new(Mutex::new(Vec::new()));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, room) = (stream.unwrap(), Arc::clone(&room));
                thread::spawn(move || serve(stream, &room, lie));
            }
        });
        Liar { address }
    }

    /// Each gets back what it sends.
    pub fn echo(&self) -> String {
        format!("ws://{}/echo/{{connection}}", self.address)
    }

    /// Each gets every message.
    pub fn broadcast(&self) -> String {
        format!("ws://{}/broadcast/{{connection}}", self.address)
    }
}

/// All connections that want every message.
type Room = Mutex<Vec<Member>>;

/// A connection that is delivered to.
struct Member {
    name: String,
    stream: TcpStream,
    lie: Lie,
    delivered: u64,
    held: Vec<u8>,
}

fn serve(stream: TcpStream, room: &Room, lie: Lie) {
    // Any failure ends the connection; the test looks at the
    // generator's counts.
    let _ = converse(&stream, room, lie);
    let _ = stream.shutdown(Shutdown::Both);
}

fn converse(mut stream: &TcpStream, room: &Room, lie: Lie) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (path, key) = read_request(stream)?;
    let mut member = Member {
        stream: stream.try_clone()?,
        lie: if path.ends_with("/1") { lie } else { Lie::None },
        delivered: 0,
        held: Vec::new(),
        name: path.clone(),
    };
    let mut alone = None;
    if path.starts_with("/broadcast/") {
        // A client that is told that it is open gets each message that is sent
        // from then on.
        let mut room = room.lock().unwrap();
        accept(stream, &key)?;
        room.push(member);
    } else {
        accept(stream, &key)?;
        alone = Some(&mut member);
    }
    let rules = Rules {
        role: Role::Server,
        max_frame_bytes: 1 << 20,
        max_message_bytes: 1 << 20,
    };
    let mut decoder = Decoder::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let received = stream.read(&mut chunk)?;
        let mut input = Input::new(&mut chunk[..received]);
        let mut ended = received == 0;
        while let Some(event) = decoder.next(&mut input, &rules).map_err(broken)? {
            match event {
                Event::Message(message) => {
                    let (opcode, payload) = (message.opcode(), message.as_bytes());
                    match &mut alone {
                        Some(member) => member.deliver(opcode, payload),
                        // The lock makes the order the same for all.
                        None => room
                            .lock()
                            .unwrap()
                            .iter_mut()
                            .for_each(|member| member.deliver(opcode, payload)),
                    }
                }
                Event::Close(_) => ended = true,
                Event::Ping(_) | Event::Pong(_) => {}
            }
        }
        if ended {
            room.lock().unwrap().retain(|member| member.name != path);
            let mut close = Vec::new();
            encode_close(&mut close, CloseCode::NORMAL_CLOSURE, "");
            return stream.write_all(&close);
        }
    }
}

fn broken(error: impl std::fmt::Debug) -> std::io::Error {
    std::io::Error::other(format!("{error:?}"))
}

/// Reads the request byte by byte, so that nothing after it is taken. Returns
/// its path and key.
fn read_request(stream: &TcpStream) -> std::io::Result<(String, String)> {
    let (mut path, mut key) = (String::new(), String::new());
    for line in BufReader::with_capacity(1, stream).lines() {
        let line = line?;
        if let Some(request) = line.strip_prefix("GET ") {
            path = request.split(' ').next().unwrap_or_default().to_owned();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("sec-websocket-key")
        {
            key = value.trim().to_owned();
        }
        if line.is_empty() {
            break;
        }
    }
    Ok((path, key))
}

fn accept(mut stream: &TcpStream, key: &str) -> std::io::Result<()> {
    let accept = accept_key(key.as_bytes());
    let accept = std::str::from_utf8(&accept).unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

impl Member {
    fn deliver(&mut self, opcode: OpCode, payload: &[u8]) {
        let number = self.delivered;
        self.delivered += 1;
        let mut frame = Vec::new();
        encode_frame(&mut frame, opcode, payload);
        match self.lie {
            Lie::DropEvery(step) if (number + 1).is_multiple_of(step) => return,
            Lie::Swap(first) if number == first => {
                self.held = frame;
                return;
            }
            Lie::Swap(first) if number == first + 1 => frame.append(&mut self.held),
            Lie::Repeat(twice) if number == twice => frame.extend_from_within(..),
            Lie::Corrupt(which) if number == which => {
                if let Some(last) = frame.last_mut() {
                    *last = b'?';
                }
            }
            Lie::EndStream(at) if number >= at => {
                let _ = self.stream.shutdown(Shutdown::Write);
                return;
            }
            Lie::CloseWith(at, code) if number >= at => {
                frame.clear();
                if number == at {
                    encode_close(&mut frame, code, "");
                }
            }
            // A reserved bit, without an extension that gives it a meaning.
            Lie::BreakProtocol(at) if number == at => frame[0] |= 0x40,
            Lie::Silence => return,
            _ => {}
        }
        let _ = self.stream.write_all(&frame);
    }
}
