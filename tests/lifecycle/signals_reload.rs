//! SIGHUP reads the configuration again: what a running server can take takes
//! effect, the log names what does not, and a configuration that cannot stand
//! changes nothing.
//!
//! How: the file of a real server is changed, its log read, and clients see
//! whether they are treated by the new settings.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::client::{Client, request, request_with, text};
use crate::support::processes::has_thread;
use crate::support::{Server, corecast, http, wait_until};
use tempfile::TempDir;

/// A server and its file. `first` is what stands in it at the start.
struct Configured {
    server: Server,
    file: PathBuf,
    _folder: TempDir,
}

impl Configured {
    fn start(first: &str, more: &[&str]) -> Configured {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("corecast.toml");
        fs::write(&file, first).unwrap();
        let mut command = corecast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--shards", "1", "--config"])
            .arg(&file)
            .args(more);
        let server = Server::spawn(&mut command);
        Configured {
            server,
            file,
            _folder: folder,
        }
    }

    /// Changes the file, sends SIGHUP, and returns the line that it leaves.
    fn reload(&self, text: &str) -> String {
        fs::write(&self.file, text).unwrap();
        let line = self.hang_up();
        wait_until("it is done", || {
            !has_thread(self.server.pid() as libc::pid_t, "reload")
        });
        line
    }

    fn hang_up(&self) -> String {
        let lines = |log: &str| log.matches("SIGHUP: ").count();
        let before = lines(&self.server.log());
        self.server.signal(libc::SIGHUP);
        wait_until("the log says so", || lines(&self.server.log()) > before);
        let log = self.server.log();
        let line = log.lines().rfind(|line| line.contains("SIGHUP: "));
        line.unwrap().to_owned()
    }
}

#[test]
fn the_level_of_the_log_takes_effect() {
    let it = Configured::start("", &[]);
    let mut client = Client::connect(it.server.address, "/echo");
    let line = it.reload("");
    assert!(line.contains("no setting has changed"), "{line}");

    let line = it.reload("log_level = \"error\"\n");
    assert!(line.contains("log_level is error from now on"), "{line}");
    it.server.signal(libc::SIGUSR1);
    // It would have come before this one.
    let line = it.reload("log_level = \"debug\"\n");
    assert!(line.contains("log_level is debug from now on"), "{line}");
    assert!(!it.server.log().contains("SIGUSR1"));
    it.server.signal(libc::SIGUSR1);
    wait_until("the log is heard again", || {
        it.server.log().contains("SIGUSR1: ")
    });
    client.expect_echo("still there");
}

