//! Child processes: servers and suites, bounded in time, ended by their own ids.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::During;
use crate::{Error, Result};

/// How often a child that is waited for is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// Time a server has to listen. A suite loads its cases first.
const START: Duration = Duration::from_secs(60);
/// The lines at the end of a child's output that an error shows.
const LAST_WORDS: usize = 12;

/// A child whose output goes to a file. Dropping it ends it.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts it. `log` gets everything it writes.
    ///
    /// # Errors
    ///
    /// The file cannot be made, or the program not be started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let during = format!("writing {}", log.display());
        let output = File::create(log).during(&during)?;
        let errors = output.try_clone().during(during)?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        // SAFETY: the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(die_with_parent) };
        let child = command.spawn().during(format!("starting {name}"))?;
        Ok(Process {
            child,
            name,
            log: log.to_owned(),
        })
    }

    /// Waits for its end. `glance` is called again and again with the time that
    /// has passed.
    ///
    /// # Errors
    ///
    /// It does not end within `limit`; then it is made to.
    pub fn wait(mut self, limit: Duration, mut glance: impl FnMut(Duration)) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            let status = self.child.try_wait();
            if let Some(status) = status.during(format!("waiting for {}", self.name))? {
                return Ok(status);
            }
            if started.elapsed() > limit {
                return Err(self.complain(&format!("did not end within {limit:?}")));
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
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(self.complain(&format!("ended ({status})"))),
            _ => Ok(()),
        }
    }

    /// Waits until it has written where it listens: the address after `words`.
    ///
    /// # Errors
    ///
    /// It ends, or says nothing of the kind.
    pub fn address_after(&mut self, words: &str) -> Result<SocketAddr> {
        self.wait_until("say where it listens", |written| {
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
    pub fn accepts_at(&mut self, address: SocketAddr) -> Result<()> {
        self.wait_until("accept connections", |_| {
            std::net::TcpStream::connect(address).ok().map(drop)
        })
    }

    fn wait_until<T>(&mut self, what: &str, mut seen: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(value) = seen(&self.written()) {
                return Ok(value);
            }
            self.still_runs()?;
            if started.elapsed() > START {
                return Err(self.complain(&format!("does not {what} after {START:?}")));
            }
            thread::sleep(GLANCE);
        }
    }

    fn written(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn complain(&self, what: &str) -> Error {
        Error::Process(format!(
            "{} {what}; it wrote:\n{}",
            self.name,
            last_words(&self.log)
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a command to its end, which must be a good one, and returns its output.
///
/// # Errors
///
/// It cannot be started, fails, or takes longer than `limit`.
pub fn succeed(command: &mut Command, log: &Path, limit: Duration) -> Result<String> {
    let process = Process::start(command, log)?;
    let name = process.name.clone();
    let status = process.wait(limit, |_| {})?;
    if !status.success() {
        return Err(Error::Process(format!(
            "{name} failed ({status}); it wrote:\n{}",
            last_words(log)
        )));
    }
    fs::read_to_string(log).during(format!("reading {}", log.display()))
}

/// The end of a child's output, indented.
pub fn last_words(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let written = String::from_utf8_lossy(&bytes);
    let first = written.lines().count().saturating_sub(LAST_WORDS);
    let lines = written.lines().skip(first);
    lines.map(|line| format!("    {line}\n")).collect()
}

/// Has the kernel kill the calling process when the thread that started it ends.
fn die_with_parent() -> io::Result<()> {
    // SAFETY: this prctl takes a signal number and no pointers.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn who_does_not_end_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let process = Process::start(&mut shell("echo here; exec sleep 600"), &log).unwrap();
        let pid = process.child.id();
        let error = process
            .wait(Duration::from_millis(300), |_| {})
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("did not end within"), "{text}");
        assert!(text.contains("    here\n"), "{text}");
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn an_address_is_waited_for_and_taken_whole() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script =
            "printf 'listening on ws://127.0.0.1:80'; sleep 0.2; echo '81 x=1'; exec sleep 600";
        let mut process = Process::start(&mut shell(script), &log).unwrap();
        let address = process.address_after("listening on ws://").unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:8081");

        let mut process = Process::start(&mut shell("echo no; exit 3"), &log).unwrap();
        let error = process.address_after("listening on ws://").unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_failure_shows_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let limit = Duration::from_secs(20);
        let written = succeed(&mut shell("echo fine"), &log, limit).unwrap();
        assert_eq!(written, "fine\n");
        let error = succeed(&mut shell("echo bad >&2; exit 1"), &log, limit).unwrap_err();
        assert!(error.to_string().contains("    bad\n"), "{error}");
    }
}
