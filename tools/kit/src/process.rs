//! Child processes: bounded in time, on cores of their own, ended by their own ids.
//!
//! # Invariants worth naming
//!
//! - A child dies with the thread that started it, and is ended when it is dropped.
//! - Its output goes to a file, never to a pipe: no child waits for a reader.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::host::is_listening;
use crate::wait::poll;
use crate::{During, Error, Result, sys};

/// Time a server has to listen.
const START: Duration = Duration::from_secs(20);
/// Time for a program that says where it listens: a suite loads its cases first.
const LONG_START: Duration = Duration::from_secs(60);
/// Time a child has to end when asked, before it is made to.
const END: Duration = Duration::from_secs(2);
/// Time between the last of its connections and the end of its process.
const LAST_MOMENTS: Duration = Duration::from_millis(200);
/// Time between two looks at a child that is waited for.
const GLANCE: Duration = Duration::from_millis(20);
/// The end of a child's output that an error shows.
const LAST_BYTES: u64 = 2000;

/// The memory pages a child may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pages {
    /// The pages it asks for.
    #[default]
    Any,
    /// Small ones only, so that its resident memory grows as it is touched. In
    /// huge pages 18,000 sessions can hide in the slack of the last one.
    Small,
}

/// Where a child runs, and where its output goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    /// The cores it may use; none for those of this thread.
    pub cpus: &'a [usize],
    /// The memory pages it may use.
    pub pages: Pages,
    /// The file for everything it writes; without one it is kept in memory.
    pub log: Option<&'a Path>,
}

impl Place<'_> {
    /// Anywhere, with this file for everything the child writes.
    pub fn logged(path: &Path) -> Place<'_> {
        Place {
            log: Some(path),
            ..Place::default()
        }
    }
}

/// All children that run, so that a watchdog can end them when the thread that
/// waits for them does not.
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

/// A running child. Dropping it ends it.
pub struct Process {
    child: Arc<Mutex<Child>>,
    pid: u32,
    output: File,
    name: String,
}

