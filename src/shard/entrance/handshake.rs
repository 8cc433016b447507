//! Opening handshakes that need more than one look.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::answer::{Answer, Arrival, RETRY_AFTER};
use super::in_flight::Early;
use crate::link::{Link, PendingLink, Read};
use crate::metrics::RefusalReason;
use crate::runtime::tasks::spawn;
use crate::runtime::time::timeout;
use crate::shard::Shard;
use crate::upgrade::HttpError;

/// Reads of 4 KiB a refused client may still cause.
const MAX_DISCARDS: usize = 256;
/// Time in which a connection that may ask for the server's health only has to do so.
/// Health checks send their request with the end of the TCP handshake.
const PROBE_TIME: Duration = Duration::from_millis(250);
/// Time a refused client has to read its response.
const LINGER: Duration = Duration::from_secs(2);

/// A handshake that needs more than one look.
pub(in crate::shard) struct Handshake {
    link: Link,
    arrival: Arrival,
    /// The bytes of the request that have arrived.
    request: Vec<u8>,
    answer: Answer,
}

impl Handshake {
    pub(super) fn new(link: Link, arrival: Arrival, request: Vec<u8>, answer: Answer) -> Self {
        Handshake {
            link,
            arrival,
            request,
            answer,
        }
    }

    /// Goes on with the handshake in a task of its own, until it is accepted or
    /// refused.
    pub(super) fn spawn(self, shard: &Rc<RefCell<Shard>>) {
        let place = Place::take(shard);
        spawn(self.run(place));
    }

    async fn run(self, place: Place) {
        let Handshake {
            link,
            mut arrival,
            mut request,
            answer,
        } = self;
        let Ok(link) = PendingLink::new(link) else {
            return;
        };
        let answer = match answer {
            Answer::Wait => complete(&link, &place, &mut arrival, &mut request).await,
            answer => Ok(answer),
        };
        match answer {
            Ok(Answer::Open(opening)) => {
                let early = &mut request[opening.consumed..];
                place
                    .shard
                    .borrow_mut()
                    .open(*opening, link.into_link(), early);
            }
            Ok(Answer::Respond(response)) => {
                arrival.free_spare();
                respond(&link, &place, &response).await;
            }
            Ok(Answer::Wait) | Err(_) => {
                let shard = place.shard.borrow();
                shard.entrance.metrics.refuse(RefusalReason::Vanished);
            }
        }
    }
}

/// A handshake's place among those in flight.
struct Place {
    shard: Rc<RefCell<Shard>>,
    index: usize,
}

impl Place {
    fn take(shard: &Rc<RefCell<Shard>>) -> Place {
        let now = Instant::now();
        let index = shard.borrow_mut().entrance.handshakes.begin(now);
        let place = Place {
            shard: Rc::clone(shard),
            index,
        };
        place.count();
        place
    }

    /// Bytes of the request have arrived.
    fn heard(&self) {
        let handshakes = &mut self.shard.borrow_mut().entrance.handshakes;
        handshakes.heard(self.index, Instant::now());
    }

    /// The client only has to take its refusal.
    fn refused(&self) {
        let handshakes = &mut self.shard.borrow_mut().entrance.handshakes;
        handshakes.refused(self.index, Instant::now());
    }

    fn count(&self) {
        let shard = self.shard.borrow();
        let in_flight = shard.entrance.handshakes.len() as u64;
        shard.entrance.metrics.handshakes.set(in_flight);
    }

    /// Waits for the socket until the deadline.
    async fn wait(
        &self,
        deadline: Instant,
        socket: impl Future<Output = io::Result<()>>,
    ) -> Result<(), Waited> {
        let mut socket = pin!(socket);
        let ready = poll_fn(|cx| {
            let handshakes = &mut self.shard.borrow_mut().entrance.handshakes;
            if let Some(early) = handshakes.ends_early(self.index, cx.waker()) {
                return Poll::Ready(Err(Waited::Early(early)));
            }
            let ready = socket.as_mut().poll(cx);
            ready.map(|ready| ready.map_err(|_| Waited::Early(Early::GivenUp)))
        });
        let left = deadline.saturating_duration_since(Instant::now());
        timeout(left, ready).await.unwrap_or(Err(Waited::TooLong))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shard = self.shard.borrow_mut();
        shard.entrance.handshakes.end(self.index);
        drop(shard);
        self.count();
    }
}

/// Why a wait for the socket ended without it.
#[derive(Debug, PartialEq, Eq)]
enum Waited {
    TooLong,
    Early(Early),
}

/// Reads until there is an answer.
async fn complete(
    link: &PendingLink,
    place: &Place,
    arrival: &mut Arrival,
    request: &mut Vec<u8>,
) -> io::Result<Answer> {
    let mut chunk = [0; 2_048];
    let (most, timeout) = {
        let handshakes = &place.shard.borrow().entrance.handshakes;
        (
            handshakes.max_read_bytes.min(chunk.len()),
            handshakes.timeout,
        )
    };
    let mut deadline = Instant::now() + timeout;
    let mut is_restricted = false;
    loop {
        if arrival.is_restricted() && !std::mem::replace(&mut is_restricted, true) {
            deadline = deadline.min(Instant::now() + PROBE_TIME);
        }
        let late = match place.wait(deadline, link.readable()).await {
            Ok(()) => None,
            Err(Waited::TooLong) => Some(HttpError::Timeout),
            Err(Waited::Early(Early::GivesWay)) => Some(HttpError::CrowdedOut {
                retry_after: RETRY_AFTER,
            }),
            Err(Waited::Early(Early::GivenUp)) => return Ok(Answer::Wait),
        };
        if let Some(error) = late {
            let entrance = &place.shard.borrow().entrance;
            return Ok(entrance.end_early(request, arrival, error));
        }
        match link.read(&mut chunk[..most])? {
            Read::Bytes { len, .. } => {
                request.extend_from_slice(&chunk[..len]);
                place.heard();
            }
            Read::Nothing => continue,
            Read::End => return Ok(Answer::Wait),
        }
        let answer = place.shard.borrow_mut().answer(request, arrival);
        if !matches!(answer, Answer::Wait) {
            return Ok(answer);
        }
    }
}

/// Sends a response and waits until the client has it.
async fn respond(link: &PendingLink, place: &Place, mut response: &[u8]) {
    let deadline = Instant::now() + LINGER;
    place.refused();
    while !response.is_empty() {
        match link.send_bytes(response) {
            Ok(0) => {
                if place.wait(deadline, link.writable()).await.is_err() {
                    return;
                }
            }
            Ok(sent) => response = &response[sent..],
            Err(_) => return,
        }
    }
    link.shut_write();
    // Bytes that are still on their way here are read and thrown away; a client that
    // never stops sending is cut off.
    for _ in 0..MAX_DISCARDS {
        let waited = place.wait(deadline, link.readable()).await;
        match (waited, link.read(&mut [0; 4_096])) {
            (Err(_), _) | (_, Ok(Read::End) | Err(_)) => return,
            _ => {}
        }
    }
}
