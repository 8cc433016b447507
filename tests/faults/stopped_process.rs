//! A process that stood still for longer than all its limits, as under SIGSTOP, a
//! debugger or a host that took the machine away, ends no session for it: its own
//! silence is not a client's. Messages that came meanwhile are answered.
//!
//! How: SIGSTOP for three times the limits on silence and on a stalled writer,
//! while clients answer pings, send, connect, and read what the kernel still has.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::client::{BINARY, CLOSE, Client, FIN, Frame, PING, PONG, encode, request};
use crate::support::fault::Before;
use crate::support::{Server, on_each_driver};

const LIMIT: Duration = Duration::from_millis(2_000);
const OPTIONS: &[&str] = &[
    "--shards",
    "2",
    "--idle-timeout",
    "2s",
    "--ping-interval",
    "1s",
    "--write-stall-timeout",
    "2s",
    "--handshake-timeout",
    "2s",
];

/// Stops the process for so long, and does something meanwhile.
fn stop_for<T>(server: &Server, time: Duration, meanwhile: impl FnOnce() -> T) -> T {
    server.signal(libc::SIGSTOP);
    let result = meanwhile();
    thread::sleep(time);
    server.signal(libc::SIGCONT);
    result
}

/// The next frame that is no ping; pings are answered, as any client does.
fn next(client: &mut Client) -> Frame {
    loop {
        let frame = client.frame();
        if frame.opcode != PING {
            return frame;
        }
        client.send(&encode(FIN | PONG, true, &frame.payload));
    }
}

/// Says nothing but answers to pings until it is told to stop.
fn live_quietly(mut client: Client, stop: &AtomicBool) {
    let short = Some(Duration::from_millis(50));
    client.stream.set_read_timeout(short).unwrap();
    while !stop.load(Ordering::Relaxed) {
        if let Ok(frame) = client.try_frame() {
            let frame = frame.expect("the session lives");
            assert_eq!(frame.opcode, PING, "{frame:?}");
            client.send(&encode(FIN | PONG, true, &frame.payload));
        }
    }
    client
        .stream
        .set_read_timeout(Some(crate::support::DEADLINE))
        .unwrap();
    client.send_close(1000);
    while client.frame().opcode != CLOSE {}
    client.expect_end();
}

/// Tells the quiet ones to leave.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nobody_who_lives_is_closed() {
    on_each_driver(OPTIONS, |server| {
        let before = Before::look(server);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            // Also when a line below fails.
            let _stops = Stops(&stop);
            for _ in 0..30 {
                let quiet = Client::connect(server.address, "/broadcast");
                scope.spawn(|| live_quietly(quiet, &stop));
            }
            let mut talkers: Vec<_> = (0..10)
                .map(|_| Client::connect(server.address, "/echo"))
                .collect();
            // Some are stopped just when they have been asked for a sign of life.
            thread::sleep(LIMIT * 6 / 10);
            let mut late = stop_for(server, LIMIT * 3, || {
                for (number, talker) in talkers.iter_mut().enumerate() {
                    for message in 0..20 {
                        talker.send_text(&format!("{number}: {message}"));
                    }
                }
                // The kernel accepts it; the server has yet to hear of it.
                let mut late = Client::open(server.address);
                late.send(request("/echo").as_bytes());
                late
            });
            for (number, talker) in talkers.iter_mut().enumerate() {
                for message in 0..20 {
                    assert_eq!(next(talker).text(), format!("{number}: {message}"));
                }
            }
            assert!(late.response_head().starts_with("HTTP/1.1 101 "));
            late.send_text("in time all the same");
            assert_eq!(next(&mut late).text(), "in time all the same");
            // As long again, so that a session given up wrongly would show.
            for _ in 0..10 {
                thread::sleep(LIMIT / 5);
                for talker in talkers.iter_mut().chain([&mut late]) {
                    talker.send_text("still here");
                    assert_eq!(next(talker).text(), "still here");
                }
            }
        });
        assert_eq!(server.total("ended.idle"), 0);
        assert_eq!(server.total("ended.write_stalled"), 0);
        before.expect_recovered(server, 4 << 20);
    });
}

/// A client that could not be pinged in time is pinged then, and has as long to answer.
#[test]
fn a_late_question_leaves_time_to_answer() {
    on_each_driver(OPTIONS, |server| {
        let mut client = Client::connect(server.address, "/broadcast");
        stop_for(server, LIMIT * 3, || ());
        server.wait_for("pings", 1);
        thread::sleep(LIMIT * 3 / 10);
        let question = client.frame();
        assert_eq!(question.opcode, PING, "{question:?}");
        client.send(&encode(FIN | PONG, true, &question.payload));
        client.send_close(1000);
        assert_eq!(client.frame().payload, 1000u16.to_be_bytes());
    });
}

/// Handshakes that were under way may have run out of time, but get an answer;
/// the one whose request is complete by then may also be let in.
#[test]
fn handshakes_under_way_are_answered() {
    on_each_driver(OPTIONS, |server| {
        let request = request("/echo");
        let (first, second) = request.split_at(30);
        let mut complete = Client::open(server.address);
        let mut incomplete = Client::open(server.address);
        complete.send(first.as_bytes());
        incomplete.send(first.as_bytes());
        server.wait_for("handshakes", 2);
        stop_for(server, LIMIT * 3, || complete.send(second.as_bytes()));
        let head = complete.response_head();
        if head.starts_with("HTTP/1.1 101 ") {
            complete.send_text("let in");
            assert_eq!(next(&mut complete).text(), "let in");
        } else {
            assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        }
        let head = incomplete.response_head();
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        drop((complete, incomplete));
        server.wait_for("handshakes", 0);
    });
}

/// A reader that took all the kernel had for it is not one that never reads.
#[test]
fn a_reader_that_waits_for_the_rest_gets_it() {
    on_each_driver(OPTIONS, |server| {
        let message = vec![7; 64 * 1024];
        for _ in 0..2 {
            let mut client = Client::connect_narrow(server.address, "/echo");
            let mut writer = client.writer();
            let frame = encode(FIN | BINARY, true, &message);
            let sender = thread::spawn(move || {
                for _ in 0..100 {
                    writer.write_all(&frame).expect("the session lives");
                }
            });
            // Stuck: answers wait in the server and nothing more is read.
            let mut last = 0;
            crate::support::wait_until("the server reads no more", || {
                thread::sleep(Duration::from_millis(20));
                let now = server.total("bytes_in");
                now > 0 && std::mem::replace(&mut last, now) == now
            });
            let mut received = 0;
            stop_for(server, LIMIT * 3 / 2, || {
                // Frames that the kernel already has.
                let short = Some(Duration::from_millis(200));
                client.stream.set_read_timeout(short).unwrap();
                while let Ok(Some(frame)) = client.try_frame() {
                    received += usize::from(frame.opcode == BINARY);
                }
                let long = Some(crate::support::DEADLINE);
                client.stream.set_read_timeout(long).unwrap();
            });
            while received < 100 {
                assert!(next(&mut client).payload == message);
                received += 1;
            }
            sender.join().unwrap();
            client.send_close(1000);
            while next(&mut client).opcode != CLOSE {}
        }
        assert_eq!(server.total("ended.write_stalled"), 0);
    });
}
