//! Processes with limits, and servers in processes of their own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use corecast_kit::sys;

use super::server;

/// The role of a process, if it is a server.
const ROLE: &str = "CORECAST_LOAD_TEST_ROLE";

/// The niceness that gives a process most of a core that others want as well.
const PREFERRED: libc::c_int = -20;

/// Gives a process so many descriptors, for good.
pub fn limit_descriptors(command: &mut Command, count: u64) {
    // SAFETY: between fork and exec only setrlimit is called, which is allowed there.
    unsafe { command.pre_exec(move || sys::limit_open_files(count)) };
}

/// Lets a process go before others, if that is allowed: a measurement of the
/// bottleneck needs a process that can become it.
///
/// Niceness counts within a session; where sessions are scheduled as groups,
/// that of a session's group counts between them.
pub fn prefer(command: &mut Command) {
    let group = c"/proc/self/autogroup";
    let nice = PREFERRED.to_string();
    // SAFETY: between fork and exec only system calls are made that are allowed
    // there; their pointers are to strings that the closure owns.
    unsafe {
        command.pre_exec(move || {
            libc::setsid();
            libc::setpriority(libc::PRIO_PROCESS, 0, PREFERRED);
            let file = libc::open(group.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if file >= 0 {
                libc::write(file, nice.as_ptr().cast(), nice.len());
                libc::close(file);
            }
            Ok(())
        });
    }
}

/// Keeps a process on one core.
pub fn pin(command: &mut Command, core: usize) {
    // SAFETY: between fork and exec only sched_setaffinity is called, which is
    // allowed there.
    unsafe { command.pre_exec(move || sys::pin_to_cpus(&[core])) };
}

/// A core that this process may use.
pub fn first_core() -> usize {
    core_affinity::get_core_ids().map_or(0, |cores| cores[0].id)
}

/// Two cores that this process may use, if it has two.
pub fn two_cores() -> Option<[usize; 2]> {
    let cores = core_affinity::get_core_ids()?;
    Some([cores.first()?.id, cores.get(1)?.id])
}

/// A server in a process of its own. Dropping it kills it.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts this test program again as a server: it must have a test
    /// `server_process` that calls [`serve_if_asked`].
    pub fn start(role: &str, prepare: impl FnOnce(&mut Command)) -> Server {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "server_process", "--nocapture"])
            .env(ROLE, role);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(read > 0, "the server ended before it listened");
            if let Some((_, address)) = line.split_once(server::LISTENING) {
                break address.trim().parse().unwrap();
            }
        };
        Server {
            child,
            address,
            _stdout: stdout,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self) -> String {
        format!("ws://{}/echo", self.address)
    }

    /// Ends it at once. The ended process stays until it is dropped, as of a
    /// server whose supervisor is slow.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Becomes a server, if this process is to be one; else returns at once.
pub fn serve_if_asked() {
    if let Ok(role) = std::env::var(ROLE) {
        server::serve(&role);
    }
}
