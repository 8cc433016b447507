//! A parsed request that owns its bytes.
//!
//! # Invariants worth naming
//!
//! - Two allocations hold a request: its header lines as received, and the
//!   text decoded from its request line. Headers are found by walking the
//!   lines, which are few and were checked when they were parsed.
//! - Paths and params contain no control characters.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use super::target::decode_component;
use super::{is_token, list};
use crate::source::canonical_address;

/// The methods of requests that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`: the answer has no body.
    Head,
    /// `OPTIONS`: answer with `Response::Options`. The path
    /// may be `*`, which stands for the server.
    Options,
}

/// An opening handshake, or a request for a page, as the handler sees it.
#[derive(Clone)]
pub struct Request {
    method: Method,
    peer: SocketAddr,
    /// The client behind trusted proxies; the peer where there are none.
    client: SocketAddr,
    /// The header lines as received, the empty line at their end included.
    lines: Box<[u8]>,
    /// Path, query and host, one after the other.
    text: Box<str>,
    path_end: usize,
    query_end: usize,
    has_query: bool,
    /// The path to route by where it is not the decoded path.
    routing_path: Option<Box<str>>,
    params: Params,
}

impl Request {
    /// Puts a request together from parts that were checked.
    pub(super) fn new(
        method: Method,
        peer: SocketAddr,
        lines: &[u8],
        path: &str,
        query: Option<&str>,
        host: &str,
        routing_path: Option<String>,
    ) -> Self {
        let text = [path, query.unwrap_or_default(), host].concat();
        let peer = canonical_address(peer);
        Request {
            method,
            peer,
            client: peer,
            lines: lines.into(),
            path_end: path.len(),
            query_end: text.len() - host.len(),
            has_query: query.is_some(),
            text: text.into_boxed_str(),
            routing_path: routing_path.map(String::into_boxed_str),
            params: Params::default(),
        }
    }

    /// `GET` for a handler; pages are asked for with others, too.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The path, percent-decoded, without the query. Starts with `/`.
    pub fn path(&self) -> &str {
        &self.text[..self.path_end]
    }

    /// The path the router looks for: the decoded path, in which `%2F` and
    /// `%25` are still encoded so that they do not act as separators. Two paths
    /// that mean the same have the same routing path, however they are encoded.
    pub fn routing_path(&self) -> &str {
        self.routing_path.as_deref().unwrap_or(self.path())
    }

    /// Everything after the first `?`, as sent.
    pub fn query(&self) -> Option<&str> {
        self.has_query
            .then(|| &self.text[self.path_end..self.query_end])
    }

    /// The decoded value of the first query parameter of this name, empty if
    /// it has no `=`. `+` stands for a space. `None` if there is no such
    /// parameter, or if its value does not decode to UTF-8.
    pub fn query_param(&self, name: &str) -> Option<Cow<'_, str>> {
        decode_component(self.query_params(name).next()?)
    }

    /// The same of the last parameter of this name, for protocols in which a
    /// later one overrules an earlier one.
    pub fn last_query_param(&self, name: &str) -> Option<Cow<'_, str>> {
        decode_component(self.query_params(name).last()?)
    }

    /// The values of all query parameters of this name, as sent.
    fn query_params(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query()
            .into_iter()
            .flat_map(|query| query.split('&'))
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(move |(key, _)| decode_component(key).is_some_and(|key| key == name))
            .map(|(_, value)| value)
    }

    /// The host and port asked for: the authority of an absolute target, or
    /// the `Host` header (RFC 9112 §3.2.2). Empty where HTTP/1.0 asks for a page
    /// without either.
    pub fn host(&self) -> &str {
        &self.text[self.query_end..]
    }

    /// The value of the first header of this name, whatever its case. `None`
    /// if there is none or its value is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers_named(name).next()?;
        std::str::from_utf8(value).ok()
    }

    /// All headers in the order sent: names as sent, values as bytes, because
    /// HTTP allows any above 0x7F (RFC 9110 §5.5). Space around a value is gone.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields()
            .filter_map(|(name, value)| Some((std::str::from_utf8(name).ok()?, value)))
    }

    /// The values of all headers of this name, in the order sent.
    pub(crate) fn headers_named(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Names and values, taken from the lines anew each time.
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.split(|&byte| byte == b'\n').map_while(|line| {
            // The empty line at the end has no colon.
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    /// The `Origin` header: the site whose page is connecting. Browsers always
    /// send it; other programs may send none or what they like (RFC 6455 §10.2).
    pub fn origin(&self) -> Option<&str> {
        self.header("origin")
    }

    /// The subprotocols the client offers, its favourite first (RFC 6455
    /// §11.3.4). Elements that are not tokens are left out.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.headers_named("sec-websocket-protocol")
            .flat_map(list)
            .filter(|element| is_token(element))
            .filter_map(|element| std::str::from_utf8(element).ok())
    }

    /// The other end of the connection. Behind a proxy this is the proxy. An
    /// IPv4 address is one here also where the listener is on `[::]`.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The source of the connection: the peer, or the client on whose behalf a trusted
    /// proxy says that it connects
    /// ([`Config::client_address`](crate::config::Config::client_address)). The port is
    /// 0 where the proxy does not tell it.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// Notes the client on whose behalf the peer connects.
    pub(crate) fn set_client(&mut self, client: SocketAddr) {
        self.client = canonical_address(client);
    }

    /// The decoded part of the path that stands where the route's pattern has
    /// `{name}`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.value(name)
    }

    /// All that the route's pattern matched.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Gives the request what its route matched; `Router::route` does both.
    pub(crate) fn set_params(&mut self, params: Params) {
        self.params = params;
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers are left out: they carry cookies and tokens, and this ends up in logs.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("peer", &self.peer)
            .field("client", &self.client)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

/// The parameters that a route's pattern matched in a path: names and decoded values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// Names and values, one after the other.
    text: String,
    /// The end of each name and each value in `text`.
    ends: Vec<(usize, usize)>,
}

impl Params {
    /// Adds one.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name_end = self.text.len();
        self.text.push_str(value);
        self.ends.push((name_end, self.text.len()));
    }

    /// The value of the param of this name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, v)| v)
    }

    /// Names and values in the order of the pattern.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, end)| {
            let name = &self.text[start..name_end];
            start = end;
            (name, &self.text[name_end..end])
        })
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
