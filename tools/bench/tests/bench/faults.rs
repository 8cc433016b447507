//! The load against small WebSocket servers that are right, or wrong in one
//! way each: shows that a correct server passes and that every fault fails the
//! scenario with words that name it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use corecast_bench::floor::RESPONSE;
use corecast_bench::load::echo::Echo;
use corecast_bench::load::{Account, Peer, Protocol, Window};
use corecast_bench::results::Sample;

/// The fault of the server, once, after this many messages.
#[derive(Clone, Copy)]
enum Fault {
    None,
    Payload,
    Surplus,
    Ping,
    End,
    Silence,
}

/// Messages before a fault in the check, and before one under load. The check
/// takes 14 messages of various sizes and one of the scenario's own.
const IN_CHECK: usize = 4;
const UNDER_LOAD: usize = 100;

/// Runs the load against a server that goes wrong at message `at`.
fn run(fault: Fault, at: usize) -> corecast_bench::Result<Sample> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
        panic!("not an IPv4 address");
    };
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // The load goes away when it has found the fault.
        let _ = serve(stream, fault, at);
    });
    let echo = Echo {
        connections: 1,
        outstanding: 1,
        payload_bytes: 20,
    };
    let window = Window {
        warm_up: Duration::from_millis(50),
        measured: Duration::from_millis(200),
    };
    echo.measure(
        &Peer::new(address, Protocol::WebSocket),
        window,
        Account::default(),
    )
}

fn serve(mut stream: TcpStream, fault: Fault, at: usize) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    stream.write_all(RESPONSE)?;
    for message in 0.. {
        let mut answer = echo_one(&mut stream)?;
        if message == at {
            match fault {
                Fault::None => {}
                Fault::Payload => *answer.last_mut().unwrap() ^= 1,
                Fault::Surplus => answer.push(0),
                Fault::Ping => answer.splice(0..0, *b"\x89\x00").for_each(drop),
                Fault::End => return Ok(()),
                Fault::Silence => answer.clear(),
            }
        }
        stream.write_all(&answer)?;
    }
    Ok(())
}

/// Reads one masked frame and returns the frame that answers it.
fn echo_one(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let extended = match head[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut length_bytes = vec![0; extended];
    stream.read_exact(&mut length_bytes)?;
    let length = match extended {
        0 => usize::from(head[1] & 0x7f),
        _ => length_bytes
            .iter()
            .fold(0, |length, &byte| length << 8 | usize::from(byte)),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask)?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
    Ok([vec![head[0], head[1] & 0x7f], length_bytes, payload].concat())
}

fn words(fault: Fault, at: usize) -> String {
    run(fault, at).unwrap_err().to_string()
}

#[test]
fn a_correct_server_passes() {
    assert!(run(Fault::None, 0).unwrap().messages > 0);
}

#[test]
fn a_wrong_payload_is_found_in_the_check() {
    let words = words(Fault::Payload, IN_CHECK);
    assert!(words.contains("connection 0, byte 4099"), "{words}");
}

#[test]
fn a_ping_is_named() {
    let words = words(Fault::Ping, IN_CHECK);
    assert!(words.contains("a ping"), "{words}");
}

#[test]
fn a_byte_too_many_under_load_is_found() {
    let words = words(Fault::Surplus, UNDER_LOAD);
    assert!(words.contains("more than were due"), "{words}");
}

#[test]
fn an_end_under_load_is_found() {
    let words = words(Fault::End, UNDER_LOAD);
    assert!(words.contains("connection 0"), "{words}");
}

#[test]
fn silence_under_load_is_found() {
    let words = words(Fault::Silence, UNDER_LOAD);
    assert!(words.contains("stalled"), "{words}");
}
