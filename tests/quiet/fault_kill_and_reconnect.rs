//! A server that is killed and started again on the same port gets all its clients
//! back, which all come at once, and each hears the next publication once.
//!
//! How: kill -9, a new server at once, and clients that reconnect without any
//! pause or jitter, each in non-blocking connects by the thousand. 2,000 of them,
//! or as many as CORECAST_TEST_RECONNECTS says; each thread of clients has a
//! descriptor table of its own, as the shards have.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::client::{Client, request};
use crate::support::fault::Claim;
use crate::support::{DEADLINE, Server, corecast, drivers, poll_until};

const THREADS: usize = 4;

fn clients() -> usize {
    let asked = std::env::var("CORECAST_TEST_RECONNECTS");
    asked.map_or(2_000, |number| number.parse().expect("a number"))
}

fn start(driver: &str, address: SocketAddr) -> Server {
    let mut command = corecast();
    command
        .args(["serve", "--listen", &address.to_string()])
        .args(["--admin", "127.0.0.1:0", "--shards", "4"])
        .args(["--driver", driver, "--handshake-timeout", "1m"]);
    Server::spawn(&mut command)
}

/// Begins to connect, without waiting.
fn begin(source: Ipv4Addr, server: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// Sends a handshake on what may still be connecting, and reads the answer.
fn complete(socket: &Socket, handshake: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::from(socket.try_clone()?);
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(DEADLINE * 3))?;
    // A write waits for the connection, or learns that there is none.
    stream.write_all(handshake)?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{head:?}");
    Ok(stream)
}

/// Connects all at once, and again those that were refused, until all are there.
fn storm(source: Ipv4Addr, server: SocketAddr, count: usize) -> Vec<TcpStream> {
    let handshake = request("/broadcast");
    let mut there = Vec::with_capacity(count);
    let until = Instant::now() + DEADLINE * 3;
    while there.len() < count {
        assert!(Instant::now() < until, "{} of {count}", there.len());
        let coming: Vec<_> = (there.len()..count)
            .map(|_| begin(source, server))
            .collect();
        for socket in coming.into_iter().flatten() {
            there.extend(complete(&socket, handshake.as_bytes()).ok());
        }
    }
    there
}

/// Every client hears this next, and nothing else before it.
fn all_hear(streams: &[TcpStream], text: &str) {
    let mut frame = vec![0x81, text.len() as u8];
    frame.extend(text.as_bytes());
    for mut stream in streams {
        let mut received = vec![0; frame.len()];
        stream
            .read_exact(&mut received)
            .expect("everybody hears it");
        assert_eq!(received, frame);
    }
}

/// The point at which a thread of clients waits for the others. No wait lasts for ever:
/// when one side fails, the other's call does too.
struct Step {
    arrived: Sender<()>,
    go: Receiver<()>,
}

impl Step {
    fn wait(&self) {
        self.arrived.send(()).expect("the test goes on");
        self.go.recv().expect("the test goes on");
    }
}

#[test]
fn all_come_back() {
    let _alone = crate::alone();
    corecast::sys::raise_descriptor_limit().unwrap();
    let count = clients() / THREADS * THREADS;
    for driver in drivers() {
        let claim = Claim::new();
        let first = start(driver, claim.address);
        thread::scope(|scope| {
            let (arrived, arrivals) = mpsc::channel();
            let mut goes = Vec::new();
            for number in 0..THREADS {
                let (tell, go) = mpsc::channel();
                goes.push(tell);
                let arrived = arrived.clone();
                let step = Step { arrived, go };
                let address = claim.address;
                let life = move || {
                    let source = |round: u8| Ipv4Addr::new(127, 8, round, number as u8 + 1);
                    let streams = storm(source(1), address, count / THREADS);
                    step.wait();
                    all_hear(&streams, "before");
                    step.wait();
                    // The kill shows as an end or a reset on every connection.
                    for mut stream in &streams {
                        assert!(matches!(stream.read(&mut [0; 100]), Ok(0) | Err(_)));
                    }
                    drop(streams);
                    let streams = storm(source(2), address, count / THREADS);
                    step.wait();
                    all_hear(&streams, "after");
                    all_hear(&streams, "and once more");
                    step.wait();
                };
                scope.spawn(move || {
                    // SAFETY: the thread uses only sockets that it opens itself.
                    unsafe { corecast::sys::unshare_files() }.expect("a table of its own");
                    life();
                });
            }
            let all_arrive = || {
                for _ in 0..THREADS {
                    arrivals.recv_timeout(DEADLINE * 4).expect("all arrive");
                }
            };
            let all_go = || goes.iter().for_each(|go| go.send(()).unwrap());
            all_arrive();
            first.wait_for("sessions", count as u64);
            Client::connect(first.address, "/broadcast").expect_echo("before");
            all_go();
            all_arrive();
            all_go();

            first.signal(libc::SIGKILL);
            let killed = Instant::now();
            first.exit_status();
            let second = start(driver, claim.address);
            let listening = killed.elapsed();
            all_arrive();
            let back = killed.elapsed();
            second.wait_for("sessions", count as u64);
            println!(
                "{driver}: {count} clients; listening after {listening:?}, all back after {back:?}"
            );
            let mut publisher = Client::connect(second.address, "/broadcast");
            publisher.expect_echo("after");
            publisher.expect_echo("and once more");
            publisher.close();
            all_go();
            all_arrive();
            all_go();
            // Deliveries are counted when a slice of them has been made.
            second.wait_for("deliveries", 2 * (count as u64 + 1));
            let gone = poll_until(DEADLINE + Duration::from_secs(20), || {
                second.total("sessions") == 0
            });
            assert!(gone, "{}", second.stats());
            Client::connect(second.address, "/echo").expect_echo("as ever");
        });
    }
}
