//! SIGUSR2 replaces a server by a new process: with a new configuration, on the
//! same ports, with nothing inherited that was not meant; and one that cannot
//! start leaves the old one serving.
//!
//! How: signals to the real process. `/stats` and the process's children in `/proc`
//! show which process serves.

use std::fs;
use std::io::Write;

use crate::support::client::Client;
use crate::support::{Server, corecast, drivers, http, wait_until};

/// A server whose options are in a file, which can be changed.
fn start(driver: &str) -> (Server, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "shards = 2\ndrain_timeout = \"0s\"").unwrap();
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--driver", driver, "--config"])
        .arg(file.path());
    (Server::spawn(&mut command), file)
}

/// The process that has taken over, ended when the test is.
struct NewProcess(libc::pid_t);

impl NewProcess {
    fn of(server: &Server) -> NewProcess {
        let mut number = None;
        wait_until("a new process has taken over", || {
            let log = server.log();
            number = log.lines().find_map(|line| {
                let (_, rest) = line.split_once(": process ")?;
                let (number, _) = rest.split_once(" has taken over")?;
                number.parse().ok()
            });
            number.is_some()
        });
        NewProcess(number.unwrap())
    }

    /// The files its descriptors are open on.
    fn descriptors(&self) -> Vec<String> {
        fs::read_dir(format!("/proc/{}/fd", self.0))
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect()
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        // SAFETY: kill takes no pointers.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

#[test]
fn a_new_configuration_takes_effect_on_the_same_ports() {
    for driver in drivers() {
        let (server, file) = start(driver);
        let mut old = Client::connect(server.address, "/echo");
        old.expect_echo("before");
        let changed = "shards = 3\n[[routes]]\npath = \"/news\"\nhandler = \"broadcast\"\n";
        fs::write(file.path(), changed).unwrap();
        server.signal(libc::SIGUSR2);
        let new_process = NewProcess::of(&server);

        // A session of the old one gets its close frame, and the old one ends.
        assert_eq!(old.frame().close_code(), 1001);
        old.send_close(1001);
        old.expect_end();
        assert_eq!(server.exit_status().code(), Some(0));

        Client::connect(server.address, "/news").expect_echo("after");
        assert_eq!(server.stats()["shards"].as_array().unwrap().len(), 3);
        assert_eq!(http::get(server.admin, "/readyz").status, 200);
        let left: Vec<_> = new_process.descriptors();
        // Three listeners, the admin's in two places, and a connection or two there.
        let sockets = left.iter().filter(|name| name.starts_with("socket:"));
        assert!(sockets.count() <= 7, "{left:?}");
    }
}

#[test]
fn fewer_shards_serve_all_that_was_inherited() {
    for driver in drivers() {
        let (server, file) = start(driver);
        fs::write(file.path(), "shards = 1\n").unwrap();
        server.signal(libc::SIGUSR2);
        let _new_process = NewProcess::of(&server);
        assert_eq!(server.exit_status().code(), Some(0));
        for _ in 0..20 {
            Client::connect(server.address, "/echo").expect_echo("whichever queue it was in");
        }
    }
}

#[test]
fn one_that_cannot_start_leaves_the_old_one_serving() {
    for driver in drivers() {
        let (server, file) = start(driver);
        let mut client = Client::connect(server.address, "/echo");
        fs::write(file.path(), "shards = 0\n").unwrap();
        server.signal(libc::SIGUSR2);
        wait_until("the failure is told", || {
            server.log().contains(
                "the hand-over failed: the new process ended before it was ready (exit status: 2)",
            )
        });
        assert!(
            server.log().contains("shards"),
            "its own words stand there too"
        );
        client.expect_echo("as if nothing had happened");
        Client::connect(server.address, "/echo").expect_echo("for new ones too");
        assert_eq!(server.stats()["phase"], "running");

        // It can be asked again.
        fs::write(file.path(), "shards = 1\ndrain_timeout = \"0s\"\n").unwrap();
        server.signal(libc::SIGUSR2);
        let _new_process = NewProcess::of(&server);
        assert_eq!(client.frame().close_code(), 1001);
        client.send_close(1001);
        assert_eq!(server.exit_status().code(), Some(0));
    }
}

/// A connection that has said nothing yet when the old one begins to drain
/// becomes a session and gets its close frame in its turn.
#[test]
fn who_was_accepted_before_is_not_refused() {
    for driver in drivers() {
        let (server, file) = start(driver);
        fs::write(file.path(), "shards = 2\ndrain_timeout = \"3s\"\n").unwrap();
        server.signal(libc::SIGUSR2);
        let first = NewProcess::of(&server);
        assert_eq!(server.exit_status().code(), Some(0));

        let mut silent = Client::open(server.address);
        let mut other = Client::connect(server.address, "/echo");
        server.wait_for("handshakes", 1);
        // SAFETY: kill takes no pointers; the process is the first new process.
        assert_eq!(unsafe { libc::kill(first.0, libc::SIGUSR2) }, 0);
        wait_until("there is a second new process", || {
            server.log().matches("has taken over").count() == 2
        });
        silent.handshake("/echo");
        assert_eq!(other.frame().close_code(), 1001);
        assert_eq!(silent.frame().close_code(), 1001);
        let log = server.log();
        let last = log
            .lines()
            .rfind(|line| line.contains("has taken over"))
            .unwrap();
        let (_, number) = last.split_once(": process ").unwrap();
        let _second = NewProcess(number.split(' ').next().unwrap().parse().unwrap());
    }
}
