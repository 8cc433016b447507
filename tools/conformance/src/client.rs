//! The client under test: the library's codec in its client role, on a blocking
//! socket, against a suite's fuzzing server.
//!
//! The server says how many cases it has, runs each on a connection of its own,
//! on which this echoes every message, and writes its report when asked.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use corecast::upgrade::{accept_key, client};
use corecast::ws::{
    CloseCode, Decoder, Event, Input, Message, OpCode, Role, Rules, encode_masked_close,
    encode_masked_frame,
};
use corecast_kit::During;

use crate::cli::ClientOptions;
use crate::{Error, Result};

/// The longest payload of any case is 16 MiB.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Longer than any case leaves a connection silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Time the server has to end the connection once both sides have said close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most that one read takes.
const BUFFER_BYTES: usize = 64 * 1024;

const RULES: Rules = Rules {
    role: Role::Client,
    max_frame_bytes: MAX_MESSAGE_BYTES,
    max_message_bytes: MAX_MESSAGE_BYTES,
};

/// Runs every case the server has and asks for its report. `progress` is called
/// with the number of each case before it runs, and how many there are.
///
/// # Errors
///
/// The server cannot be reached, or does not tell how many cases it has. The
/// suite judges a failure inside of a case.
pub fn run(options: &ClientOptions, mut progress: impl FnMut(u32, u32)) -> Result<()> {
    let count = case_count(options)?;
    let agent = &options.agent;
    for case in 1..=count {
        progress(case, count);
        let path = format!("/runCase?case={case}&agent={agent}");
        Connection::open(options, &path)?.serve(Connection::echo);
    }
    let path = format!("/updateReports?agent={agent}");
    Connection::open(options, &path)?.serve(|_, _| {});
    Ok(())
}

fn case_count(options: &ClientOptions) -> Result<u32> {
    let mut said = None;
    Connection::open(options, "/getCaseCount")?.serve(|_, message| {
        said = str::from_utf8(message.as_bytes())
            .ok()
            .and_then(|text| text.trim().parse().ok());
    });
    said.ok_or_else(|| Error::Process("the fuzzing server did not say its number of cases".into()))
}

/// Whether a connection goes on.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Our close frame is among the bytes to be sent; nothing more is understood.
    Closing,
}

/// A session seen from its client.
struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    /// Received with the response of the handshake, and not decoded yet.
    early: Vec<u8>,
    read_bytes: usize,
}

impl Connection {
    fn open(options: &ClientOptions, path: &str) -> Result<Connection> {
        let address: SocketAddr = options.server;
        let during = || format!("opening {path} of the fuzzing server at {address}");
        let mut stream = TcpStream::connect(address).during(during())?;
        let set = |stream: &TcpStream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(READ_TIMEOUT))?;
            stream.set_write_timeout(Some(READ_TIMEOUT))
        };
        set(&stream).during(during())?;

        let key = client::key(rand::random());
        let mut request = Vec::new();
        client::request(&address.to_string(), path, &key, &[], &mut request);
        stream.write_all(&request).during(during())?;
        let expected = accept_key(&key);
        let read_bytes = options.max_read_bytes.clamp(1, BUFFER_BYTES);
        let mut buffer = [0; BUFFER_BYTES];
        let mut received = Vec::new();
        loop {
            match client::parse_response(&received, &expected) {
                Ok(Some(consumed)) => {
                    return Ok(Connection {
                        stream,
                        decoder: Decoder::new(),
                        early: received.split_off(consumed),
                        read_bytes,
                    });
                }
                Ok(None) => {}
                Err(error) => return Err(Error::Process(format!("{}: {error}", during()))),
            }
            match stream.read(&mut buffer[..read_bytes]).during(during())? {
                0 => return Err(Error::Process(format!("{}: it hung up", during()))),
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Answers until the connection ends. A broken connection is an end, too.
    fn serve(mut self, mut answer: impl FnMut(&mut Vec<u8>, Message<'_>)) {
        let _ = self.try_serve(&mut answer);
    }

    fn try_serve(&mut self, answer: &mut impl FnMut(&mut Vec<u8>, Message<'_>)) -> io::Result<()> {
        let mut early = std::mem::take(&mut self.early);
        let mut state = self.take_in(&mut early, answer)?;
        let mut buffer = vec![0; self.read_bytes];
        while state == State::Open {
            match self.stream.read(&mut buffer)? {
                0 => return Ok(()),
                count => state = self.take_in(&mut buffer[..count], answer)?,
            }
        }
        // The server is the one to end the connection (RFC 6455 §7.1.1).
        self.stream.set_read_timeout(Some(CLOSE_TIMEOUT))?;
        let mut rest = [0; BUFFER_BYTES];
        while self.stream.read(&mut rest)? > 0 {}
        Ok(())
    }

    /// Decodes the received bytes and sends the answers.
    fn take_in(
        &mut self,
        received: &mut [u8],
        answer: &mut impl FnMut(&mut Vec<u8>, Message<'_>),
    ) -> io::Result<State> {
        let mut out = Vec::new();
        let mut input = Input::new(received);
        let state = loop {
            match self.decoder.next(&mut input, &RULES) {
                Ok(Some(Event::Message(message))) => answer(&mut out, message),
                Ok(Some(Event::Ping(payload))) => {
                    encode_masked_frame(&mut out, OpCode::Pong, payload, rand::random());
                }
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close(close))) => {
                    match close {
                        Some(close) => close_with(&mut out, close.code),
                        None => encode_masked_frame(&mut out, OpCode::Close, b"", rand::random()),
                    }
                    break State::Closing;
                }
                Ok(None) => break State::Open,
                Err(fault) => {
                    close_with(&mut out, fault.close_code());
                    break State::Closing;
                }
            }
        };
        self.stream.write_all(&out)?;
        Ok(state)
    }

    fn echo(out: &mut Vec<u8>, message: Message<'_>) {
        encode_masked_frame(out, message.opcode(), message.as_bytes(), rand::random());
    }
}

fn close_with(out: &mut Vec<u8>, code: CloseCode) {
    encode_masked_close(out, code, "", rand::random());
}
