//! SIGHUP reads the configuration again: the level of the log takes effect, the
//! log names what does not, and a configuration that cannot stand changes nothing.
//!
//! How: the file of a real server is changed, and its log read.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::support::client::Client;
use crate::support::processes::has_thread;
use crate::support::{Server, corecast, wait_until};
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
        "idle_timeout",
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
            "log_level = \"debug\"\norigin = [\"https://*.a.com\"]\n",
            "*.a.com",
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
