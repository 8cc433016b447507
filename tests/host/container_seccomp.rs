//! The server also serves in a container that forbids io_uring, and the profile that we
//! ship allows all that the server needs.
//!
//! How: a seccomp filter, as a container engine makes one, is put on the server's
//! process: first `tools/deploy/seccomp-io-uring.json`, where every call outside of
//! it is deadly, then the same without io_uring, answered in the ways of Docker and
//! of Podman.

#![cfg(target_arch = "x86_64")]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::client::Client;
use crate::support::{Server, corecast, drivers, run, skip};
use serde_json::Value;

/// The numbers of calls by name.
macro_rules! numbers {
    ($($name:ident $number:ident),* $(,)?) => {
        HashMap::from([$((stringify!($name), libc::$number)),*])
    };
}

#[rustfmt::skip]
fn numbers() -> HashMap<&'static str, libc::c_long> {
    numbers![
        accept SYS_accept, accept4 SYS_accept4, access SYS_access, arch_prctl SYS_arch_prctl,
        bind SYS_bind, brk SYS_brk, capget SYS_capget, capset SYS_capset, chdir SYS_chdir,
        clock_getres SYS_clock_getres, clock_gettime SYS_clock_gettime,
        clock_nanosleep SYS_clock_nanosleep, close SYS_close, close_range SYS_close_range,
        connect SYS_connect, dup SYS_dup, dup2 SYS_dup2, dup3 SYS_dup3,
        epoll_create1 SYS_epoll_create1, epoll_ctl SYS_epoll_ctl, epoll_pwait SYS_epoll_pwait,
        epoll_pwait2 SYS_epoll_pwait2, epoll_wait SYS_epoll_wait, eventfd2 SYS_eventfd2,
        execve SYS_execve, exit SYS_exit, exit_group SYS_exit_group, faccessat SYS_faccessat,
        faccessat2 SYS_faccessat2, fchdir SYS_fchdir, fchown SYS_fchown, fcntl SYS_fcntl,
        fdatasync SYS_fdatasync, fstat SYS_fstat, fstatfs SYS_fstatfs, fsync SYS_fsync,
        ftruncate SYS_ftruncate, futex SYS_futex, getcwd SYS_getcwd, getdents64 SYS_getdents64,
        getegid SYS_getegid, geteuid SYS_geteuid, getgid SYS_getgid, getpeername SYS_getpeername,
        getpgrp SYS_getpgrp, getpid SYS_getpid, getppid SYS_getppid, getrandom SYS_getrandom,
        getrlimit SYS_getrlimit, getrusage SYS_getrusage, getsockname SYS_getsockname,
        getsockopt SYS_getsockopt, gettid SYS_gettid, gettimeofday SYS_gettimeofday,
        getuid SYS_getuid, io_uring_enter SYS_io_uring_enter,
        io_uring_register SYS_io_uring_register, io_uring_setup SYS_io_uring_setup,
        ioctl SYS_ioctl, kill SYS_kill, listen SYS_listen, lseek SYS_lseek, lstat SYS_lstat,
        madvise SYS_madvise, membarrier SYS_membarrier, mincore SYS_mincore, mkdir SYS_mkdir,
        mkdirat SYS_mkdirat, mmap SYS_mmap, mprotect SYS_mprotect, mremap SYS_mremap,
        munmap SYS_munmap, nanosleep SYS_nanosleep, newfstatat SYS_newfstatat, open SYS_open,
        openat SYS_openat, openat2 SYS_openat2, pipe2 SYS_pipe2, poll SYS_poll, ppoll SYS_ppoll,
        prctl SYS_prctl, pread64 SYS_pread64, prlimit64 SYS_prlimit64, pselect6 SYS_pselect6, pwrite64 SYS_pwrite64,
        read SYS_read, readlink SYS_readlink, readlinkat SYS_readlinkat, readv SYS_readv,
        recvfrom SYS_recvfrom, recvmmsg SYS_recvmmsg, recvmsg SYS_recvmsg, rename SYS_rename,
        renameat SYS_renameat, renameat2 SYS_renameat2, restart_syscall SYS_restart_syscall,
        rseq SYS_rseq, rt_sigaction SYS_rt_sigaction, rt_sigprocmask SYS_rt_sigprocmask,
        rt_sigreturn SYS_rt_sigreturn, rt_sigtimedwait SYS_rt_sigtimedwait,
        sched_getaffinity SYS_sched_getaffinity, sched_setaffinity SYS_sched_setaffinity,
        sched_yield SYS_sched_yield, sendmmsg SYS_sendmmsg, sendmsg SYS_sendmsg, sendto SYS_sendto,
        set_robust_list SYS_set_robust_list, set_tid_address SYS_set_tid_address,
        setgid SYS_setgid, setgroups SYS_setgroups, setpgid SYS_setpgid, setresgid SYS_setresgid,
        setresuid SYS_setresuid, setrlimit SYS_setrlimit, setsid SYS_setsid,
        setsockopt SYS_setsockopt, setuid SYS_setuid, shutdown SYS_shutdown,
        sigaltstack SYS_sigaltstack, socket SYS_socket, socketpair SYS_socketpair, stat SYS_stat,
        statfs SYS_statfs, statx SYS_statx, sysinfo SYS_sysinfo, tgkill SYS_tgkill,
        timerfd_create SYS_timerfd_create, timerfd_settime SYS_timerfd_settime, umask SYS_umask,
        uname SYS_uname, unlink SYS_unlink, unlinkat SYS_unlinkat, wait4 SYS_wait4,
        waitid SYS_waitid, write SYS_write, writev SYS_writev, unshare SYS_unshare,
        clone SYS_clone, clone3 SYS_clone3,
    ]
}

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

