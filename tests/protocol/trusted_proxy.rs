//! Behind a proxy the client's address is the proxy's word, and only a trusted
//! proxy's word counts: `--client-address` and `--trusted-proxy`.
//!
//! How: a server inside this process whose handler tells each client what its
//! address is taken for; connections from addresses of the loopback network,
//! of which one is the proxy's; and a real HAProxy, where there is one.

use std::net::Ipv4Addr;

use crate::support::client::{Client, request, request_with, text};
use crate::support::haproxy::Haproxy;
use crate::support::{http, wait_until};
use corecast::config::{ClientAddress, Config};
use corecast::handler::{Context, Handler};
use corecast::server::{RunningServer, Server};
use corecast::upgrade::Request;
use corecast::ws::Message;

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 20);

/// Tells a session whose it is, and echoes.
struct Mirror;

impl Handler for Mirror {
    type State = ();
    type Notice = ();

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) {
        ctx.send_text(&format!("{} via {}", request.client(), request.peer().ip()));
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, ctx: &mut Context<'_>) {
        ctx.send(message);
    }
}

fn config(client_address: ClientAddress) -> Config {
    Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(2)
        .client_address(client_address)
        .trusted_proxies(["127.0.0.10/32".parse().unwrap()])
}

fn mirror(config: Config) -> RunningServer {
    let server = Server::new(config).unwrap().route("/", || Mirror).unwrap();
    server.start().unwrap()
}

fn start(client_address: ClientAddress, max_connections_per_source: usize) -> RunningServer {
    mirror(config(client_address).max_connections_per_source(max_connections_per_source))
}

fn open(server: &RunningServer, source: Ipv4Addr) -> Client {
    Client::open_from(source, server.local_addr(), None).unwrap()
}

/// Sends what begins a connection, and reads what the handler says of it.
fn said_of(server: &RunningServer, source: Ipv4Addr, bytes: &[u8]) -> String {
    let mut client = open(server, source);
    client.send(bytes);
    let head = client.response_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let said = client.read_text();
    client.close();
    said
}

fn status_of(server: &RunningServer, source: Ipv4Addr, bytes: &[u8]) -> u16 {
    let mut client = open(server, source);
    client.send(bytes);
    http::finish(&mut client.stream, true).status
}

fn forwarded(header: &str) -> Vec<u8> {
    request_with("/", &format!("{header}\r\n")).into_bytes()
}

#[test]
fn the_header_of_a_trusted_proxy_counts() {
    let server = start(ClientAddress::ForwardedFor, 0);
    for (header, client) in [
        ("X-Forwarded-For: 192.0.2.7", "192.0.2.7:0"),
        ("x-forwarded-for: 6.6.6.6, 192.0.2.7", "192.0.2.7:0"),
        (
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: [2001:db8::7]:99, 127.0.0.10",
            "[2001:db8::7]:99",
        ),
    ] {
        let said = said_of(&server, PROXY, &forwarded(header));
        assert_eq!(said, format!("{client} via 127.0.0.10"), "{header}");
    }
    // A proxy that says nothing speaks for itself.
    let said = said_of(&server, PROXY, request("/").as_bytes());
    assert!(said.starts_with("127.0.0.10:"), "{said}");
}

/// A dual-stack listener sees IPv4 peers as `::ffff:…`, and its logs may have
/// given the operator that form: both sides of the comparison have one form.
#[test]
fn an_address_is_one_in_either_form() {
    for (listen, network) in [
        ("127.0.0.1:0", "::ffff:127.0.0.10/128"),
        ("127.0.0.1:0", "::ffff:127.0.0.8/125"),
        ("[::]:0", "127.0.0.10/32"),
        ("[::]:0", "::ffff:127.0.0.10/128"),
    ] {
        let server = mirror(
            config(ClientAddress::ForwardedFor)
                .listen([listen.parse().unwrap()])
                .trusted_proxies([network.parse().unwrap()])
                .max_connections_per_source(1),
        );
        let address = (Ipv4Addr::LOCALHOST, server.local_addr().port()).into();
        let open = |source| Client::open_from(source, address, None).unwrap();
        let mut proxied = open(PROXY);
        proxied.send(&forwarded("X-Forwarded-For: ::ffff:192.0.2.7"));
        assert!(proxied.response_head().starts_with("HTTP/1.1 101 "));
        let said = proxied.read_text();
        assert_eq!(said, "192.0.2.7:0 via 127.0.0.10", "{listen} {network}");
        // The same client in its other form has its one connection already.
        let mut again = open(PROXY);
        again.send(&forwarded("X-Forwarded-For: 192.0.2.7"));
        assert!(again.response_head().starts_with("HTTP/1.1 429 "));
        let mut stranger = open(STRANGER);
        stranger.send(request("/").as_bytes());
        assert!(stranger.response_head().starts_with("HTTP/1.1 101 "));
        let said = stranger.read_text();
        assert!(said.starts_with("127.0.0.20:"), "{said}");
        assert!(said.ends_with(" via 127.0.0.20"), "{said}");
    }
}

#[test]
fn the_header_of_anybody_else_does_not() {
    let spoof = forwarded("X-Forwarded-For: 192.0.2.7");
    let server = start(ClientAddress::ForwardedFor, 0);
    let said = said_of(&server, STRANGER, &spoof);
    assert!(said.starts_with("127.0.0.20:"), "{said}");
}

/// The proxy's own address may have as many connections as it likes.
#[test]
fn limits_are_the_clients_and_not_the_proxys() {
    let server = start(ClientAddress::ForwardedFor, 2);
    let mut clients = Vec::new();
    for host in 1..=5 {
        for _ in 0..2 {
            let mut client = open(&server, PROXY);
            client.send(&forwarded(&format!("X-Forwarded-For: 192.0.2.{host}")));
            assert!(client.response_head().starts_with("HTTP/1.1 101 "));
            clients.push(client);
        }
        let third = forwarded(&format!("X-Forwarded-For: 192.0.2.{host}"));
        assert_eq!(status_of(&server, PROXY, &third), 429);
    }
}

