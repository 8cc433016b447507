//! Clients that do not do their part are cut off in time: one that never
//! answers a close frame, and one that never reads.
//!
//! How: short limits, raw clients, the end reasons in `/stats`.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::client::{BINARY, Client, FIN, encode};
use crate::support::on_each_driver;

/// The close frame arrives and so does the end, although the client does not answer.
#[test]
fn a_close_frame_that_is_never_answered() {
    let options = [
        "--shards",
        "1",
        "--idle-timeout",
        "400ms",
        "--close-timeout",
        "600ms",
    ];
    on_each_driver(&options, |server| {
        let mut client = Client::connect(server.address, "/echo");
        while client.frame().opcode != 8 {}
        let began = Instant::now();
        // The socket may be reset now: it only matters that it ends in time.
        assert!(matches!(client.try_frame(), Ok(None) | Err(_)));
        let took = began.elapsed();
        assert!(took > Duration::from_millis(300), "cut after {took:?}");
        assert!(took < Duration::from_millis(2500), "held for {took:?}");
        server.wait_for("sessions", 0);
        assert_eq!(server.total("ended.idle"), 1);
    });
}

/// A fault leaves the peer time to read the close frame, but not for ever.
#[test]
fn a_client_that_goes_on_sending_after_its_fault() {
    let options = ["--shards", "1", "--close-timeout", "500ms"];
    on_each_driver(&options, |server| {
        let mut client = Client::connect(server.address, "/echo");
        client.send(&encode(FIN | 3, true, b""));
        assert_eq!(client.frame().close_code(), 1002);
        let began = Instant::now();
        while client.stream.write_all(&[0; 1000]).is_ok() {
            assert!(began.elapsed() < Duration::from_secs(5), "never cut off");
            std::thread::sleep(Duration::from_millis(5));
        }
        server.wait_for("sessions", 0);
        assert_eq!(server.total("ended.protocol_error"), 1);
    });
}

#[test]
fn a_client_that_never_reads() {
    let options = ["--shards", "1", "--write-stall-timeout", "600ms"];
    on_each_driver(&options, |server| {
        let client = Client::connect_narrow(server.address, "/echo");
        let limit = Some(Duration::from_millis(200));
        client.stream.set_write_timeout(limit).unwrap();
        let message = encode(FIN | BINARY, true, &[7; 64 * 1024]);
        let mut writer = client.writer();
        while writer.write_all(&message).is_ok() {}
        server.wait_for("ended.write_stalled", 1);
        server.wait_for("sessions", 0);
    });
}

/// Slow is not stalled: as long as bytes leave, the session lives.
#[test]
fn a_client_that_reads_slowly() {
    let options = ["--shards", "1", "--write-stall-timeout", "600ms"];
    on_each_driver(&options, |server| {
        let mut client = Client::connect_narrow(server.address, "/echo");
        let mut writer = client.writer();
        let sender = std::thread::spawn(move || {
            for _ in 0..100 {
                writer
                    .write_all(&encode(FIN | BINARY, true, &[7; 64 * 1024]))
                    .expect("the session lives");
            }
        });
        for number in 0..100 {
            assert_eq!(client.frame().payload.len(), 64 * 1024);
            if number % 10 == 0 {
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        sender.join().unwrap();
        assert_eq!(server.total("ended.write_stalled"), 0);
        client.close();
    });
}
