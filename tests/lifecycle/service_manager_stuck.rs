//! A service manager that does not read its socket holds up neither a hand-over
//! nor a stop, and hears of both when it reads again.
//!
//! How: a socket in the place of systemd's whose queue is full, under a path and
//! under an abstract name.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::processes::{Ended, is_served, signal};
use crate::support::{DEADLINE, Server, corecast, wait_until};

struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    fn at(address: SocketAddr) -> Manager {
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Manager { socket, address }
    }

    /// Fills the queue.
    fn stick(&self) {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        sender.connect_addr(&self.address).unwrap();
        while sender.send(b"before").is_ok() {}
    }

    /// Reads until a message with these words comes.
    fn hear(&self, words: &str) -> String {
        self.socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut bytes = [0; 4_096];
        loop {
            let len = self.socket.recv(&mut bytes).expect("it is told");
            let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if text.contains(words) {
                return text;
            }
        }
    }
}

fn start(name: &str) -> Server {
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--shards", "2", "--drain-timeout", "0s"])
        .env("NOTIFY_SOCKET", name)
        .env("WATCHDOG_USEC", "200000");
    Server::spawn(&mut command)
}

/// Runs a test with a socket under a path and under an abstract name.
fn with_each(test: impl Fn(&Manager, &str)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = Manager::at(SocketAddr::from_pathname(&path).unwrap());
    test(&manager, path.to_str().unwrap());
    let name = format!("corecast-{}", path.display());
    let manager = Manager::at(SocketAddr::from_abstract_name(&name).unwrap());
    test(&manager, &format!("@{name}"));
}

#[test]
fn a_stop_is_not_held_up() {
    with_each(|manager, name| {
        let server = start(name);
        manager.hear("READY=1");
        manager.stick();
        wait_until("the log says so", || {
            server.log().contains("it does not read NOTIFY_SOCKET")
        });
        let mut client = Client::connect(server.address, "/echo");
        client.expect_echo("served");
        let began = Instant::now();
        server.signal(libc::SIGTERM);
        assert_eq!(client.frame().close_code(), 1001);
        client.send_close(1001);
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(5));
        let complaints = server.log().matches("cannot be told").count();
        assert_eq!(complaints, 1, "once, not with each report");
    });
}

#[test]
fn a_server_starts_under_a_manager_that_does_not_read() {
    with_each(|manager, name| {
        manager.stick();
        let server = start(name);
        Client::connect(server.address, "/echo").expect_echo("served");
        manager.hear("READY=1");
        manager.hear("WATCHDOG=1");
    });
}

/// The number of the new process must arrive: without it systemd would take the end
/// of the old process for that of the service.
#[test]
fn a_hand_over_is_not_held_up_and_is_heard_of_later() {
    with_each(|manager, name| {
        let server = start(name);
        let mut ended = Ended::default();
        manager.hear("READY=1");
        manager.stick();
        server.signal(libc::SIGUSR2);
        let new_process = ended.after(&server, 1);
        is_served(server.address);
        assert!(!server.has_ended(), "it stays for its last word");
        let over = manager.hear("MAINPID=");
        assert!(over.contains(&format!("MAINPID={new_process}\n")), "{over}");
        assert!(over.contains("READY=1"), "{over}");
        assert_eq!(server.exit_status().code(), Some(0));
        manager.hear("WATCHDOG=1");
        signal(new_process, libc::SIGTERM);
        manager.hear("STOPPING=1");
    });
}

#[test]
fn a_manager_that_never_reads_again_does_not_keep_the_old_process() {
    with_each(|manager, name| {
        let server = start(name);
        let mut ended = Ended::default();
        manager.hear("READY=1");
        manager.stick();
        server.signal(libc::SIGUSR2);
        let new_process = ended.after(&server, 1);
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(server.log().contains("it does not know the new process"));
        signal(new_process, libc::SIGTERM);
    });
}

#[test]
fn a_socket_that_is_none_costs_a_line() {
    let long = "x".repeat(300);
    for (name, words) in [
        ("/nowhere/notify", "the service manager cannot be told: "),
        ("/tmp", "the service manager cannot be told: "),
        ("vsock:2:1234", "no service manager is told anything"),
        (long.as_str(), "no service manager is told anything"),
    ] {
        let server = start(name);
        wait_until("the log says so", || server.log().contains(words));
        server.signal(libc::SIGTERM);
        assert_eq!(server.exit_status().code(), Some(0), "{name}");
        assert_eq!(server.log().matches(words).count(), 1, "{name}");
    }
}
