//! From the bytes of an opening handshake to its answer.

use std::net::SocketAddr;
use std::time::Duration;

use super::Entrance;
use crate::failure_log::{self, Asked};
use crate::handler::guarded;
use crate::metrics::RefusalReason;
use crate::session::ShardRoute;
use crate::source::{Admission, Finding, SourceRefusal, proxy_protocol};
use crate::upgrade::{self, HttpError, Kind, Method, Parsed, Refusal, Request, Response};

/// When a client that was refused for want of room may come back.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The answer to the bytes of an opening handshake.
pub(super) enum Answer {
    /// Nothing yet: they are not complete.
    Wait,
    /// Send these bytes and close.
    Respond(Vec<u8>),
    /// Open a session.
    Open(Box<Opening>),
}

/// A connection whose opening handshake is not answered yet.
pub(super) struct Arrival {
    /// The other end.
    peer: SocketAddr,
    /// The place of the endpoint it came to.
    place: usize,
    /// The place in which the client's address is to be found.
    finding: Finding,
    /// Length of the PROXY header before the request.
    prefix: usize,
    /// Its place among the connections of its source, once it has one.
    admission: Option<Admission>,
}

/// A handshake that is accepted and may become a session.
pub(in crate::shard) struct Opening {
    pub(in crate::shard) request: Request,
    pub(in crate::shard) admission: Option<Admission>,
    pub(in crate::shard) route: u16,
    /// The answer that makes it one.
    pub(in crate::shard) response: Vec<u8>,
    /// Length of the handshake; the bytes after it belong to the session.
    pub(in crate::shard) consumed: usize,
}

/// Whether a shard takes one more session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vacancy {
    /// It does.
    Free,
    /// It has as many as it may.
    Full,
    /// It is going to end.
    Draining,
}

impl Arrival {
    /// The place of the endpoint it came to.
    pub(super) fn place(&self) -> usize {
        self.place
    }
}

impl Entrance {
    /// Looks at where a new connection comes from.
    ///
    /// # Errors
    /// The response to a connection that is refused for that.
    pub(super) fn arrive(&self, peer: SocketAddr, place: usize) -> Result<Arrival, Vec<u8>> {
        let arrival = self.addresses.find(peer).and_then(|finding| {
            let mut arrival = Arrival {
                peer,
                place,
                finding,
                prefix: 0,
                admission: None,
            };
            if let Finding::Known(client) = finding {
                self.admit(&mut arrival, client)?;
            }
            Ok(arrival)
        });
        arrival.map_err(|error| self.refusal(&[], peer, peer, error))
    }

    /// Reads an opening handshake and decides what becomes of it.
    pub(super) fn answer(
        &self,
        bytes: &[u8],
        arrival: &mut Arrival,
        routes: &mut [ShardRoute],
        vacancy: Vacancy,
        is_ready: bool,
    ) -> Answer {
        self.try_answer(bytes, arrival, routes, vacancy, is_ready)
            .unwrap_or_else(|error| self.refuse(bytes, arrival, error))
    }

    fn try_answer(
        &self,
        bytes: &[u8],
        arrival: &mut Arrival,
        routes: &mut [ShardRoute],
        vacancy: Vacancy,
        is_ready: bool,
    ) -> Result<Answer, HttpError> {
        if arrival.finding == Finding::InProxyHeader {
            let header = proxy_protocol::read(bytes).map_err(|_| HttpError::ProxyHeader)?;
            let Some(header) = header else {
                return Ok(Answer::Wait);
            };
            arrival.prefix = header.consumed;
            self.admit(arrival, header.client.unwrap_or(arrival.peer))?;
        }
        let bytes = &bytes[arrival.prefix..];
        let Some(mut parsed) = upgrade::parse(bytes, self.max_header_bytes, arrival.peer)? else {
            return Ok(Answer::Wait);
        };
        if arrival.finding == Finding::InRequest {
            let client = self.addresses.forwarded_for(&parsed.request);
            self.admit(arrival, client.unwrap_or(arrival.peer))?;
        }
        if let Finding::Known(client) = arrival.finding {
            parsed.request.set_client(client);
        }
        match parsed.kind {
            Kind::Plain => self.plain(&parsed.request, is_ready).map(Answer::Respond),
            Kind::WebSocket { accept } => self.accept(parsed, &accept, arrival, routes, vacancy),
        }
    }

    /// Notes the client of the connection, and lets it in.
    ///
    /// # Errors
    /// When its source is over a limit.
    fn admit(&self, arrival: &mut Arrival, client: SocketAddr) -> Result<(), HttpError> {
        arrival.finding = Finding::Known(client);
        let Some(sources) = &self.sources else {
            return Ok(());
        };
        let admission = sources
            .admit(client.ip())
            .map_err(|refusal| match refusal {
                SourceRefusal::Full => HttpError::SourceFull {
                    retry_after: RETRY_AFTER,
                },
                SourceRefusal::TooFast { retry_after } => HttpError::SourceTooFast { retry_after },
            })?;
        arrival.admission = Some(admission);
        Ok(())
    }

