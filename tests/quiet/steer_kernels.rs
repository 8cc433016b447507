//! A kernel that does not steer, or on which that cannot be tried, is named in
//! the log, and the server serves on it all the same.
//!
//! How: a filter (seccomp) on the server's system calls answers those of one
//! option in the kernel's stead: 'done' without doing anything, as kernels from
//! 4.6 to 6.1 in effect do, or an error.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::client::Client;
use crate::support::{Server, corecast};
use libc::{sock_filter, sock_fprog};

/// A call whose third argument has this value (any, if none) ends with this
/// error, 0 for success, and is not made.
#[derive(Clone, Copy)]
struct Answer {
    call: libc::c_long,
    third: Option<libc::c_int>,
    error: libc::c_int,
}

fn answer(command: &mut Command, answer: Answer) {
    let statement = |code: u32, k: u32| sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let skip_unless = |value: u32, skipped: u8| sock_filter {
        jf: skipped,
        ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value)
    };
    let load = |offset: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let end = |action: u32| statement(libc::BPF_RET | libc::BPF_K, action);
    // The input of a filter: number, architecture, address, then six arguments of eight
    // bytes each, of which the lower half is enough here.
    let low_half = if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut filter = vec![load(0)];
    match answer.third {
        Some(value) => filter.extend([
            skip_unless(answer.call as u32, 3),
            load(16 + 2 * 8 + low_half),
            skip_unless(value as u32, 1),
        ]),
        None => filter.push(skip_unless(answer.call as u32, 1)),
    }
    filter.extend([
        end(libc::SECCOMP_RET_ERRNO | answer.error as u32),
        end(libc::SECCOMP_RET_ALLOW),
    ]);
    let set = move || {
        let program = sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_ptr().cast_mut(),
        };
        // SAFETY: `program` and the filter it points to outlive the calls.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
        };
        if done {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: between fork and exec nothing is allocated and only prctl is called.
    unsafe { command.pre_exec(set) };
}

/// Starts a server that is to steer, with calls answered for it.
fn start(with: Answer) -> Server {
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--shards", "2", "--steer", "cpu"]);
    answer(&mut command, with);
    Server::spawn(&mut command)
}

/// Every client is served, however the connections are spread over the shards.
fn expect_service(server: &Server) {
    for _ in 0..20 {
        let mut client = Client::connect(server.address, "/echo");
        client.expect_echo("here");
        client.close();
    }
}

fn option(error: libc::c_int) -> Answer {
    Answer {
        call: libc::SYS_setsockopt,
        third: Some(libc::SO_INCOMING_CPU),
        error,
    }
}

#[test]
fn a_kernel_that_ignores_the_option_is_found_out() {
    let _alone = crate::alone();
    let server = start(option(0));
    assert!(
        server
            .log()
            .contains("this kernel ignores SO_INCOMING_CPU on a shared port"),
        "{}",
        server.log()
    );
    assert_eq!(server.stats()["steer"], "hash");
    expect_service(&server);
}

#[test]
fn a_kernel_without_the_option_is_named() {
    let _alone = crate::alone();
    let server = start(option(libc::ENOPROTOOPT));
    assert!(
        server.log().contains("this kernel has no SO_INCOMING_CPU"),
        "{}",
        server.log()
    );
    assert_eq!(server.stats()["steer"], "hash");
    expect_service(&server);
}

/// As in a network namespace whose loopback device is down.
#[test]
fn where_it_cannot_be_tried_it_is_done_and_said() {
    let _alone = crate::alone();
    let server = start(Answer {
        call: libc::SYS_connect,
        third: None,
        error: libc::ENETUNREACH,
    });
    assert!(
        server.log().contains("could not be tried on 127.0.0.1"),
        "{}",
        server.log()
    );
    assert_eq!(server.stats()["steer"], "cpu");
    expect_service(&server);
}
