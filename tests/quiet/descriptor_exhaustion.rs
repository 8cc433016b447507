//! When descriptors run out, accepting pauses, existing sessions go on, and
//! accepting goes on by itself when some leave.
//!
//! How: the server gets a table of 64 descriptors, and 100 clients come.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use crate::support::client::{Client, request};
use crate::support::{Server, corecast, drivers, poll_until};

const DESCRIPTORS: u64 = 64;
const CLIENTS: usize = 100;

fn start(driver: &str) -> Server {
    let mut command = corecast();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--shards", "1", "--driver", driver]);
    let limit = libc::rlimit {
        rlim_cur: DESCRIPTORS,
        rlim_max: DESCRIPTORS,
    };
    // SAFETY: between fork and exec only setrlimit is called, which is allowed there.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    Server::spawn(&mut command)
}

#[test]
fn accepting_pauses_and_recovers() {
    let _alone = crate::alone();
    for driver in drivers() {
        println!("driver {driver}");
        let server = start(driver);
        let mut clients: Vec<Client> = (0..CLIENTS)
            .map(|_| {
                let mut client = Client::open(server.address);
                client.send(request("/echo").as_bytes());
                client
            })
            .collect();
        assert!(poll_until(Duration::from_secs(5), || {
            server.total("accept_pauses") > 0
        }));
        // A connection that was accepted before its request came needs a moment more.
        server.wait_for("handshakes", 0);
        let held = server.total("sessions") as usize;
        assert!(held > 20 && held < DESCRIPTORS as usize, "{held} sessions");
        assert_eq!(server.log().matches("accepting pauses").count(), 1);

        // The kernel's queue is first come, first served.
        let mut waiting = clients.split_off(held);
        for client in &mut clients {
            assert!(client.response_head().starts_with("HTTP/1.1 101 "));
            client.expect_echo("unhindered");
        }
        waiting[0].expect_silence(Duration::from_millis(200));

        // As many leave as wait, so that all get in.
        while clients.len() + waiting.len() > held {
            clients.pop().unwrap().close();
        }
        for client in &mut waiting {
            assert!(client.response_head().starts_with("HTTP/1.1 101 "));
            client.expect_echo("in at last");
        }
        for client in &mut clients {
            client.expect_echo("still here");
        }
        assert_eq!(server.total("opened"), CLIENTS as u64);
        assert!(server.log().contains("accepting again"), "{}", server.log());
        drop((clients, waiting));
        server.wait_for("sessions", 0);
    }
}
