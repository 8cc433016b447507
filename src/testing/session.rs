//! One session of a test.

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::Heard;
use crate::hub::Subscriptions;
use crate::link::{Link, Outlet};
use crate::sys::Socket;
use crate::ws::{CloseCode, Decoder, Event, Input, Message, Role, Rules};

/// A session and the client's end of its connection, a pair of sockets that are
/// connected to each other only.
pub(super) struct Session<S> {
    pub(super) shard: usize,
    /// `None` once it is over.
    pub(super) state: Option<S>,
    pub(super) outlet: Outlet,
    pub(super) subscriptions: Subscriptions,
    pub(super) closed: Option<(CloseCode, String)>,
    client: UnixStream,
    decoder: Decoder,
    /// What was sent and is not decoded yet.
    sent: Vec<u8>,
}

impl<S> Session<S> {
    pub(super) fn new(shard: usize) -> Self {
        let (server, client) = UnixStream::pair().expect("descriptors are left");
        client.set_nonblocking(true).expect("a socket may be asked");
        Session {
            shard,
            state: None,
            outlet: Outlet::new(Link::plain(Socket::new(OwnedFd::from(server)))),
            subscriptions: Subscriptions::default(),
            closed: None,
            client,
            decoder: Decoder::new(),
            sent: Vec::new(),
        }
    }

    /// Takes in all that the handler has sent.
    pub(super) fn receive_answers(&mut self) {
        loop {
            let mut buffer = [0; 64 * 1024];
            loop {
                match self.client.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(len) => self.sent.extend_from_slice(&buffer[..len]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("the client's end cannot be read: {error}"),
                }
            }
            if !self.outlet.is_pending() {
                return;
            }
            let flushed = self.outlet.flush(0);
            flushed.expect("the client's end takes more");
        }
    }

    /// Takes in a publication.
    pub(super) fn receive(&mut self, frames: &[u8]) {
        self.sent.extend_from_slice(frames);
    }

    /// The messages that were taken in since this was last called.
    pub(super) fn heard(&mut self) -> Vec<Heard> {
        let rules = Rules {
            role: Role::Client,
            max_frame_bytes: usize::MAX,
            max_message_bytes: usize::MAX,
        };
        let mut heard = Vec::new();
        let mut input = Input::new(&mut self.sent);
        while let Some(event) = {
            let event = self.decoder.next(&mut input, &rules);
            event.expect("a server's frames are well-formed")
        } {
            match event {
                Event::Message(Message::Text(text)) => heard.push(Heard::Text(text.to_owned())),
                Event::Message(Message::Binary(bytes)) => {
                    heard.push(Heard::Binary(bytes.to_vec()));
                }
                _ => {}
            }
        }
        self.sent.clear();
        heard
    }
}
