//! More shards than cores, and shards that poll busily, serve like any others.
//!
//! How: eight shards on port 0, which must become one port for all of them, and
//! enough clients that the kernel's hash reaches each.

use crate::support::client::Client;
use crate::support::on_each_driver;

fn everyone_hears_everyone(server: &crate::support::Server, shards: usize) {
    let mut clients = Vec::new();
    while server.per_shard("sessions").contains(&0) {
        assert!(clients.len() < 500, "a shard gets no connection");
        clients.extend((0..10).map(|_| Client::connect(server.address, "/broadcast")));
    }
    assert_eq!(server.per_shard("sessions").len(), shards);
    let count = clients.len();
    for speaker in (0..count).step_by(7) {
        let text = format!("from {speaker}");
        clients[speaker].send_text(&text);
        for client in &mut clients {
            assert_eq!(client.read_text(), text);
        }
    }
    for client in clients {
        client.close();
    }
    server.wait_for("sessions", 0);
}

#[test]
fn eight_shards_on_whatever_cores_there_are() {
    let _alone = crate::alone();
    on_each_driver(&["--shards", "8"], |server| {
        everyone_hears_everyone(server, 8);
        server.signal(libc::SIGTERM);
        assert_eq!(server.exit_status().code(), Some(0));
    });
}

#[test]
fn busy_polling() {
    let _alone = crate::alone();
    let options = ["--shards", "2", "--busy-poll", "50"];
    on_each_driver(&options, |server| {
        everyone_hears_everyone(server, 2);
        let mut client = Client::connect(server.address, "/echo");
        for number in 0..1_000 {
            client.expect_echo(&number.to_string());
        }
        server.signal(libc::SIGTERM);
        assert_eq!(client.frame().close_code(), 1001);
        client.send_close(1001);
        client.expect_end();
        assert_eq!(server.exit_status().code(), Some(0));
    });
}

/// All on one core, as in a container that got only one.
#[test]
fn shards_that_share_a_core() {
    let _alone = crate::alone();
    on_each_driver(&["--shards", "3", "--cpus", "0"], |server| {
        everyone_hears_everyone(server, 3);
    });
}
