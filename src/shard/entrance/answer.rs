//! From the bytes of an opening handshake to its answer.

use std::net::SocketAddr;
use std::time::Duration;

use super::Entrance;
use crate::failure_log::{self, Asked};
use crate::handler::guarded;
use crate::metrics::RefusalReason;
use crate::session::ShardRoute;
use crate::source::{Admission, Finding, SourceRefusal, Spare, proxy_protocol};
use crate::upgrade::{self, HttpError, Kind, Method, Parsed, Refusal, Reply, Request, Response};

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
    /// Set if it may ask for the server's health and for nothing else.
    restriction: Option<Restriction>,
}

/// A connection that is no client's, but may be a health check.
struct Restriction {
    /// The refusal of everything else.
    error: HttpError,
    /// The place that it has, where its source has no other.
    _spare: Option<Spare>,
}

impl From<HttpError> for Restriction {
    fn from(error: HttpError) -> Self {
        Restriction {
            error,
            _spare: None,
        }
    }
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

    /// Whether it may ask for the server's health only.
    pub(super) fn is_restricted(&self) -> bool {
        self.restriction.is_some()
    }

    /// Frees the spare place of its source, when it is answered.
    pub(super) fn free_spare(&mut self) {
        self.restriction = None;
    }

    /// The refusal of a request: `error`, but strangers are told of nothing else than
    /// why they are.
    fn fault(&self, error: HttpError) -> HttpError {
        let restriction = self.restriction.as_ref();
        restriction.map_or(error, |restriction| restriction.error)
    }
}

impl Entrance {
    /// Looks at where a new connection comes from.
    ///
    /// # Errors
    /// The response to a connection that is refused for that.
    pub(super) fn arrive(&self, peer: SocketAddr, place: usize) -> Result<Arrival, Vec<u8>> {
        let mut arrival = Arrival {
            peer,
            place,
            finding: self.addresses.find(peer),
            prefix: 0,
            admission: None,
            restriction: None,
        };
        let refuse = |error| self.refusal(&[], peer, peer, error);
        match arrival.finding {
            Finding::Known(client) => self.admit(&mut arrival, client).map_err(refuse)?,
            Finding::PastProxy(client) => {
                // A health check of an orchestrator does not come through the proxy.
                self.admit(&mut arrival, client).map_err(refuse)?;
                arrival.restriction = Some(HttpError::NotThroughProxy.into());
            }
            Finding::InProxyHeader | Finding::InRequest => {}
        }
        Ok(arrival)
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
            match proxy_protocol::read(bytes) {
                Ok(None) => return Ok(Answer::Wait),
                Ok(Some(header)) => {
                    arrival.prefix = header.consumed;
                    self.admit(arrival, header.client.unwrap_or(arrival.peer))?;
                }
                // A proxy that asks for the health itself may leave its header out.
                Err(_) if upgrade::may_be_plain(bytes) => {
                    arrival.finding = Finding::Known(arrival.peer);
                    arrival.restriction = Some(HttpError::ProxyHeader.into());
                }
                Err(_) => return Err(HttpError::ProxyHeader),
            }
        }
        let bytes = &bytes[arrival.prefix..];
        let parsed = upgrade::parse(bytes, self.max_header_bytes, arrival.peer);
        let Some(mut parsed) = parsed.map_err(|error| arrival.fault(error))? else {
            return Ok(Answer::Wait);
        };
        if parsed.kind == Kind::Plain && self.pages.is_probe(&parsed.request) {
            if let Some(admission) = arrival.admission.take() {
                admission.give_back();
            }
            let response = self.plain(parsed.request, routes, is_ready)?;
            return Ok(Answer::Respond(response));
        }
        if arrival.finding == Finding::InRequest {
            let client = self.addresses.forwarded_for(&parsed.request);
            self.admit(arrival, client.unwrap_or(arrival.peer))?;
        }
        if let Some(restriction) = &arrival.restriction {
            return Err(restriction.error);
        }
        if let Finding::Known(client) = arrival.finding {
            parsed.request.set_client(client);
        }
        match parsed.kind {
            Kind::Plain => self
                .plain(parsed.request, routes, is_ready)
                .map(Answer::Respond),
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
        let refusal = match sources.admit(client.ip()) {
            Ok(admission) => {
                arrival.admission = Some(admission);
                return Ok(());
            }
            Err(refusal) => refusal,
        };
        let error = match refusal {
            SourceRefusal::Full => HttpError::SourceFull {
                retry_after: RETRY_AFTER,
            },
            SourceRefusal::TooFast { retry_after } => HttpError::SourceTooFast { retry_after },
        };
        let spare = sources.spare(client.ip()).filter(|_| self.pages.health);
        arrival.restriction = Some(Restriction {
            _spare: Some(spare.ok_or(error)?),
            error,
        });
        Ok(())
    }

