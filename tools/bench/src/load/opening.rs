//! The beginning of a connection: its first bytes, and the answer that opens it.

use std::net::SocketAddrV4;
use std::os::fd::{AsFd, OwnedFd};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use corecast_kit::sys::{self, Event, Source};
use corecast_kit::websocket::accept_for;
use sha1::{Digest, Sha1};

use crate::During;
use crate::floor::{GREETING, SAMPLE_KEY};
use crate::{Error, Result};

/// The first bytes of a client, and the answer without which its connection
/// does not count.
#[derive(Debug, Clone)]
pub struct Hello {
    said: Vec<u8>,
    reply: Reply,
}

#[derive(Debug, Clone)]
enum Reply {
    /// A response that accepts the key; `known` is one that was checked before.
    Upgrade { accept: String, known: Vec<u8> },
    /// Exactly these bytes.
    Bytes(Vec<u8>),
}

impl Hello {
    /// The opening handshake of RFC 6455 with a key that belongs to `seed`;
    /// seed 0 is the key of the RFC's example.
    pub fn upgrade(address: SocketAddrV4, path: &str, seed: u64) -> Hello {
        let key = match seed {
            0 => SAMPLE_KEY.to_owned(),
            seed => {
                let digest = Sha1::digest(seed.to_be_bytes());
                STANDARD.encode(&digest[..16])
            }
        };
        let said = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        Hello {
            said: said.into_bytes(),
            reply: Reply::Upgrade {
                accept: accept_for(&key),
                known: Vec::new(),
            },
        }
    }

    /// For an echo floor: one byte that must come back, so that a connection
    /// only counts once it is out of the accept queue.
    pub fn raw_echo() -> Hello {
        Hello {
            said: vec![b'?'],
            reply: Reply::Bytes(vec![b'?']),
        }
    }

    /// For the broadcast floor, which greets by itself.
    pub fn raw_greeting() -> Hello {
        Hello {
            said: Vec::new(),
            reply: Reply::Bytes(vec![GREETING]),
        }
    }

    /// Whether `heard` is the whole answer; an error if it can never become one.
    fn is_answered(&mut self, heard: &[u8]) -> Result<bool> {
        match &mut self.reply {
            Reply::Bytes(bytes) if bytes == heard => Ok(true),
            Reply::Bytes(bytes) if bytes.starts_with(heard) => Ok(false),
            Reply::Bytes(_) => Err(Error::Wrong(format!(
                "a greeting of {}",
                heard.escape_ascii()
            ))),
            // The fast path: servers answer the same key with the same bytes.
            Reply::Upgrade { known, .. } if known == heard => Ok(true),
            Reply::Upgrade { accept, known } => {
                let whole = check_response(heard, accept)?;
                if whole {
                    known.clear();
                    known.extend_from_slice(heard);
                }
                Ok(whole)
            }
        }
    }
}

/// Checks a response as far as it has come: true when it is whole and accepts.
fn check_response(heard: &[u8], accept: &str) -> Result<bool> {
    let shown = || heard[..heard.len().min(400)].escape_ascii().to_string();
    let status = b"HTTP/1.1 101 ";
    let prefix = heard.len().min(status.len());
    if heard[..prefix] != status[..prefix] || heard.len() > 8192 {
        return Err(Error::Wrong(format!("no 101: {}", shown())));
    }
    let Some(end) = heard.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(false);
    };
    if end + 4 != heard.len() {
        return Err(Error::Wrong(format!("bytes after the 101: {}", shown())));
    }
    let text = String::from_utf8_lossy(heard);
    let has = |name: &str, value: &str, exact: bool| {
        text.split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .any(|(field, content)| {
                let content = content.trim();
                field.eq_ignore_ascii_case(name)
                    && (content == value || !exact && content.eq_ignore_ascii_case(value))
            })
    };
    if has("Sec-WebSocket-Accept", accept, true)
        && has("Upgrade", "websocket", false)
        && has("Connection", "upgrade", false)
    {
        Ok(true)
    } else {
        Err(Error::Wrong(format!(
            "a 101 that does not accept: {}",
            shown()
        )))
    }
}

/// A connection on its way.
pub struct Opening {
    socket: OwnedFd,
    sent: usize,
    heard: Vec<u8>,
}

impl Opening {
    /// Begins to connect, and says the first words if the connection stands at
    /// once, as it does on loopback.
    pub fn begin(address: SocketAddrV4, source: Source, hello: &Hello) -> Result<Opening> {
        let socket = sys::connect(address, source).during(format!("connecting to {address}"))?;
        let mut opening = Opening {
            socket,
            sent: 0,
            heard: Vec::new(),
        };
        opening.say(hello)?;
        Ok(opening)
    }

    fn say(&mut self, hello: &Hello) -> Result<()> {
        if !self.is_said(hello) {
            self.sent += sys::send(self.socket.as_fd(), &hello.said[self.sent..])
                .during("sending the opening handshake")?
                .unwrap_or(0);
        }
        Ok(())
    }

    /// Everything has been said; only the answer is outstanding.
    pub fn is_said(&self, hello: &Hello) -> bool {
        self.sent == hello.said.len()
    }

    /// Does what `event` allows; true once the connection is established.
    pub fn advance(&mut self, event: Event, hello: &mut Hello, scratch: &mut [u8]) -> Result<bool> {
        self.say(hello)?;
        if !event.readable() {
            return Ok(false);
        }
        let received = sys::receive(self.socket.as_fd(), scratch)
            .during("waiting for the answer to the opening handshake")?;
        match received {
            None => Ok(false),
            Some(0) => Err(Error::Wrong(format!(
                "the connection was closed during the opening handshake, after {}",
                self.heard.escape_ascii()
            ))),
            Some(count) if self.heard.is_empty() && hello.is_answered(&scratch[..count])? => {
                Ok(true)
            }
            Some(count) => {
                self.heard.extend_from_slice(&scratch[..count]);
                hello.is_answered(&self.heard)
            }
        }
    }

    /// The socket, to be watched while the connection is on its way.
    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The established connection.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::{RESPONSE, SAMPLE_ACCEPT};

    #[test]
    fn accepts_the_example_of_the_rfc() {
        assert_eq!(accept_for(SAMPLE_KEY), SAMPLE_ACCEPT);
    }

    #[test]
    fn a_response_is_whole_only_at_its_last_byte() {
        for length in 0..RESPONSE.len() {
            assert!(!check_response(&RESPONSE[..length], SAMPLE_ACCEPT).unwrap());
        }
        assert!(check_response(RESPONSE, SAMPLE_ACCEPT).unwrap());
    }

    #[test]
    fn anything_else_is_refused() {
        let trailing = [RESPONSE, b"x"].concat();
        assert!(check_response(&trailing, SAMPLE_ACCEPT).is_err());
        assert!(check_response(RESPONSE, "another").is_err());
        assert!(check_response(b"HTTP/1.1 404 Not Found\r\n\r\n", SAMPLE_ACCEPT).is_err());
    }
}
