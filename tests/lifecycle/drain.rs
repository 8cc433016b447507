//! SIGTERM: no new connections, readiness 503, close frames with 1001 spread over the
//! drain time, exit 0; a second signal closes all sessions at once; a client that does
//! not answer holds no other up. No session is cut without a close frame.
//!
//! How: a signal to the real process, and clients that note when they hear what.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{BINARY, CLOSE, Client, FIN, encode};
use crate::support::{DEADLINE, Server, http, on_each_driver, poll_until, wait_until};

/// Clients that wait for their close frame, answer it, and report when it came.
fn wait_for_close(clients: Vec<Client>, since: Instant) -> Vec<Duration> {
    let threads: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || {
                assert_eq!(client.frame().close_code(), 1001);
                let heard = since.elapsed();
                client.send_close(1001);
                client.expect_end();
                heard
            })
        })
        .collect();
    let mut times: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().expect("a close frame and then the end"))
        .collect();
    times.sort_unstable();
    times
}

fn connect(server: &Server, count: usize) -> Vec<Client> {
    (0..count)
        .map(|number| {
            let path = ["/echo", "/broadcast"][number % 2];
            Client::connect(server.address, path)
        })
        .collect()
}

fn refuses(server: &Server) -> bool {
    match TcpStream::connect(server.address) {
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
        Ok(_) => false,
    }
}

fn expect_success(server: &Server) {
    let status = server.exit_status();
    assert_eq!(status.code(), Some(0), "{status:?}");
}

#[test]
fn a_signal_closes_sessions_spread_over_the_drain_time() {
    on_each_driver(&["--shards", "2", "--drain-timeout", "2s"], |server| {
        let clients = connect(server, 24);
        assert_eq!(http::get(server.admin, "/readyz").status, 200);
        let began = Instant::now();
        server.signal(libc::SIGTERM);
        let waiting = thread::spawn(move || wait_for_close(clients, began));
        wait_until("new connections are refused", || refuses(server));
        assert_eq!(http::get(server.admin, "/readyz").status, 503);
        assert_eq!(http::get(server.admin, "/healthz").status, 200);
        assert_eq!(server.stats()["phase"], "draining");

        let times = waiting.join().unwrap();
        println!("{times:?}");
        assert!(times[0] < Duration::from_millis(700), "{times:?}");
        assert!(
            times[23] > Duration::from_millis(800),
            "not spread: {times:?}"
        );
        assert!(times[23] < Duration::from_millis(3500), "{times:?}");
        expect_success(server);
        assert!(server.log().contains("stopped"), "{}", server.log());
    });
}

#[test]
fn an_interrupt_is_a_signal_too() {
    on_each_driver(&["--shards", "1", "--drain-timeout", "0"], |server| {
        let clients = connect(server, 3);
        server.signal(libc::SIGINT);
        wait_for_close(clients, Instant::now());
        expect_success(server);
    });
}

#[test]
fn an_empty_server_stops_at_once() {
    on_each_driver(&["--shards", "2"], |server| {
        let began = Instant::now();
        server.signal(libc::SIGTERM);
        expect_success(server);
        assert!(began.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn a_second_signal_closes_everybody_at_once() {
    on_each_driver(&["--shards", "2", "--drain-timeout", "1m"], |server| {
        let clients = connect(server, 100);
        server.signal(libc::SIGTERM);
        wait_until("it drains", || server.stats()["phase"] == "draining");
        let began = Instant::now();
        server.signal(libc::SIGTERM);
        let times = wait_for_close(clients, began);
        assert!(times[99] < Duration::from_secs(3), "{times:?}");
        expect_success(server);
    });
}

/// Neither the one that ignores its close frame, nor the one whose buffers are
/// full, nor the one that never finished its handshake holds the server up.
#[test]
fn unresponsive_clients_hold_nobody_up() {
    let options = [
        "--shards",
        "1",
        "--drain-timeout",
        "500ms",
        "--close-timeout",
        "500ms",
    ];
    on_each_driver(&options, |server| {
        let mut silent = Client::connect(server.address, "/echo");
        let mut full = Client::connect_narrow(server.address, "/echo");
        let limit = Some(Duration::from_millis(200));
        full.stream.set_write_timeout(limit).unwrap();
        let message = encode(FIN | BINARY, true, &[7; 64 * 1024]);
        let mut writer = full.writer();
        while std::io::Write::write_all(&mut writer, &message).is_ok() {}
        let mut half = Client::open(server.address);
        half.send(b"GET /echo HTTP/1.1\r\n");
        let mut mute = Client::open(server.address);
        server.wait_for("handshakes", 2);

        let began = Instant::now();
        server.signal(libc::SIGTERM);
        expect_success(server);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "held up for {took:?}");
        assert_eq!(silent.frame().close_code(), 1001);
        // No close frame could reach this one.
        while full.try_frame().is_ok_and(|frame| frame.is_some()) {}
        for waiting in [&mut half, &mut mute] {
            waiting.expect_end();
        }
    });
}

/// A session in the middle of everything, with answers still waiting for it,
/// gets all of them and then its close frame.
#[test]
fn a_busy_session_gets_its_answers_first() {
    let options = ["--shards", "1", "--drain-timeout", "0"];
    let options = [&options[..], &["--max-message-bytes", "4MiB"]].concat();
    on_each_driver(&options, |server| {
        let mut client = Client::connect_narrow(server.address, "/echo");
        let sent = 4 << 20;
        client.send(&encode(FIN | BINARY, true, &vec![7; sent]));
        assert!(poll_until(DEADLINE, || server.total("messages_in") == 1));
        server.signal(libc::SIGTERM);
        wait_until("it drains", || server.stats()["phase"] == "draining");
        let echo = client.frame();
        assert_eq!((echo.opcode, echo.payload.len()), (BINARY, sent));
        let close = client.frame();
        assert_eq!((close.opcode, close.close_code()), (CLOSE, 1001));
        client.send_close(1001);
        client.expect_end();
        expect_success(server);
    });
}

/// A drain without sessions to close does not wait for the drain time, and
/// sessions that end by themselves are not waited for either.
#[test]
fn the_last_to_leave_ends_the_drain() {
    on_each_driver(&["--shards", "2", "--drain-timeout", "1m"], |server| {
        let clients = connect(server, 40);
        server.signal(libc::SIGTERM);
        wait_until("it drains", || server.stats()["phase"] == "draining");
        let began = Instant::now();
        for client in clients {
            client.reset();
        }
        expect_success(server);
        assert!(began.elapsed() < Duration::from_secs(3));
    });
}