fn refuse(error: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | error as u32
}

/// The profile as a program for the kernel: a call that `without` names gets another
/// answer, and one that is in no rule ends the process.
fn filter(without: &str, answer: u32) -> Vec<libc::sock_filter> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
    // Offsets in `struct seccomp_data` of the call and of its first argument.
    const CALL: u32 = 0;
    const FIRST: u32 = 16;
    let step = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let unless = |k: u32, skipped: u8| libc::sock_filter {
        code: IS as u16,
        jt: 0,
        jf: skipped,
        k,
    };
    let done = |answer: u32| step(libc::BPF_RET | libc::BPF_K, answer);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/deploy/seccomp-io-uring.json");
    let profile: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let numbers = numbers();
    let mut program = vec![step(LOAD, CALL)];
    for rule in profile["syscalls"].as_array().unwrap() {
        for name in rule["names"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let number = *numbers
                .get(name)
                .unwrap_or_else(|| panic!("{name} has no number here"));
            let number = u32::try_from(number).unwrap();
            if !without.is_empty() && name.starts_with(without) {
                program.extend([unless(number, 1), done(answer)]);
                continue;
            }
            let action = match rule["action"].as_str().unwrap() {
                "SCMP_ACT_ALLOW" => ALLOW,
                "SCMP_ACT_ERRNO" => refuse(rule["errnoRet"].as_i64().unwrap() as i32),
                other => panic!("{other}"),
            };
            let Some(argument) = rule["args"].get(0) else {
                program.extend([unless(number, 1), done(action)]);
                continue;
            };
            assert_eq!(argument["index"], 0);
            let value = u32::try_from(argument["value"].as_u64().unwrap()).unwrap();
            let (mask, value) = match argument["op"].as_str().unwrap() {
                "SCMP_CMP_EQ" => (u32::MAX, value),
                "SCMP_CMP_MASKED_EQ" => (value, argument["valueTwo"].as_u64().unwrap() as u32),
                other => panic!("{other}"),
            };
            program.extend([
                unless(number, 5),
                step(LOAD, FIRST),
                step(AND, mask),
                unless(value, 1),
                done(action),
                done(KILL),
            ]);
        }
    }
    program.push(done(KILL));
    program
}

