//! Child processes: contestants and the load generator, started on their cores,
//! ended by their own ids.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::During;
use crate::{Error, Result, host, sys};

/// Time a contestant has to listen.
const START: Duration = Duration::from_secs(20);
/// Time it has to end when asked, before it is made to.
const END: Duration = Duration::from_secs(2);
/// Time between the last of its connections and the end of its process.
const LAST_MOMENTS: Duration = Duration::from_millis(200);

/// The memory pages a contestant may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// The pages it asks for.
    Any,
    /// Small ones only, so that its resident memory grows as it is touched. In
    /// huge pages 18,000 sessions can hide in the slack of the last one.
    Small,
}

/// All children that run, so that the watchdog can end them when the thread
/// that waits for them does not.
static RUNNING: Mutex<Vec<Weak<Mutex<Child>>>> = Mutex::new(Vec::new());

/// Kills all children. The thread that owns them notices that they no longer
/// answer.
pub fn kill_all() {
    for child in lock(&RUNNING).drain(..).filter_map(|child| child.upgrade()) {
        // One that was waited for already is passed over.
        let _ = lock(&child).kill();
    }
}

/// A panic elsewhere does not matter: between any two statements the guarded
/// values are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running contestant. Dropping it ends it.
pub struct Contender {
    child: Arc<Mutex<Child>>,
    pid: u32,
    output: File,
    name: String,
}

impl Contender {
    /// Starts `program` pinned to `cpus` and waits until it listens on `address`.
    pub fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        pages: Pages,
        cpus: &[usize],
        address: SocketAddrV4,
    ) -> Result<Contender> {
        let mut contender = Contender::spawn(program, arguments, pages, cpus).map_err(no_start)?;
        contender.wait_until_listening(address.port())?;
        Ok(contender)
    }

    fn spawn(
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        pages: Pages,
        cpus: &[usize],
    ) -> Result<Contender> {
        let name = program.display().to_string();
        let output = sys::memory_file().during("making a file for output")?;
        let clone = || output.try_clone().during("sharing a file for output");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(clone()?)
            .stderr(clone()?);
        let cpus = cpus.to_vec();
        // SAFETY: the closure only makes system calls and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                sys::die_with_parent()?;
                if pages == Pages::Small {
                    sys::disable_huge_pages()?;
                }
                sys::pin_to_cpus(&cpus)
            });
        }
        let child = command.spawn().during(format!("starting {name}"))?;
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        let mut running = lock(&RUNNING);
        running.retain(|child| child.strong_count() > 0);
        running.push(Arc::downgrade(&child));
        drop(running);
        Ok(Contender {
            child,
            pid,
            output,
            name,
        })
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, unless it runs.
    fn ended(&self) -> io::Result<Option<ExitStatus>> {
        lock(&self.child).try_wait()
    }

    /// The same after at most `limit`.
    fn ended_within(&self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        loop {
            match self.ended()? {
                None if started.elapsed() < limit => thread::sleep(Duration::from_millis(5)),
                outcome => return Ok(outcome),
            }
        }
    }

    /// Adds to a failed scenario how the contestant fared: whether it ended,
    /// and what it wrote last.
    pub fn explain(&mut self, error: Error) -> Error {
        // Its connections end before the process itself does.
        match self.ended_within(LAST_MOMENTS) {
            Ok(Some(status)) => Error::Process(format!(
                "{error}\n  {} has ended ({status}) and wrote:\n{}",
                self.name,
                self.last_words()
            )),
            _ => match self.last_words() {
                words if words.is_empty() => error,
                words => Error::Explained(error.into(), format!("{} wrote:\n{words}", self.name)),
            },
        }
    }

    fn wait_until_listening(&mut self, port: u16) -> Result<()> {
        let started = Instant::now();
        while !host::is_listening(port) {
            if let Ok(Some(status)) = self.ended() {
                return Err(Error::Process(format!(
                    "{} ended before it listened ({status}) and wrote:\n{}",
                    self.name,
                    self.last_words()
                )));
            }
            if started.elapsed() > START {
                return Err(Error::Process(format!(
                    "{} does not listen on port {port} after {START:?}; it wrote:\n{}",
                    self.name,
                    self.last_words()
                )));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The end of what it wrote.
    fn last_words(&self) -> String {
        const LAST_BYTES: u64 = 2000;
        let mut bytes = Vec::new();
        let length = self.output.metadata().map_or(0, |metadata| metadata.len());
        let start = SeekFrom::Start(length.saturating_sub(LAST_BYTES));
        let mut output = &self.output;
        if output.seek(start).is_ok() {
            let _ = output.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes)
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.ended() {
            return;
        }
        sys::terminate(self.pid);
        if let Ok(Some(_)) = self.ended_within(END) {
            return;
        }
        let _ = lock(&self.child).kill();
        // A process that hangs in the kernel is left running: the run goes on.
        let _ = self.ended_within(END);
    }
}

/// Why a contestant does not start: its own fault, such as a file that is no
/// program, unless this host has no room for another process.
fn no_start(error: Error) -> Error {
    match error {
        Error::System { during, source } => match source.raw_os_error() {
            Some(libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM) => {
                Error::System { during, source }
            }
            _ => Error::Process(format!("{during}: {source}")),
        },
        other => other,
    }
}

/// Runs `program` pinned to `cpus` to its end, whatever its exit status, and
/// returns the end of what it wrote. After `limit` it is made to end.
pub fn run(
    program: &Path,
    arguments: impl IntoIterator<Item = OsString>,
    cpus: &[usize],
    limit: Duration,
) -> Result<String> {
    let contender = Contender::spawn(program, arguments, Pages::Any, cpus)?;
    let ended = contender.ended_within(limit);
    if ended
        .during(format!("waiting for {}", contender.name))?
        .is_some()
    {
        return Ok(contender.last_words());
    }
    Err(Error::Stalled(format!(
        "{} did not end within {limit:?}; it wrote:\n{}",
        contender.name,
        contender.last_words()
    )))
}

/// Whether a listener on 127.0.0.1 can be reached from there.
///
/// # Errors
/// The operating system's, if not: there is no such address, or the loopback
/// device is down.
pub fn try_loopback() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    TcpStream::connect(listener.local_addr()?).map(drop)
}

/// A loopback address with a port on which no process listens now.
///
/// # Errors
/// If this network has no 127.0.0.1, or no free port.
pub fn free_address() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .during("looking for a free port on 127.0.0.1")?;
    let port = listener
        .local_addr()
        .during("looking for a free port")?
        .port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}