impl Process {
    /// Starts a child.
    ///
    /// # Errors
    ///
    /// Its file for output cannot be made, or the program not be started: the
    /// program's fault, such as a file that is no program, unless this host has no
    /// room for another process.
    pub fn start(command: &mut Command, place: Place<'_>) -> Result<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = match place.log {
            None => sys::memory_file().during("making a file for output")?,
            Some(path) => OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
                .during(format!("writing {}", path.display()))?,
        };
        let clone = || output.try_clone().during("sharing a file for output");
        command
            .stdin(Stdio::null())
            .stdout(clone()?)
            .stderr(clone()?);
        let (cpus, pages) = (place.cpus.to_vec(), place.pages);
        // SAFETY: the closure only makes system calls and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                sys::die_with_parent()?;
                if pages == Pages::Small {
                    sys::disable_huge_pages()?;
                }
                match &cpus[..] {
                    [] => Ok(()),
                    cpus => sys::pin_to_cpus(cpus),
                }
            });
        }
        let child = command.spawn().map_err(|source| no_start(&name, source))?;
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        let mut running = lock(&RUNNING);
        running.retain(|child| child.strong_count() > 0);
        running.push(Arc::downgrade(&child));
        drop(running);
        Ok(Process {
            child,
            pid,
            output,
            name,
        })
    }

    /// Starts a server and waits until it listens on `address`.
    ///
    /// # Errors
    ///
    /// As [`Process::start`]; or it ends, or does not listen in time.
    pub fn serve(command: &mut Command, place: Place<'_>, address: SocketAddr) -> Result<Process> {
        let process = Process::start(command, place)?;
        process.wait_until(START, ["listen on its port", "listened"], || {
            is_listening(address.port()).then_some(())
        })?;
        Ok(process)
    }

    /// Runs a program to its end, whatever its exit status, and returns the end of
    /// what it wrote. After `limit` it is made to end.
    ///
    /// # Errors
    ///
    /// As [`Process::start`]; or it does not end in time.
    pub fn run(command: &mut Command, place: Place<'_>, limit: Duration) -> Result<String> {
        let process = Process::start(command, place)?;
        process.wait(limit, |_| {})?;
        Ok(process.last_words())
    }

    /// Runs a program to its end, which must be a good one, and returns its output.
    ///
    /// # Errors
    ///
    /// As [`Process::run`]; or it fails.
    pub fn succeed(command: &mut Command, place: Place<'_>, limit: Duration) -> Result<String> {
        let process = Process::start(command, place)?;
        let status = process.wait(limit, |_| {})?;
        match status.success() {
            true => Ok(process.written(0)),
            false => Err(process.complaint(&format!("failed ({status})"))),
        }
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
    fn ended_within(&self, limit: Duration) -> Option<ExitStatus> {
        poll(limit, || self.ended().ok().flatten())
    }

    /// Waits for its end. `glance` is called again and again with the time that
    /// has passed.
    ///
    /// # Errors
    ///
    /// It does not end within `limit`.
    pub fn wait(&self, limit: Duration, mut glance: impl FnMut(Duration)) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            let ended = self.ended();
            if let Some(status) = ended.during(format!("waiting for {}", self.name))? {
                return Ok(status);
            }
            if started.elapsed() > limit {
                let text = self.complaint(&format!("did not end within {limit:?}"));
                return Err(Error::Stalled(text.to_string()));
            }
            glance(started.elapsed());
            thread::sleep(GLANCE);
        }
    }

    /// That it has not ended.
    ///
    /// # Errors
    ///
    /// It has, and should not.
    pub fn still_runs(&self) -> Result<()> {
        match self.ended() {
            Ok(Some(status)) => Err(self.complaint(&format!("ended ({status})"))),
            _ => Ok(()),
        }
    }

    /// Waits until it has written where it listens: the address after `words`.
    ///
    /// # Errors
    ///
    /// It ends, or says nothing of the kind.
    pub fn address_after(&self, words: &str) -> Result<SocketAddr> {
        let verbs = ["say where it listens", "said where it listens"];
        self.wait_until(LONG_START, verbs, || {
            let written = self.written(0);
            let rest = written.split(words).nth(1)?;
            // Cut in the middle of a line, the address would be a wrong one.
            let line = &rest[..rest.find('\n')?];
            line.split_whitespace().next()?.parse().ok()
        })
    }

    /// Waits until a process accepts connections at `address`.
    ///
    /// # Errors
    ///
    /// The process ends, or the address accepts no connection.
    pub fn accepts_at(&self, address: SocketAddr) -> Result<()> {
        let verbs = ["accept connections", "accepted connections"];
        self.wait_until(LONG_START, verbs, || {
            TcpStream::connect(address).ok().map(drop)
        })
    }

    /// Waits for a sign that it has done something: a verb in the present and the past.
    fn wait_until<T>(
        &self,
        limit: Duration,
        [does, did]: [&str; 2],
        mut seen: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let outcome = poll(limit, || {
            if let Some(value) = seen() {
                return Some(Ok(value));
            }
            let status = self.ended().ok()??;
            Some(Err(
                self.complaint(&format!("ended before it {did} ({status})"))
            ))
        });
        outcome.unwrap_or_else(|| Err(self.complaint(&format!("does not {does} after {limit:?}"))))
    }

    /// Adds to a failed measurement how the process fared: whether it ended,
    /// and what it wrote last.
    pub fn explain(&self, error: Error) -> Error {
        // Its connections end before the process itself does.
        match self.ended_within(LAST_MOMENTS) {
            Some(status) => Error::Process(format!(
                "{error}\n  {} has ended ({status}) and wrote:\n{}",
                self.name,
                self.last_words()
            )),
            None => match self.last_words() {
                words if words.is_empty() => error,
                words => Error::Explained(error.into(), format!("{} wrote:\n{words}", self.name)),
            },
        }
    }

    /// That something is wrong with it, with the end of what it wrote.
    pub fn complaint(&self, what: &str) -> Error {
        let words = self.last_words();
        Error::Process(format!("{} {what}; it wrote:\n{words}", self.name))
    }

    /// The end of what it wrote, indented.
    pub fn last_words(&self) -> String {
        let length = self.output.metadata().map_or(0, |metadata| metadata.len());
        self.written(length.saturating_sub(LAST_BYTES))
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect()
    }

    /// What it wrote from byte `start` on. Its own place in the file stays.
    fn written(&self, start: u64) -> String {
        let length = self.output.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = vec![0; length.saturating_sub(start) as usize];
        let count = self.output.read_at(&mut bytes, start).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.ended() {
            return;
        }
        // The child was not waited for, so its id cannot have passed to another.
        if let Some(pid) = Pid::from_raw(self.pid as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if self.ended_within(END).is_some() {
            return;
        }
        let _ = lock(&self.child).kill();
        // A process that hangs in the kernel is left running: the run goes on.
        let _ = self.ended_within(END);
    }
}

/// Whose fault it is that a program does not start.
fn no_start(name: &str, source: io::Error) -> Error {
    let during = format!("starting {name}");
    match source.raw_os_error() {
        Some(libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM) => {
            Error::System { during, source }
        }
        _ => Error::Process(format!("{during}: {source}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_process_that_does_not_end_is_ended() {
        let mut script = shell("echo here; exec sleep 600");
        let process = Process::start(&mut script, Place::default()).unwrap();
        let pid = process.pid();
        let error = process.wait(Duration::from_millis(300), |_| {});
        let text = error.unwrap_err().to_string();
        assert!(text.contains("did not end within"), "{text}");
        assert!(text.contains("    here\n"), "{text}");
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn an_address_is_waited_for_and_taken_whole() {
        let start = |script| Process::start(&mut shell(script), Place::default()).unwrap();
        let process = start(
            "printf 'listening on ws://127.0.0.1:80'; sleep 0.2; echo '81 x=1'; exec sleep 600",
        );
        let address = process.address_after("listening on ws://").unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:8081");

        let error = start("echo no; exit 3").address_after("listening on ws://");
        let error = error.unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_failure_shows_what_was_written_and_the_log_has_it_all() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let place = Place::logged(&log);
        let written = Process::succeed(&mut shell("echo fine"), place, LIMIT).unwrap();
        assert_eq!(written, "fine\n");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "fine\n");
        let bad = Process::succeed(&mut shell("echo bad >&2; exit 1"), place, LIMIT);
        let error = bad.unwrap_err().to_string();
        assert!(error.contains("    bad\n"), "{error}");
    }
}
