//! The broadcast floor with subscribers that do not do their part: shows that
//! one which does not read holds up no other and gets everything in order once
//! it reads, and that one which leaves is forgotten.
//!
//! How: the floor on a thread, with small buffers on its sockets and on those of
//! its subscribers, so that a megabyte is more than they hold.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use corecast_bench::floor::{Floor, GREETING};
use corecast_kit::address::free_address;

const UNIT_BYTES: usize = 64;
/// 1.2 MB for each subscriber.
const UNITS: u32 = 20_000;

/// Still holds a few of loopback's segments: with less, TCP crawls.
const BUFFER_BYTES: libc::c_int = 64 * 1024;

/// A small buffer in one direction.
fn shrink(socket: &impl AsRawFd, direction: libc::c_int) {
    let bytes = BUFFER_BYTES;
    // SAFETY: the value lives through the call and its true size is passed.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            direction,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    assert_eq!(status, 0);
}

/// A floor whose sockets hold little; it ends with the test's process.
fn start() -> SocketAddrV4 {
    let address = free_address().unwrap();
    let listener: OwnedFd = Floor::listen(address).unwrap();
    // Accepted sockets inherit it.
    shrink(&listener, libc::SO_SNDBUF);
    thread::spawn(move || Floor::Sendloop.serve(listener, UNIT_BYTES));
    address
}

fn subscribe(address: SocketAddrV4) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    shrink(&stream, libc::SO_RCVBUF);
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit).unwrap();
    stream.set_write_timeout(limit).unwrap();
    let mut greeting = [0];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(greeting, [GREETING]);
    stream
}

fn unit(number: u32) -> [u8; UNIT_BYTES] {
    let mut unit = [number as u8; UNIT_BYTES];
    unit[..4].copy_from_slice(&number.to_be_bytes());
    unit
}

fn expect(stream: &mut TcpStream, units: u32) {
    for number in 0..units {
        let mut heard = [0; UNIT_BYTES];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, unit(number), "unit {number}");
    }
}

fn publish(stream: &TcpStream, units: u32) {
    let mut publisher = stream.try_clone().unwrap();
    let all: Vec<u8> = (0..units).flat_map(unit).collect();
    thread::spawn(move || publisher.write_all(&all).unwrap());
}

#[test]
fn one_that_does_not_read_gets_everything_later_and_holds_up_no_other() {
    let address = start();
    let mut publisher = subscribe(address);
    let mut sleeper = subscribe(address);
    let mut reader = subscribe(address);
    publish(&publisher, UNITS);
    // Everybody else has everything before the sleeper reads its first byte.
    let reader = thread::spawn(move || {
        expect(&mut reader, UNITS);
        reader
    });
    expect(&mut publisher, UNITS);
    let _stays = reader.join().unwrap();
    expect(&mut sleeper, UNITS);
}

#[test]
fn one_that_leaves_is_forgotten_and_the_others_stay() {
    let address = start();
    let mut publisher = subscribe(address);
    let gone = subscribe(address);
    let mut stays = subscribe(address);
    // Unread bytes make this end a reset, in the middle of a publication.
    publish(&publisher, UNITS);
    expect(&mut stays, UNITS / 2);
    drop(gone);
    expect(&mut publisher, UNITS);
    for number in UNITS / 2..UNITS {
        let mut heard = [0; UNIT_BYTES];
        stays.read_exact(&mut heard).unwrap();
        assert_eq!(heard, unit(number));
    }
    // Its place is free for the next.
    let mut next = subscribe(address);
    publish(&next, 3);
    expect(&mut next, 3);
    expect(&mut publisher, 3);
}