fn proxied(header: &[u8]) -> Vec<u8> {
    [header, request("/").as_bytes()].concat()
}

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02\x07\xC6\x33\x64\x01\xDC\x04\x01\xBB";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

#[test]
fn a_connection_begins_with_its_proxy_header() {
    let server = start(ClientAddress::ProxyProtocol, 0);
    for header in [V1, V2] {
        let said = said_of(&server, PROXY, &proxied(header));
        assert_eq!(said, "192.0.2.7:56324 via 127.0.0.10");
        // The client's own header in the request does not count.
        let spoof = [header, &forwarded("X-Forwarded-For: 6.6.6.6")].concat();
        let said = said_of(&server, PROXY, &spoof);
        assert_eq!(said, "192.0.2.7:56324 via 127.0.0.10");
    }
    for header in [V2_LOCAL, b"PROXY UNKNOWN\r\n"] {
        let said = said_of(&server, PROXY, &proxied(header));
        assert!(said.starts_with("127.0.0.10:"), "{said}");
    }
}

/// Header, request and first frames in every two pieces.
#[test]
fn the_header_may_come_in_pieces() {
    let server = start(ClientAddress::ProxyProtocol, 0);
    for header in [V1, V2] {
        let whole = [&proxied(header)[..], &text("early")].concat();
        for cut in (1..header.len() + 3).chain([whole.len() - 3]) {
            let mut client = open(&server, PROXY);
            client.send(&whole[..cut]);
            std::thread::yield_now();
            client.send(&whole[cut..]);
            assert!(
                client.response_head().starts_with("HTTP/1.1 101 "),
                "cut at {cut}"
            );
            assert_eq!(client.read_text(), "192.0.2.7:56324 via 127.0.0.10");
            assert_eq!(client.read_text(), "early");
        }
    }
}

#[test]
fn a_connection_without_its_header_is_refused() {
    let server = start(ClientAddress::ProxyProtocol, 0);
    for bytes in [
        request("/").into_bytes(),
        proxied(b"PROXY TCP9 192.0.2.7 198.51.100.1 56324 443\r\n"),
        proxied(
            b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0C\xC0\0\x02\x07\xC6\x33\x64\x01\xDC\x04\x01\xBB",
        ),
        // Twice is once too much.
        proxied(&[V1, V1].concat()),
    ] {
        assert_eq!(status_of(&server, PROXY, &bytes), 400);
    }
    // A client that is not the proxy is told so, with or without a header.
    for bytes in [proxied(V1), request("/").into_bytes()] {
        let mut client = open(&server, STRANGER);
        // The answer may have come, and the connection have ended, before this.
        let _ = std::io::Write::write_all(&mut client.stream, &bytes);
        assert!(client.response_head().starts_with("HTTP/1.1 403 "));
    }
    let said = said_of(&server, PROXY, &proxied(V1));
    assert_eq!(said, "192.0.2.7:56324 via 127.0.0.10");
}

#[test]
fn limits_apply_to_whom_the_header_names() {
    let server = start(ClientAddress::ProxyProtocol, 1);
    let mut client = open(&server, PROXY);
    client.send(&proxied(V1));
    assert!(client.response_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(
        status_of(&server, PROXY, &proxied(V2)),
        429,
        "the same client"
    );
    let other = proxied(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n");
    said_of(&server, PROXY, &other);
    client.read_text();
    client.close();
    wait_until("the place is free again", || {
        let mut client = open(&server, PROXY);
        client.send(&proxied(V1));
        client.response_head().starts_with("HTTP/1.1 101 ")
    });
}

/// A third-party proxy: HAProxy in front, in each of the ways it can tell whose a
/// connection is. It also asks by itself whether the server lives.
#[test]
fn haproxy_in_front() {
    if !Haproxy::is_there("haproxy_in_front") {
        return;
    }
    for (client_address, lines) in [
        (
            ClientAddress::ProxyProtocol,
            "mode tcp\n server s {} send-proxy check",
        ),
        (
            ClientAddress::ProxyProtocol,
            "mode tcp\n server s {} send-proxy-v2 check check-send-proxy",
        ),
        (
            ClientAddress::ForwardedFor,
            "mode http\n option forwardfor\n server s {} check",
        ),
    ] {
        println!("{lines}");
        let config = config(client_address).trusted_proxies(["127.0.0.1/32".parse().unwrap()]);
        let server = mirror(config);
        let proxy = Haproxy::start(&lines.replace("{}", &server.local_addr().to_string()));
        let mut client = Client::open_from(STRANGER, proxy.address, None).unwrap();
        client.send(&forwarded("X-Forwarded-For: 6.6.6.6"));
        let head = client.response_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let said = client.read_text();
        assert!(
            said.starts_with("127.0.0.20:") && said.ends_with(" via 127.0.0.1"),
            "{said}"
        );
        client.expect_echo("through the proxy");
        client.close();
    }
}

/// The answer to HEAD has no body, also after a PROXY header (RFC 9110 §9.3.2).
#[test]
fn a_head_request_that_is_late_gets_no_body() {
    let server = mirror(
        config(ClientAddress::ProxyProtocol)
            .handshake_timeout(std::time::Duration::from_millis(300)),
    );
    for header in [V1, V2] {
        let mut client = open(&server, PROXY);
        client.send(&[header, b"HEAD / HTTP/1.1\r\nHost: h\r\n"].concat());
        let head = client.response_head();
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        client.expect_end();
    }
}