/// Puts the filter on a command, from its first instruction on.
fn confine(command: &mut Command, filter: Vec<libc::sock_filter>) {
    // SAFETY: between fork and exec only prctl is called, which is allowed there;
    // the program outlives the calls, and its length is right.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog {
                len: filter.len() as u16,
                filter: filter.as_ptr().cast_mut(),
            };
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) != 0
            {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

fn serve(options: &[&str], filter: Vec<libc::sock_filter>) -> Command {
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--shards", "2"])
        .args(options);
    confine(&mut command, filter);
    command
}

/// A server that serves and ends well.
#[track_caller]
fn expect_service(server: &Server) {
    for path in ["/echo", "/broadcast", "/ws"] {
        let mut client = Client::connect(server.address, path);
        client.send_text(r#"{"type":"chat_message","content":"hello"}"#);
        let heard = client.read_text();
        assert!(!heard.is_empty());
    }
    assert!(server.resident_bytes() > 0);
    let metrics = crate::support::http::get(server.admin, "/metrics");
    assert_eq!(metrics.status, 200);
    server.signal(libc::SIGTERM);
    let status = server.exit_status();
    assert!(status.success(), "{status}: {}", server.log());
}

#[test]
fn the_profile_allows_all_that_the_server_calls() {
    for driver in drivers() {
        let server = Server::spawn(&mut serve(&["--driver", driver], filter("", KILL)));
        assert!(
            !server.log().contains("shares its table"),
            "{}",
            server.log()
        );
        assert_eq!(server.stats()["driver"], *driver);
        expect_service(&server);
    }
}

/// Docker answers EPERM, Podman ENOSYS. Both times the log names the real cause.
#[test]
fn without_io_uring_the_server_uses_epoll_and_says_why() {
    if drivers().len() < 2 {
        return skip("a profile without io_uring", "there is none here anyway");
    }
    for error in [libc::EPERM, libc::ENOSYS] {
        let server = Server::spawn(&mut serve(&[], filter("io_uring_", refuse(error))));
        assert_eq!(server.stats()["driver"], "epoll");
        assert!(
            server.log().contains("falling back to epoll"),
            "{}",
            server.log()
        );
        assert!(
            server.log().contains("seccomp profile forbids it"),
            "{}",
            server.log()
        );
        expect_service(&server);

        let mut stubborn = serve(&["--driver", "uring"], filter("io_uring_", refuse(error)));
        let (code, _, said) = run(&mut stubborn);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("seccomp profile forbids it"), "{said}");
    }
}

/// All calls are allowed but this one.
fn all_but(call: libc::c_long, error: i32) -> Vec<libc::sock_filter> {
    let step = |code: u32, skipped: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: skipped,
        k,
    };
    vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, refuse(error)),
        step(libc::BPF_RET | libc::BPF_K, 0, ALLOW),
    ]
}

/// A sandbox may allow one of io_uring's calls and refuse another, so a ring that was
/// set up says nothing before it has been used.
#[test]
fn a_ring_that_can_be_made_and_not_used_is_none() {
    if drivers().len() < 2 {
        return skip("a ring that cannot be entered", "there is none here anyway");
    }
    for call in [libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
        for error in [libc::EPERM, libc::ENOSYS] {
            let server = Server::spawn(&mut serve(&[], all_but(call, error)));
            assert_eq!(server.stats()["driver"], "epoll");
            let log = server.log();
            assert!(log.contains("seccomp profile forbids it"), "{log}");
            expect_service(&server);

            let mut stubborn = serve(&["--driver", "uring"], all_but(call, error));
            let (code, _, said) = run(&mut stubborn);
            assert_eq!(code, 1, "{said}");
            assert!(said.contains("seccomp profile forbids it"), "{said}");

            let mut doctor = corecast();
            doctor.args(["doctor", "--connections", "100", "--pid", "none", "--all"]);
            confine(&mut doctor, all_but(call, error));
            let (_, said, _) = run(&mut doctor);
            assert!(said.contains("the server will use epoll"), "{said}");
        }
    }
}

/// Docker's profile does not let a shard have a descriptor table of its own.
#[test]
fn where_tables_cannot_part_the_server_says_so_and_serves() {
    let server = Server::spawn(&mut serve(&[], filter("unshare", refuse(libc::EPERM))));
    assert!(
        server.log().contains("shares its table of descriptors"),
        "{}",
        server.log()
    );
    expect_service(&server);
}