    /// Refuses a connection, of which `bytes` have arrived.
    pub(super) fn refuse(&self, bytes: &[u8], arrival: &Arrival, error: HttpError) -> Answer {
        let client = match arrival.finding {
            Finding::Known(client) => client,
            _ => arrival.peer,
        };
        let request = &bytes[arrival.prefix..];
        Answer::Respond(self.refusal(request, arrival.peer, client, error))
    }

    /// Refuses a connection whose request is not waited for any longer. A connection
    /// that asked for nothing is closed without a response: a browser that connects
    /// before it has a request would take it for the answer to the request that follows.
    pub(super) fn end_early(&self, bytes: &[u8], arrival: &Arrival, error: HttpError) -> Answer {
        if bytes.len() > arrival.prefix {
            return self.refuse(bytes, arrival, error);
        }
        self.metrics.refuse(error.reason());
        Answer::Respond(Vec::new())
    }

    /// Refuses a connection that was accepted, but whose socket the kernel has no
    /// memory to watch.
    pub(in crate::shard) fn refuse_unwatched(&self) -> Vec<u8> {
        self.permits.give_back();
        let retry_after = RETRY_AFTER;
        let error = HttpError::Full { retry_after };
        self.metrics.refuse(error.reason());
        let mut response = Vec::new();
        Response::Error(error).encode(&mut response);
        response
    }

    /// Counts a refusal and makes its response.
    fn refusal(
        &self,
        request: &[u8],
        peer: SocketAddr,
        client: SocketAddr,
        error: HttpError,
    ) -> Vec<u8> {
        let (status, why) = (error.status(), error.message());
        self.metrics.refuse(error.reason());
        let asked = || Asked::of_bytes(request);
        failure_log::refused(error.reason(), status, why, peer, client, asked);
        let mut response = Vec::new();
        if upgrade::is_head(request) {
            Response::Error(error).encode_head(&mut response);
        } else {
            Response::Error(error).encode(&mut response);
        }
        response
    }

    /// Answers a plain request.
    fn plain(&self, request: &Request, is_ready: bool) -> Result<Vec<u8>, HttpError> {
        let path = request.path();
        let page = self
            .pages
            .find(path)
            .ok_or_else(|| match self.router.find(path) {
                Some(_) => HttpError::UpgradeRequired,
                None => HttpError::NotFound,
            })?;
        self.metrics.http_requests.add(1);
        let answer = match self.pages.has_health_at(path) && !is_ready {
            true => Response::Unready,
            false => Response::Page(page),
        };
        let mut response = Vec::new();
        match request.method() {
            Method::Head => answer.encode_head(&mut response),
            Method::Get => answer.encode(&mut response),
        }
        Ok(response)
    }

    /// Finds out whether a request may become a session.
    fn accept(
        &self,
        parsed: Parsed,
        accept: &[u8; 28],
        arrival: &mut Arrival,
        routes: &mut [ShardRoute],
        vacancy: Vacancy,
    ) -> Result<Answer, HttpError> {
        let Parsed {
            mut request,
            consumed,
            ..
        } = parsed;
        if vacancy == Vacancy::Draining {
            return Err(HttpError::Draining {
                retry_after: RETRY_AFTER,
            });
        }
        let route = *self.router.route(&mut request).ok_or(HttpError::NotFound)?;
        if !self.origins.allows(&request) {
            return Err(HttpError::OriginRefused);
        }
        let handler = &mut routes[usize::from(route)].route;
        let accepted = guarded(|| handler.accept(&request)).unwrap_or_else(|_| {
            Err(Refusal::new(
                500,
                "The handler failed to look at this request.",
            ))
        });
        let mut response = Vec::with_capacity(192);
        let acceptance = match accepted {
            Ok(acceptance) => acceptance,
            Err(refusal) => {
                let (reason, why) = (RefusalReason::Forbidden, &refusal.reason);
                self.metrics.refuse(reason);
                let asked = || Asked::of(&request);
                let (peer, client) = (arrival.peer, request.client());
                failure_log::refused(reason, refusal.status, why, peer, client, asked);
                Response::Refused(&refusal).encode(&mut response);
                return Ok(Answer::Respond(response));
            }
        };
        if vacancy == Vacancy::Full || !self.permits.take() {
            return Err(HttpError::Full {
                retry_after: RETRY_AFTER,
            });
        }
        let subprotocol = acceptance.subprotocol.as_deref();
        Response::SwitchingProtocols {
            accept,
            subprotocol,
        }
        .encode(&mut response);
        Ok(Answer::Open(Box::new(Opening {
            request,
            route,
            response,
            consumed: arrival.prefix + consumed,
            admission: arrival.admission.take(),
        })))
    }
}
