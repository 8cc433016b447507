//! A WebSocket client on a plain blocking socket, which can also break every
//! rule. It shares no code with the server's codec.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::DEADLINE;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
/// The bit of the first byte that ends a message.
pub const FIN: u8 = 0x80;

/// A frame as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a close frame.
    #[track_caller]
    pub fn close_code(&self) -> u16 {
        assert_eq!(self.opcode, CLOSE, "not a close frame: {self:?}");
        assert!(self.payload.len() >= 2, "a close frame without a code");
        u16::from_be_bytes([self.payload[0], self.payload[1]])
    }

    /// The payload of a text frame.
    #[track_caller]
    pub fn text(&self) -> &str {
        assert_eq!(self.opcode, TEXT, "not a text frame: {self:?}");
        std::str::from_utf8(&self.payload).expect("text is UTF-8")
    }
}

/// Encodes a frame. `first` is its first byte: FIN, reserved bits and opcode.
pub fn encode(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mask_bit = if masked { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => bytes.push(mask_bit | len as u8),
        len @ 126..=0xFFFF => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if masked {
        let mask = [0x37, 0xFA, 0x21, 0x3D];
        bytes.extend_from_slice(&mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    } else {
        bytes.extend_from_slice(payload);
    }
    bytes
}

/// A whole text message as a client sends it.
pub fn text(payload: &str) -> Vec<u8> {
    encode(FIN | TEXT, true, payload.as_bytes())
}

/// An opening handshake without fault.
pub fn request(path: &str) -> String {
    request_with(path, "")
}

/// An opening handshake with more header lines, each ended by CRLF.
pub fn request_with(path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A connection, from its first byte on.
#[derive(Debug)]
pub struct Client {
    pub stream: TcpStream,
    /// Received and not yet taken.
    buffer: Vec<u8>,
    taken: usize,
}

impl Client {
    /// Connects without saying anything.
    pub fn open(address: SocketAddr) -> Client {
        Client::new(TcpStream::connect(address).expect("the server accepts"))
    }

    /// Connects from an address of the loopback network, with a small receive
    /// buffer if asked for.
    pub fn open_from(
        source: Ipv4Addr,
        address: SocketAddr,
        receive_buffer: Option<usize>,
    ) -> io::Result<Client> {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
        socket.connect(&address.into())?;
        Ok(Client::new(socket.into()))
    }

    fn new(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client {
            stream,
            buffer: Vec::new(),
            taken: 0,
        }
    }

    /// Opens a session.
    #[track_caller]
    pub fn connect(address: SocketAddr, path: &str) -> Client {
        let mut client = Client::open(address);
        client.handshake(path);
        client
    }

    /// Opens a session that the kernel buffers little for.
    #[track_caller]
    pub fn connect_narrow(address: SocketAddr, path: &str) -> Client {
        let mut client = Client::open_from(Ipv4Addr::LOCALHOST, address, Some(4096)).unwrap();
        client.handshake(path);
        client
    }

    /// Sends a handshake and reads the 101.
    #[track_caller]
    pub fn handshake(&mut self, path: &str) {
        self.send(request(path).as_bytes());
        let head = self.response_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "refused: {head}");
    }

    /// Reads a response up to the end of its header block.
    #[track_caller]
    pub fn response_head(&mut self) -> String {
        self.try_response_head().expect("a response")
    }

    /// The same; nothing if the connection ends without a response.
    #[track_caller]
    pub fn try_response_head(&mut self) -> Option<String> {
        loop {
            let received = &self.buffer[self.taken..];
            if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(received[..end + 4].to_vec()).unwrap();
                self.taken += end + 4;
                return Some(head);
            }
            if self.fill().expect("no reset") == 0 {
                assert_eq!(self.taken, self.buffer.len(), "a part of a response");
                return None;
            }
        }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Sends a whole text message.
    #[track_caller]
    pub fn send_text(&mut self, payload: &str) {
        self.send(&text(payload));
    }

    /// Sends a close frame with this code.
    #[track_caller]
    pub fn send_close(&mut self, code: u16) {
        self.send(&encode(FIN | CLOSE, true, &code.to_be_bytes()));
    }

    /// Reads more into the buffer.
    fn fill(&mut self) -> io::Result<usize> {
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        } else if self.taken > 1 << 20 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        let mut chunk = [0; 16 * 1024];
        let received = loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.extend_from_slice(&chunk[..received]);
        Ok(received)
    }

    /// Reads the next frame; `None` is the end of the stream between frames.
    ///
    /// # Errors
    /// A reset, an end of stream inside a frame, or a wait that took too long.
    pub fn try_frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some((frame, len)) = parse(&self.buffer[self.taken..]) {
                self.taken += len;
                return Ok(Some(frame));
            }
            if self.fill()? == 0 {
                return match self.buffer.len() - self.taken {
                    0 => Ok(None),
                    torn => Err(io::Error::other(format!("ended {torn} bytes into a frame"))),
                };
            }
        }
    }

    /// Reads the next frame, which must come.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        match self.try_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => panic!("the connection ended where a frame was expected"),
            Err(error) => panic!("no frame: {error}"),
        }
    }

    /// Reads the next frame, which must be text.
    #[track_caller]
    pub fn read_text(&mut self) -> String {
        self.frame().text().to_owned()
    }

    /// The end of the stream comes now, and not by a reset.
    #[track_caller]
    pub fn expect_end(&mut self) {
        match self.try_frame() {
            Ok(None) => {}
            other => panic!("expected the end of the stream, not {other:?}"),
        }
    }

    /// Nothing comes for a while.
    #[track_caller]
    pub fn expect_silence(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
        match self.try_frame() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => panic!("expected silence, not {other:?}"),
        }
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
    }

    /// Sends a message and expects it back, which shows that the session lives.
    #[track_caller]
    pub fn expect_echo(&mut self, payload: &str) {
        self.send_text(payload);
        assert_eq!(self.read_text(), payload);
    }

    /// Says goodbye and waits for the answer and the end.
    #[track_caller]
    pub fn close(mut self) {
        self.send_close(1000);
        assert_eq!(self.frame().close_code(), 1000);
        self.expect_end();
    }

    /// Ends our half of the connection; the other can still be read.
    pub fn shutdown_write(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Breaks the connection with a reset.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// A second handle on the same connection, to write while this one reads.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }
}

/// A whole frame at the start of the bytes, and its length.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "a server does not mask");
    assert_eq!(first & 0x70, 0, "no extension was agreed on");
    let (len, head) = match second {
        126 => {
            let len = bytes.get(2..4)?.try_into().unwrap();
            (u64::from(u16::from_be_bytes(len)), 4)
        }
        127 => {
            let len = bytes.get(2..10)?.try_into().unwrap();
            (u64::from_be_bytes(len), 10)
        }
        len => (u64::from(len), 2),
    };
    let opcode = first & 0x0F;
    assert!(
        matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG),
        "not a frame: opcode {opcode}"
    );
    let payload = bytes.get(head..head + len as usize)?.to_vec();
    let frame = Frame {
        fin: first & FIN != 0,
        opcode,
        payload,
    };
    Some((frame, head + len as usize))
}
