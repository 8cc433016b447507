//! Clients that go away in every rude manner leave nothing behind and disturb no other
//! session: a reset inside a frame, an end of stream inside a frame, an end of stream
//! while the server cannot write, a reset while it cannot write.
//!
//! How: raw sockets, a witness on the same shard, and the sessions gauge.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::client::{BINARY, Client, FIN, encode};
use crate::support::{Server, on_each_driver};

fn witness(server: &Server) -> Client {
    Client::connect(server.address, "/echo")
}

#[test]
fn a_reset_inside_a_frame() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut witness = witness(server);
        for _ in 0..20 {
            let mut client = Client::connect(server.address, "/broadcast");
            client.send(&encode(FIN | BINARY, true, &[7; 1000])[..500]);
            client.reset();
        }
        server.wait_for("ended.vanished", 20);
        server.wait_for("sessions", 1);
        assert_eq!(server.total("messages_in"), 0);
        witness.expect_echo("still here");
    });
}

#[test]
fn an_end_of_stream_inside_a_frame() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.send(&encode(FIN | BINARY, true, &[7; 1000])[..500]);
        client.shutdown_write();
        client.expect_end();
        server.wait_for("ended.vanished", 1);
        server.wait_for("sessions", 0);
    });
}

/// The end of the stream arrives while the session is not read, because its
/// own answers wait. No further readiness tells of it, so the server must find
/// it by itself once it reads again.
#[test]
fn an_end_of_stream_while_the_session_is_not_read() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::connect_narrow(server.address, "/echo");
        let message = encode(FIN | BINARY, true, &[7; 16 * 1024]);
        // As many as the server takes without our reading anything.
        let limit = Some(Duration::from_millis(300));
        client.stream.set_write_timeout(limit).unwrap();
        let mut writer = client.writer();
        while writer.write_all(&message).is_ok() {}
        client.shutdown_write();

        let began = Instant::now();
        let mut echoes = 0;
        while let Ok(Some(_)) = client.try_frame() {
            echoes += 1;
        }
        assert!(echoes > 0);
        server.wait_for("sessions", 0);
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the end of the stream was noticed by a timeout only"
        );
    });
}

/// The same in one go: more than is read from a session in one turn, then the end.
#[test]
fn an_end_of_stream_behind_more_than_one_turn_reads() {
    on_each_driver(&["--shards", "1", "--route", "/sink=chat"], |server| {
        for round in 0..10 {
            let mut client = Client::connect(server.address, "/sink");
            client.read_text();
            let message = r#"{"type":"benchmark_test","content":1}"#;
            let many: Vec<u8> = (0..20_000)
                .flat_map(|_| encode(FIN | 1, true, message.as_bytes()))
                .collect();
            client.send(&many);
            client.shutdown_write();
            client.expect_end();
            server.wait_for("sessions", 0);
            assert_eq!(server.total("messages_in"), 20_000 * (round + 1));
        }
    });
}

#[test]
fn a_reset_while_the_server_cannot_write() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut witness = witness(server);
        for _ in 0..5 {
            let client = Client::connect_narrow(server.address, "/echo");
            let message = encode(FIN | BINARY, true, &[7; 64 * 1024]);
            let limit = Some(Duration::from_millis(100));
            client.stream.set_write_timeout(limit).unwrap();
            let mut writer = client.writer();
            while writer.write_all(&message).is_ok() {}
            client.reset();
            // The reset goes out with the last handle.
            drop(writer);
        }
        server.wait_for("ended.vanished", 5);
        server.wait_for("sessions", 1);
        witness.expect_echo("still here");
    });
}

/// After our close frame everything is ignored, whatever it is.
#[test]
fn data_after_the_close_frame() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut peer = Client::connect(server.address, "/broadcast");
        let mut client = Client::connect(server.address, "/broadcast");
        let mut bytes = encode(FIN | 8, true, &1000u16.to_be_bytes());
        bytes.extend(crate::support::client::text("too late"));
        bytes.extend([0xFF; 100]);
        client.send(&bytes);
        assert_eq!(client.frame().close_code(), 1000);
        client.expect_end();
        peer.expect_silence(Duration::from_millis(200));
        server.wait_for("sessions", 1);
        assert_eq!(server.total("messages_in"), 0);
    });
}

/// A client that closes gets the answer and the end at once, also from a server with
/// nothing else to do.
#[test]
fn a_goodbye_is_answered_at_once() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let client = Client::connect(server.address, "/echo");
            let began = Instant::now();
            client.close();
            slowest = slowest.max(began.elapsed());
        }
        println!("slowest close: {slowest:?}");
        assert!(slowest < Duration::from_millis(100), "{slowest:?}");
    });
}

/// Bytes that arrive while the server lets go of a session must not keep its socket
/// open: it would never be closed.
#[test]
fn a_goodbye_amid_other_bytes() {
    on_each_driver(&["--shards", "1"], |server| {
        for _ in 0..300 {
            let mut client = Client::connect(server.address, "/echo");
            client.send_close(1000);
            for _ in 0..5 {
                // The connection may be gone already.
                let _ = client.stream.write_all(b"more");
            }
            let began = Instant::now();
            while client.try_frame().is_ok_and(|frame| frame.is_some()) {}
            let took = began.elapsed();
            assert!(took < Duration::from_secs(5), "the socket stays open");
        }
        server.wait_for("sessions", 0);
    });
}