    /// Refuses a connection, of which `bytes` have arrived.
    pub(super) fn refuse(&self, bytes: &[u8], arrival: &Arrival, error: HttpError) -> Answer {
        let client = match arrival.finding {
            Finding::Known(client) | Finding::PastProxy(client) => client,
            _ => arrival.peer,
        };
        let request = &bytes[arrival.prefix..];
        Answer::Respond(self.refusal(request, arrival.peer, client, error))
    }

    /// Refuses a connection whose request is not waited for any longer. A connection
    /// that asked for nothing is closed without a response: a browser that connects
    /// before it has a request would take it for the answer to the request that follows.
    pub(super) fn end_early(&self, bytes: &[u8], arrival: &Arrival, error: HttpError) -> Answer {
        let error = arrival.fault(error);
        if arrival.is_restricted() || bytes.len() > arrival.prefix {
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

    /// Answers a plain request: with a page of the server, or as the handler of its path
    /// wants it.
    fn plain(
        &self,
        mut request: Request,
        routes: &mut [ShardRoute],
        is_ready: bool,
    ) -> Result<Vec<u8>, HttpError> {
        let is_options = request.method() == Method::Options;
        if self.pages.is_probe(&request) && !is_ready {
            return Ok(self.plain_response(&request, Response::Unready));
        }
        if is_options && self.has_options(request.path()) {
            return Ok(self.plain_response(&request, Response::Options));
        }
        if let Some(page) = self.pages.find(request.path()).filter(|_| !is_options) {
            return Ok(self.plain_response(&request, Response::Page(page)));
        }
        let route = *self.router.route(&mut request).ok_or(HttpError::NotFound)?;
        let handler = &mut routes[usize::from(route)].route;
        let reply = guarded(|| handler.get(&request)).unwrap_or_else(|_| Some(failed()));
        let mut reply = reply.ok_or(HttpError::UpgradeRequired)?;
        if reply.is_too_large() {
            let (path, limit) = (request.path(), Reply::MAX_BODY_BYTES);
            tracing::error!("the reply of the handler of {path} is larger than {limit} bytes");
            reply = failed();
        }
        Ok(self.plain_response(&request, Response::Reply(&reply)))
    }

    /// Counts a plain request that is answered, and makes its response.
    fn plain_response(&self, request: &Request, answer: Response<'_>) -> Vec<u8> {
        self.metrics.http_requests.add(1);
        let mut response = Vec::new();
        match request.method() {
            Method::Head => answer.encode_head(&mut response),
            Method::Get | Method::Options => answer.encode(&mut response),
        }
        response
    }

    /// Whether there is something to say about the methods of a path: of the server
    /// itself, of a page or of a route.
    fn has_options(&self, path: &str) -> bool {
        matches!(path, "*" | "/")
            || self.pages.find(path).is_some()
            || self.router.find(path).is_some()
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
        let acceptance = &acceptance;
        Response::Accepted { accept, acceptance }.encode(&mut response);
        Ok(Answer::Open(Box::new(Opening {
            request,
            route,
            response,
            consumed: arrival.prefix + consumed,
            admission: arrival.admission.take(),
        })))
    }
}

/// The reply in place of one that a handler could not make.
fn failed() -> Reply {
    Reply::text("The handler failed to answer this request.\n").status(500)
}
