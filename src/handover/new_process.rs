//! The old process's side: starting a process beside this one.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use super::program::Program;
use super::sockets::HandOverSockets;
use super::{GO, READY, VARIABLE};
use crate::config::show_time;
use crate::sys;

/// Why a new process did not take over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The program could not be started.
    #[error("the program {} cannot be started: {error}; put an executable file there", program.display())]
    Start {
        /// The file.
        program: PathBuf,
        /// The kernel's error.
        #[source]
        error: io::Error,
    },
    /// It ended before it was ready.
    #[error("the new process ended before it was ready{}", status_text(.0))]
    Ended(Option<ExitStatus>),
    /// It was not ready in time.
    #[error("the new process was not ready within {}", show_time(*.0))]
    TimedOut(Duration),
    /// It was ready, and gone when it was told to serve.
    #[error("the new process was gone when it should serve: {0}")]
    Lost(#[source] io::Error),
}

/// An exit status in brackets, where it is known.
fn status_text(status: &Option<ExitStatus>) -> String {
    status.map_or_else(String::new, |status| format!(" ({status})"))
}

/// A process that is to take over. Dropped before it does, it is ended.
pub(super) struct NewProcess {
    /// Taken out when it has taken over.
    child: Option<Child>,
    link: UnixStream,
}

impl NewProcess {
    /// Starts this process's program again, with the same arguments and
    /// environment.
    pub(super) fn start(
        program: &Program,
        sockets: &HandOverSockets,
    ) -> Result<Self, HandOverError> {
        Self::spawn(program.command(), sockets).map_err(|error| HandOverError::Start {
            program: program.path().to_owned(),
            error,
        })
    }

    fn spawn(mut command: Command, sockets: &HandOverSockets) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let link = [("link", theirs.as_fd())];
        let control = sockets.control.iter().flat_map(|control| {
            let (admin, api) = (control.admin.as_ref(), control.api.as_ref());
            let admin = admin.map(|listener| ("admin", listener.as_fd()));
            let api = api.map(|listener| ("api", listener.as_fd()));
            admin.into_iter().chain(api)
        });
        let listeners = sockets
            .listeners
            .iter()
            .map(|listener| ("listen", listener.as_fd()));
        let left: Vec<_> = link.into_iter().chain(control).chain(listeners).collect();
        let names: Vec<_> = left
            .iter()
            .map(|(name, fd)| format!("{name}={}", fd.as_raw_fd()))
            .collect();
        command
            .env(VARIABLE, names.join(" "))
            // It names this process.
            .env_remove("WATCHDOG_PID");
        // Not in the child between fork and exec: without anything to do there
        // the memory of a process with a million sessions need not be forked.
        let _open = LeftOpen::new(left.iter().map(|(_, fd)| *fd))?;
        Ok(NewProcess {
            child: Some(command.spawn()?),
            link: ours,
        })
    }

    /// Our end of the link; when it is shut down, waiting ends.
    pub(super) fn link(&self) -> io::Result<UnixStream> {
        self.link.try_clone()
    }

    /// Waits until it could serve.
    pub(super) fn wait_until_ready(&mut self, limit: Duration) -> Result<(), HandOverError> {
        let mut said = [0];
        let received = self
            .link
            .set_read_timeout(Some(limit))
            .and_then(|()| self.link.read(&mut said));
        match received {
            Ok(1) if said == [READY] => Ok(()),
            Err(error) if sys::is_temporary(&error) => Err(HandOverError::TimedOut(limit)),
            _ => Err(HandOverError::Ended(self.end())),
        }
    }

    /// Makes it the server, and returns its number and the link to it.
    pub(super) fn go(mut self) -> Result<(u32, io::Result<UnixStream>), HandOverError> {
        self.link.write_all(&[GO]).map_err(HandOverError::Lost)?;
        // It outlives this process, which does not wait for it.
        let number = self.child.take().map_or(0, |child| child.id());
        Ok((number, self.link.try_clone()))
    }

    /// Ends it if it has not ended by itself. It has not served any client.
    fn end(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        // A process that has closed the link is about to end, and its own exit status
        // says more than that of a kill.
        for _ in 0..100 {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        child.wait().ok()
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Descriptors that programs started meanwhile get too.
struct LeftOpen<'f>(Vec<BorrowedFd<'f>>);

impl<'f> LeftOpen<'f> {
    fn new(fds: impl Iterator<Item = BorrowedFd<'f>>) -> io::Result<Self> {
        let mut left = LeftOpen(Vec::new());
        for fd in fds {
            sys::leave_to_child(&fd, true)?;
            left.0.push(fd);
        }
        Ok(left)
    }
}

impl Drop for LeftOpen<'_> {
    fn drop(&mut self) {
        for fd in &self.0 {
            // Never fails for what is open.
            let _ = sys::leave_to_child(fd, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> HandOverSockets {
        HandOverSockets {
            listeners: Vec::new(),
            control: None,
        }
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn who_is_not_ready_in_time_is_ended() {
        let mut new_process = NewProcess::spawn(shell("exec sleep 600"), &nothing()).unwrap();
        let id = new_process.child.as_ref().unwrap().id();
        let limit = Duration::from_millis(300);
        let error = new_process.wait_until_ready(limit).unwrap_err();
        assert!(matches!(error, HandOverError::TimedOut(_)), "{error}");
        drop(new_process);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn the_status_of_one_that_fails_is_told() {
        let mut new_process = NewProcess::spawn(shell("exit 7"), &nothing()).unwrap();
        let error = new_process
            .wait_until_ready(Duration::from_secs(20))
            .unwrap_err();
        assert!(error.to_string().contains("exit status: 7"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let error = NewProcess::spawn(Command::new("/nonexistent"), &nothing());
        assert!(error.is_err());
    }
}
