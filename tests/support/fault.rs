//! Faults of the host, as far as they can be made for one process alone: limits,
//! a thread that stands still, and what the process costs meanwhile.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use super::client::Client;
use super::{Server, wait_until};

/// Gives a command a limit of its own, soft and hard.
pub fn limit(command: &mut Command, resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: between fork and exec only setrlimit is called, which is allowed there.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &limit) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// Leaves a command no descriptors but the standard streams, whatever the
/// program that runs the tests has inherited itself.
pub fn only_standard_streams(command: &mut Command) {
    // SAFETY: between fork and exec only close_range is called, which is allowed there.
    unsafe {
        command.pre_exec(|| {
            let flags = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
            match libc::close_range(3, libc::c_uint::MAX, flags) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
}

/// Gives this thread, and what it starts, a network of its own.
pub fn own_network() -> io::Result<()> {
    // SAFETY: unshare takes no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()?;
    if up.success() {
        Ok(())
    } else {
        Err(io::Error::other("ip: no loopback"))
    }
}

/// A port that is ours although no process listens on it: a server of the same user may
/// share it, and no other process is given it meanwhile.
pub struct Claim {
    _socket: socket2::Socket,
    pub address: SocketAddr,
}

impl Claim {
    pub fn new() -> Claim {
        let socket = corecast::sys::bind_shared("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Claim {
            _socket: socket,
            address,
        }
    }
}

/// The threads of a process, by number and name.
pub fn threads(pid: u32) -> Vec<(libc::pid_t, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    tasks
        .flatten()
        .filter_map(|task| {
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            let number = task.file_name().to_str()?.parse().ok()?;
            Some((number, name.trim().to_owned()))
        })
        .collect()
}

/// The one thread of this name. A thread gives itself its name when it first
/// runs, which may be later than others speak of it.
#[track_caller]
pub fn thread(pid: u32, name: &str) -> libc::pid_t {
    let mut found = None;
    wait_until(&format!("there is a thread {name}"), || {
        found = threads(pid).into_iter().find(|(_, each)| each == name);
        found.is_some()
    });
    found.unwrap().0
}

/// Processor time of a process so far.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = |field: usize| -> u64 {
        let field = fields.split_ascii_whitespace().nth(field).unwrap();
        field.parse().unwrap()
    };
    // User and system time, in hundredths of a second.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Descriptors in the table of a process and in those of its shards.
pub fn descriptors(pid: u32) -> usize {
    let count = |path: String| fs::read_dir(path).map_or(0, Iterator::count);
    let shards: usize = threads(pid)
        .iter()
        .filter(|(_, name)| name.starts_with("shard-"))
        .map(|(thread, _)| count(format!("/proc/{pid}/task/{thread}/fd")))
        .sum();
    count(format!("/proc/{pid}/fd")) + shards
}

/// One thread of a process that stands still while this lives, as if its core
/// had been taken away. Should the test die, the kernel lets the thread go.
pub struct StoppedThread {
    thread: libc::pid_t,
    /// Only the thread that stopped it may let it go.
    _not_send: PhantomData<*const ()>,
}

impl StoppedThread {
    /// Stops a thread and waits until it stands still.
    ///
    /// # Errors
    /// Where the host forbids to trace even one's own child.
    pub fn stop(thread: libc::pid_t) -> io::Result<StoppedThread> {
        trace(libc::PTRACE_SEIZE, thread)?;
        trace(libc::PTRACE_INTERRUPT, thread)?;
        let mut status = 0;
        // SAFETY: `status` is valid to write to; the thread is traced by this one.
        let waited = unsafe { libc::waitpid(thread, &mut status, libc::__WALL) };
        assert_eq!(waited, thread, "{}", io::Error::last_os_error());
        assert!(libc::WIFSTOPPED(status), "it ended: {status:#x}");
        Ok(StoppedThread {
            thread,
            _not_send: PhantomData,
        })
    }

    /// Takes note of the thread's end, without which its process cannot end.
    pub fn hear_of_its_end(&self) {
        let nothing = std::ptr::null_mut();
        // SAFETY: nothing is written through a null pointer.
        unsafe { libc::waitpid(self.thread, nothing, libc::__WALL | libc::WNOHANG) };
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        // A thread that has ended meanwhile does not need to be let go.
        let _ = trace(libc::PTRACE_DETACH, self.thread);
    }
}

fn trace(request: libc::c_uint, thread: libc::pid_t) -> io::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests read and write no memory of ours.
    match unsafe { libc::ptrace(request, thread, nothing, nothing) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits until every shard has taken in what the others published. A session that joins
/// before that may still get a publication that was made before.
pub fn wait_until_settled(server: &Server) {
    wait_until("all publications have arrived", || {
        let others = server.per_shard("publications").len() as u64 - 1;
        let on_their_way = server.total("publications") * others;
        server.total("ring_received") == on_their_way && server.total("pending_publications") == 0
    });
}

/// The resources that a server holds without clients, to be compared with later.
#[derive(Debug)]
pub struct Before {
    resident_bytes: u64,
    descriptors: usize,
}

impl Before {
    /// Looks at a server without sessions. It has served a client once, so that parts
    /// made only then are there already.
    pub fn look(server: &Server) -> Before {
        for path in ["/echo", "/broadcast"] {
            let mut client = Client::connect(server.address, path);
            client.expect_echo("before the fault");
            client.close();
        }
        server.wait_for("sessions", 0);
        wait_until_settled(server);
        Before {
            resident_bytes: server.resident_bytes(),
            descriptors: descriptors(server.pid()),
        }
    }

    /// A good client is served, and nothing of the fault is left: no session, no
    /// descriptor, and no more memory than `slack_bytes`.
    #[track_caller]
    pub fn expect_recovered(&self, server: &Server, slack_bytes: u64) {
        for path in ["/echo", "/broadcast"] {
            let mut client = Client::connect(server.address, path);
            client.expect_echo("after the fault");
            client.close();
        }
        server.wait_for("sessions", 0);
        server.wait_for("handshakes", 0);
        let mut left = 0;
        wait_until("all descriptors are given back", || {
            left = descriptors(server.pid());
            // The control plane may still hold the connection it was asked on.
            left <= self.descriptors + 1
        });
        let now = server.resident_bytes();
        println!("resident: {} before, {now} after", self.resident_bytes);
        assert!(
            now <= self.resident_bytes + slack_bytes,
            "grown from {} to {now} bytes",
            self.resident_bytes
        );
    }
}
