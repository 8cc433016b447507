//! The manager's socket (`NOTIFY_SOCKET`), to which nothing is sent that could
//! make this process wait.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::sys;

/// Time between two attempts to tell a manager that does not read.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A service manager that listens on a socket.
#[derive(Debug)]
pub(super) struct Manager {
    address: SocketAddr,
    state: Mutex<State>,
    /// Notified when there is something untold.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The latest change of state, if the manager has not taken it yet. One is
    /// enough, because each says all that the manager must know.
    untold: Option<String>,
    /// Whether the log says that the manager cannot be told.
    complained: bool,
}

impl Manager {
    /// The one that the environment names, if it names one.
    pub(super) fn from_environment() -> Option<Self> {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        match address(&name) {
            Ok(address) => Some(Manager::at(address)),
            Err(error) => {
                tracing::warn!(
                    "no service manager is told anything: NOTIFY_SOCKET={name:?} is not the path \
                     of a socket or @ and the name of an abstract one: {error}"
                );
                None
            }
        }
    }

    fn at(address: SocketAddr) -> Self {
        Manager {
            address,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Tells of a change of state. Where the manager does not take it, it is kept
    /// in the place of an earlier one, and [`Manager::wait`] tries again.
    pub(super) fn tell(&self, states: &[NotifyState<'_>]) {
        let mut state = self.lock();
        state.untold = Some(text(states));
        self.flush(&mut state);
        // For a thread that reports: it may have to try sooner than planned.
        self.changed.notify_all();
    }

    /// Tells a state that is of no use later: a watchdog ping, a status. It is dropped
    /// where the manager does not take it.
    pub(super) fn mention(&self, states: &[NotifyState<'_>]) {
        let mut state = self.lock();
        self.flush(&mut state);
        if state.untold.is_none() {
            self.send(&mut state, &text(states));
        }
    }

    /// Whether the manager has yet to take a change of state.
    pub(super) fn has_untold(&self) -> bool {
        self.lock().untold.is_some()
    }

    /// Waits for this time, or until there is something to tell, and tries to
    /// tell it.
    pub(super) fn wait(&self, limit: Duration) {
        let state = self.lock();
        let limit = if state.untold.is_some() {
            limit.min(RETRY_INTERVAL)
        } else {
            limit
        };
        let woken = self.changed.wait_timeout(state, limit);
        let (mut state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        self.flush(&mut state);
    }

    fn flush(&self, state: &mut State) {
        if let Some(text) = state.untold.take()
            && !self.send(state, &text)
        {
            state.untold = Some(text);
        }
    }

    /// Sends a message, and says in the log when that has begun to fail. Returns
    /// whether the manager has it.
    fn send(&self, state: &mut State, text: &str) -> bool {
        match send(&self.address, text) {
            Ok(()) => {
                state.complained = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut state.complained, true) {
                    let why = if sys::is_temporary(&error) {
                        "it does not read NOTIFY_SOCKET".to_owned()
                    } else {
                        error.to_string()
                    };
                    tracing::warn!(
                        "the service manager cannot be told: {why}; the server goes on, and tries \
                         again"
                    );
                }
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(states: &[NotifyState<'_>]) -> String {
    let mut text = String::new();
    for state in states {
        // A string takes everything.
        let _ = writeln!(text, "{state}");
    }
    text
}

/// The address under a name as it stands in `NOTIFY_SOCKET`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'v', b's', b'o', b'c', b'k', ..] if name.as_bytes().contains(&b':') => {
            let problem = "the sockets of virtual machines are not supported";
            Err(io::Error::new(io::ErrorKind::Unsupported, problem))
        }
        _ => SocketAddr::from_pathname(name),
    }
}

/// Sends one message; `WouldBlock` when the socket's queue is full.
fn send(address: &SocketAddr, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(address)?;
    socket.send(text.as_bytes()).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut heard = Vec::new();
        let mut bytes = [0; 1024];
        while let Ok(len) = socket.recv(&mut bytes) {
            heard.push(String::from_utf8(bytes[..len].to_vec()).unwrap());
        }
        heard
    }

    /// A manager's socket under an abstract name, and the sender to it.
    fn pair(name: &str) -> (UnixDatagram, Manager) {
        let name = format!("@corecast-{name}-{}", std::process::id());
        let address = address(name.as_ref()).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        (socket, Manager::at(address))
    }

    #[test]
    fn a_manager_that_does_not_read_gets_the_latest_state_later() {
        let (socket, manager) = pair("later");
        // Until its queue is full.
        while send(&manager.address, "before").is_ok() {}
        let began = Instant::now();
        manager.tell(&[NotifyState::Ready]);
        manager.mention(&[NotifyState::Watchdog]);
        manager.tell(&[NotifyState::Stopping]);
        assert!(began.elapsed() < Duration::from_secs(1));
        assert!(manager.has_untold());

        assert!(heard(&socket).iter().all(|text| text == "before"));
        manager.wait(Duration::from_millis(1));
        assert!(!manager.has_untold());
        assert_eq!(heard(&socket), ["STOPPING=1\n"]);
        manager.mention(&[NotifyState::Watchdog]);
        assert_eq!(heard(&socket), ["WATCHDOG=1\n"]);
    }

    #[test]
    fn a_wait_ends_when_there_is_something_to_tell() {
        let (socket, manager) = pair("wait");
        while send(&manager.address, "before").is_ok() {}
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| manager.wait(Duration::from_secs(600)));
            while !waits.is_finished() {
                manager.tell(&[NotifyState::Ready]);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        assert!(manager.has_untold());
        heard(&socket);
        manager.wait(Duration::from_millis(1));
        assert_eq!(heard(&socket), ["READY=1\n"]);
    }

    #[test]
    fn names_are_paths_or_abstract() {
        assert!(
            address("/run/notify".as_ref())
                .unwrap()
                .as_pathname()
                .is_some()
        );
        let abstract_one = address("@notify".as_ref()).unwrap();
        assert_eq!(abstract_one.as_abstract_name(), Some(b"notify".as_slice()));
        let long = "x".repeat(300);
        for wrong in ["vsock:2:1234", "vsock-stream:2:1234", &long] {
            assert!(address(wrong.as_ref()).is_err(), "{wrong}");
        }
    }
}
