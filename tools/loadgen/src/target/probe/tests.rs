//! The probe against servers of a few lines: each behaves in one way, and the
//! error has to name it.

use std::net::TcpListener;
use std::thread;

use corecast::upgrade::{Kind, Response, parse};
use corecast::ws::{Decoder, Event, Input, Role, Rules};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A server that treats one connection with `serve`, and where it listens.
fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Target, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || serve(listener.accept().unwrap().0));
    let url = format!("ws://{address}/ws");
    (Target::parse(&url).unwrap(), served)
}

/// Reads a request and returns it as it came.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        read(stream, &mut request, TIMEOUT).unwrap();
    }
    request
}

/// The probe's complaint about a server that reads the request and sends this.
fn complaint(answer: &'static [u8]) -> String {
    let (target, served) = server(move |mut stream| {
        read_request(&mut stream);
        stream.write_all(answer).unwrap();
    });
    let error = probe(&target, None, &[], None, TIMEOUT).unwrap_err();
    served.join().unwrap();
    error.to_string()
}

#[test]
fn a_websocket_server_is_found_and_left_politely() {
    let (target, served) = server(|mut stream| {
        let request = read_request(&mut stream);
        let from = stream.peer_addr().unwrap();
        let parsed = parse(&request, 8192, from).unwrap().unwrap();
        let Kind::WebSocket { accept } = parsed.kind else {
            panic!("{parsed:?}");
        };
        let asked = (
            parsed.request.path().to_owned(),
            parsed.request.header("x-token").map(str::to_owned),
            parsed
                .request
                .header("sec-websocket-protocol")
                .map(str::to_owned),
            from.ip(),
        );
        let mut answer = Vec::new();
        Response::SwitchingProtocols {
            accept: &accept,
            subprotocol: Some("chat"),
        }
        .encode(&mut answer);
        stream.write_all(&answer).unwrap();

        let mut received = Vec::new();
        let rules = Rules {
            role: Role::Server,
            max_frame_bytes: 1024,
            max_message_bytes: 1024,
        };
        read(&mut stream, &mut received, TIMEOUT).unwrap();
        let mut input = Input::new(&mut received);
        match Decoder::new().next(&mut input, &rules).unwrap() {
            Some(Event::Close(Some(close))) => (asked, close.code),
            other => panic!("the probe left with {other:?}"),
        }
    });
    let source = "127.0.0.9".parse().unwrap();
    let headers = [("X-Token".to_owned(), "abc".to_owned())];
    let took = probe(&target, Some(source), &headers, Some("chat"), TIMEOUT).unwrap();
    assert!(took > Duration::ZERO && took < TIMEOUT);
    let ((path, token, protocol, from), code) = served.join().unwrap();
    assert_eq!(path, "/ws");
    assert_eq!(token.as_deref(), Some("abc"));
    assert_eq!(protocol.as_deref(), Some("chat"));
    assert_eq!(from, source);
    assert_eq!(code, CloseCode::NORMAL_CLOSURE);
}

#[test]
fn a_server_that_selects_an_extension_it_was_not_offered() {
    let said = complaint(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    );
    assert!(
        said.contains("'permessage-deflate', which was not offered"),
        "{said}"
    );
}

#[test]
fn a_port_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = Target::parse(&format!("ws://{address}")).unwrap();
    let error = probe(&target, None, &[], None, TIMEOUT).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("nobody listens on {address}; is the server running?")
    );
}

#[test]
fn a_source_address_of_another_host() {
    let (target, served) = server(drop);
    let source = "192.0.2.1".parse().unwrap();
    let error = probe(&target, Some(source), &[], None, TIMEOUT).unwrap_err();
    assert!(error.to_string().contains("source address 192.0.2.1"));
    TcpStream::connect(target.address()).unwrap();
    served.join().unwrap();
}

#[test]
fn a_server_that_does_not_answer() {
    let (target, served) = server(|mut stream| {
        read_request(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    let short = Duration::from_millis(50);
    let error = probe(&target, None, &[], None, short).unwrap_err();
    assert!(error.to_string().contains("did not answer"), "{error}");
    assert!(error.to_string().contains("50ms"), "{error}");
    served.join().unwrap();
}

#[test]
fn errors_of_connecting() {
    let address = "192.0.2.1:80".parse().unwrap();
    let complaint = |code| {
        let error = std::io::Error::from_raw_os_error(code);
        ProbeError::of_connect(address, TIMEOUT, error).to_string()
    };
    for (code, words) in [
        (libc::ENETUNREACH, "no way from here"),
        // A route that is a blackhole, and one that is prohibited.
        (libc::EINVAL, "no way from here"),
        (libc::EACCES, "forbids"),
        (libc::EPERM, "forbids"),
        (libc::ECONNRESET, "ended the connection"),
        (libc::EMFILE, "Too many open files"),
    ] {
        let complaint = complaint(code);
        assert!(complaint.contains(words), "{complaint}");
    }
}

#[test]
fn a_server_that_hangs_up() {
    for answer in [&b""[..], b"HTTP/1.1 101 Sw"] {
        assert!(complaint(answer).contains("ended the connection instead of answering"));
    }
}

#[test]
fn a_refusal_with_its_reasons() {
    for (answer, words) in [
        (
            &b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\n"[..],
            "answered /ws with HTTP 404: no such path; it says: nope",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n<html>\n",
            "HTTP 403: it wants another Origin, Authorization or cookie header",
        ),
        (
            b"HTTP/1.1 200 OK\r\n\r\nhello",
            "this path is an ordinary page",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.",
            "this port speaks TLS",
        ),
    ] {
        let complaint = complaint(answer);
        assert!(complaint.contains(words), "{complaint}");
    }
}

#[test]
fn a_refusal_whose_body_comes_late() {
    let (target, served) = server(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n").unwrap();
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"come back later").unwrap();
    });
    let error = probe(&target, None, &[], None, TIMEOUT).unwrap_err();
    served.join().unwrap();
    assert!(error.to_string().ends_with("come back later"), "{error}");
}

#[test]
fn servers_of_other_protocols() {
    assert!(complaint(b"\x15\x03\x01\x00\x02\x02\x46").contains("speaks TLS"));
    assert!(complaint(b"SSH-2.0-OpenSSH_9.6\r\n").contains("begins with 'SSH-2.0-OpenSSH_9.6'"));
    assert!(complaint(b"+PONG").contains("begins with '+PONG'"));
}

#[test]
fn an_upgrade_that_is_none() {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Accept: nonsense\r\n\r\n";
    let complaint = complaint(answer);
    assert!(
        complaint.contains("is not a WebSocket server"),
        "{complaint}"
    );
    assert!(complaint.contains("nonsense"), "{complaint}");
}
