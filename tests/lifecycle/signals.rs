//! Signals that are not about stopping leave the sessions alone, and the log says
//! what came of those that have a meaning.
//!
//! How: each signal is sent to the real process, which then serves on.

use std::process::Stdio;

use crate::support::client::Client;
use crate::support::fault::limit;
use crate::support::{Server, corecast, drivers, on_each_driver, wait_until};

/// Those that have no meaning and would end or stop a process that does nothing.
fn stray() -> Vec<libc::c_int> {
    let mut signals = vec![
        libc::SIGPIPE,
        libc::SIGALRM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGIO,
        libc::SIGSTKFLT,
        libc::SIGXFSZ,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGWINCH,
        libc::SIGURG,
        libc::SIGCHLD,
        libc::SIGCONT,
    ];
    signals.extend(libc::SIGRTMIN()..=libc::SIGRTMAX());
    signals
}

#[test]
fn stray_signals_change_nothing() {
    on_each_driver(&["--shards", "2"], |server| {
        let mut client = Client::connect(server.address, "/echo");
        let before = server.log();
        for signal in stray() {
            server.signal(signal);
            client.expect_echo("still there");
        }
        Client::connect(server.address, "/echo").expect_echo("and a new one");
        assert_eq!(server.log(), before, "they are not worth a line");
    });
}

#[test]
fn a_log_that_is_reopened_is_standard_error() {
    on_each_driver(&["--shards", "1"], |server| {
        let mut client = Client::connect(server.address, "/echo");
        server.signal(libc::SIGUSR1);
        wait_until("the log says so", || {
            server.log().contains("SIGUSR1: nothing to reopen")
        });
        client.expect_echo("still there");
    });
}

/// A server that runs under nohup has SIGHUP ignored when it begins.
#[test]
fn signals_that_were_ignored_before_are_obeyed() {
    let mut command = corecast();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    // SAFETY: between fork and exec only signal is called, which is allowed there.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, || {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            Ok(())
        });
    }
    let server = Server::spawn(&mut command);
    server.signal(libc::SIGHUP);
    wait_until("the log says so", || server.log().contains("SIGHUP: "));
    server.signal(libc::SIGTERM);
    assert_eq!(server.exit_status().code(), Some(0));
}

/// A log file at its limit of size costs lines and not the server.
#[test]
fn a_log_file_that_may_not_grow() {
    for driver in drivers() {
        let claim = crate::support::fault::Claim::new();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut command = corecast();
        command
            .args(["serve", "--shards", "1", "--admin", "off"])
            .args(["--driver", driver, "--listen", &claim.address.to_string()])
            .stdin(Stdio::null())
            .stderr(file.reopen().unwrap());
        limit(&mut command, libc::RLIMIT_FSIZE, 10);
        let mut child = command.spawn().unwrap();
        wait_until("the server listens", || {
            std::net::TcpStream::connect(claim.address).is_ok()
        });
        let process = child.id() as libc::pid_t;
        crate::support::processes::signal(process, libc::SIGUSR1);
        Client::connect(claim.address, "/echo").expect_echo("served");
        crate::support::processes::signal(process, libc::SIGTERM);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(file.as_file().metadata().unwrap().len() <= 10);
    }
}