#[test]
fn settings_that_need_another_process_are_named() {
    let it = Configured::start("idle_timeout = \"60s\"\n", &[]);
    let mut client = Client::connect(it.server.address, "/echo");
    let changed = "idle_timeout = \"90s\"\nlog_level = \"debug\"\n\
                   [[routes]]\npath = \"/news\"\nhandler = \"broadcast\"\n";
    let line = it.reload(changed);
    for words in [
        "WARN",
        "log_level is debug from now on",
        "not applied",
        "SIGUSR2",
        "idle_timeout (stays 1m, configured is 1m 30s)",
        "routes",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    // As long as they are not applied, they are named.
    let line = it.hang_up();
    assert!(line.contains("not applied"), "{line}");
    assert!(!line.contains("log_level is"), "{line}");
    client.expect_echo("still there");
}

/// The status of the answer to a page of this origin.
fn status_for(it: &Configured, origin: &str) -> String {
    let mut client = Client::open(it.server.address);
    client.send(request_with("/echo", &format!("Origin: {origin}\r\n")).as_bytes());
    let head = client.response_head();
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn allowed_origins_take_effect() {
    let it = Configured::start("", &[]);
    assert_eq!(status_for(&it, "https://b.example"), "101");
    let mut client = Client::connect(it.server.address, "/echo");

    let line = it.reload("origin = [\"https://a.example\"]\n");
    let words = "origin is https://a.example from now on, not *";
    assert!(line.contains(words), "{line}");
    wait_until("another origin is refused", || {
        status_for(&it, "https://b.example") == "403"
    });
    assert_eq!(status_for(&it, "https://a.example"), "101");
    client.expect_echo("still there");

    it.reload("");
    wait_until("any origin is let in", || {
        status_for(&it, "https://b.example") == "101"
    });
}

/// A limit that was off is on, another one, and off again.
#[test]
fn limits_of_a_source_take_effect() {
    let it = Configured::start("", &[]);
    let refused = || it.server.total("refused.source_full");
    let status = || {
        let response = http::exchange(it.server.address, request("/nowhere").as_bytes());
        response.status
    };
    let line = it.reload("max_connections_per_source = 2\n");
    let words = "max_connections_per_source is 2 from now on, not 0";
    assert!(line.contains(words), "{line}");
    // Connections are counted from the limit on.
    let mut clients = Vec::new();
    wait_until("a connection is one too many", || {
        let mut client = Client::open(it.server.address);
        client.send(request("/echo").as_bytes());
        if client.response_head().contains(" 429 ") {
            return true;
        }
        clients.push(client);
        false
    });
    assert!(refused() >= 1);
    for client in &mut clients {
        client.expect_echo("still there");
    }
    it.reload("max_connections_per_source = \"1k\"\n");
    wait_until("there is room again", || status() == 404);
    it.reload("max_handshake_rate_per_source = 1\n");
    wait_until("a source comes too often", || {
        status() == 429 && status() == 429
    });
    it.reload("");
    wait_until("nothing is limited", || (0..5).all(|_| status() == 404));
}

/// A session that is open is served at the new rate; one that waits for a rate goes
/// on when there is none.
#[test]
fn rates_of_sessions_take_effect() {
    let slow = "max_message_rate = 1\n";
    let it = Configured::start(slow, &[]);
    let mut client = Client::connect(it.server.address, "/echo");
    let began = Instant::now();
    let many: Vec<u8> = (0..120).flat_map(|n| text(&n.to_string())).collect();
    client.send(&many);
    assert_eq!(client.read_text(), "0");
    wait_until("it is paused", || it.server.total("rate_pauses") > 0);
    let line = it.reload("");
    let words = "max_message_rate is 0 from now on, not 1";
    assert!(line.contains(words), "{line}");
    for number in 1..120 {
        assert_eq!(client.read_text(), number.to_string());
    }
    assert!(began.elapsed() < Duration::from_secs(60), "at the old rate");

    // From no rate to one that closes, for a session that was there before.
    let line = it.reload("max_message_rate = 5\nover_rate = \"close\"\n");
    assert!(line.contains("over_rate is close from now on"), "{line}");
    let mut closed = Client::connect(it.server.address, "/echo");
    for client in [&mut client, &mut closed] {
        wait_until("it is closed", || {
            let many: Vec<u8> = (0..20).flat_map(|_| text("x")).collect();
            client.send(&many);
            (0..20).any(|_| {
                let frame = client.frame();
                frame.opcode == crate::support::client::CLOSE && frame.close_code() == 1008
            })
        });
    }
}

#[test]
fn a_flag_wins_over_the_file() {
    let it = Configured::start("", &["--log-level", "info"]);
    let line = it.reload("log_level = \"error\"\nshards = 7\n");
    assert!(line.contains("no setting has changed"), "{line}");
}

#[test]
fn a_configuration_that_cannot_stand_changes_nothing() {
    let it = Configured::start("", &[]);
    let mut client = Client::connect(it.server.address, "/echo");
    for (broken, words) in [
        ("shards = ", "corecast.toml:1"),
        (
            "shard = 1\n",
            "'shard' is not a key; the nearest is 'shards'",
        ),
        ("idle_timeout = \"never\"\n", "idle_timeout"),
        (
            "log_level = \"debug\"\norigin = [\"https://*.com\"]\n",
            "https://*.com",
        ),
        (
            "[phoenix.token]\nalgorithm = \"HS256\"\nsecret_file = \"/nowhere/secret\"\n\
             [[phoenix.topics]]\npattern = \"*\"\njoin = \"token\"\n",
            "/nowhere/secret",
        ),
    ] {
        let line = it.reload(broken);
        assert!(line.contains("ERROR"), "{line}");
        assert!(line.contains("every setting stays as it is"), "{line}");
        assert!(line.contains(words), "{words}: {line}");
        client.expect_echo("still there");
    }
    fs::remove_file(&it.file).unwrap();
    let line = it.hang_up();
    assert!(line.contains("cannot be read"), "{line}");
    Client::connect(it.server.address, "/echo").expect_echo("a new one");

    let line = it.reload("");
    assert!(line.contains("no setting has changed"), "{line}");
}

/// A file that makes its reader wait, such as one on a server that is away,
/// holds up nothing but the reload.
#[test]
fn a_file_that_cannot_be_read_to_its_end_holds_up_no_stop() {
    let it = Configured::start("", &["--drain-timeout", "0s"]);
    fs::remove_file(&it.file).unwrap();
    let path = CString::new(it.file.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    it.server.signal(libc::SIGHUP);
    // Two that come at once are one.
    wait_until("the file is being read", || {
        has_thread(it.server.pid() as libc::pid_t, "reload")
    });
    let line = it.hang_up();
    assert!(line.contains("is read once more"), "{line}");
    Client::connect(it.server.address, "/echo").expect_echo("served");
    it.server.signal(libc::SIGTERM);
    assert_eq!(it.server.exit_status().code(), Some(0));
}
