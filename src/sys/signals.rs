//! Signals: those a server waits for, and those it ignores on purpose.
//!
//! # Invariants worth naming
//!
//! - A signal that has a meaning is held back from every thread, so that one
//!   thread can wait for it, and none interrupts a system call of a shard.
//! - The default action of most others would end the process without a drain or
//!   a line in the log, so they are ignored. Those that report a fault of the
//!   program keep their default action, for the sake of the core dump.
//!
//! By libc, because rustix has no masks. `signal-hook` would not do: it catches signals
//! in handlers, which end a shard's wait in the kernel and are lost by the next program
//! of this process, whereas a mask is inherited: a signal to a new process waits until
//! that process can answer it.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;

use rustix::process::Pid;

/// A signal with a meaning for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Ctrl-C: stop.
    Interrupt,
    /// Stop.
    Terminate,
    /// Ctrl-\\, and `STOPSIGNAL` of some images: stop.
    Quit,
    /// The power fails, and how some containers are stopped: stop.
    PowerFailure,
    /// The soft limit on processor time (`RLIMIT_CPU`) is reached, once a second.
    ProcessorTime,
    /// The terminal was closed, and by custom: read the configuration again.
    HangUp,
    /// By custom: reopen the log.
    User1,
    /// Replace the server by a new process.
    User2,
}

impl Signal {
    const ALL: [Signal; 8] = [
        Signal::Interrupt,
        Signal::Terminate,
        Signal::Quit,
        Signal::PowerFailure,
        Signal::ProcessorTime,
        Signal::HangUp,
        Signal::User1,
        Signal::User2,
    ];

    fn named(self) -> rustix::process::Signal {
        use rustix::process::Signal as Named;
        match self {
            Signal::Interrupt => Named::INT,
            Signal::Terminate => Named::TERM,
            Signal::Quit => Named::QUIT,
            Signal::PowerFailure => Named::POWER,
            Signal::ProcessorTime => Named::XCPU,
            Signal::HangUp => Named::HUP,
            Signal::User1 => Named::USR1,
            Signal::User2 => Named::USR2,
        }
    }

    fn number(self) -> libc::c_int {
        self.named().as_raw()
    }

    /// Its name, such as `SIGTERM`.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::Quit => "SIGQUIT",
            Signal::PowerFailure => "SIGPWR",
            Signal::ProcessorTime => "SIGXCPU",
            Signal::HangUp => "SIGHUP",
            Signal::User1 => "SIGUSR1",
            Signal::User2 => "SIGUSR2",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The signals that a program waits for, held back from every thread so that
/// one thread can wait for them.
pub struct StopSignals(libc::sigset_t);

impl StopSignals {
    /// Holds SIGINT and SIGTERM back in this thread and in those it starts
    /// from now on.
    ///
    /// # Errors
    /// Never on Linux with these arguments.
    pub fn block() -> io::Result<Self> {
        Self::block_these(&[Signal::Interrupt, Signal::Terminate])
    }

    /// The same with every [`Signal`].
    ///
    /// # Errors
    /// Never on Linux with these arguments.
    pub fn block_all() -> io::Result<Self> {
        Self::block_these(&Signal::ALL)
    }

    /// Lets SIGINT, SIGTERM and SIGQUIT end this process as they end any other,
    /// until they are held back. A new process begins with all of them held back,
    /// as the old process has them, and is to end on these while it reads its
    /// configuration.
    pub fn let_through() {
        // Never fails with these arguments.
        let _ = change_mask(
            libc::SIG_UNBLOCK,
            &[Signal::Interrupt, Signal::Terminate, Signal::Quit],
        );
    }

    fn block_these(signals: &[Signal]) -> io::Result<Self> {
        change_mask(libc::SIG_BLOCK, signals).map(StopSignals)
    }

    /// Waits for the next one.
    pub fn wait(&self) -> Signal {
        loop {
            let mut number = 0;
            // SAFETY: both pointers are valid; the set was initialised when it was blocked.
            unsafe { libc::sigwait(&self.0, &mut number) };
            let signal = Signal::ALL.into_iter().find(|it| it.number() == number);
            if let Some(signal) = signal {
                return signal;
            }
        }
    }
}

/// Changes the signals that are held back from the calling thread. Returns those that
/// were changed as a set.
fn change_mask(how: libc::c_int, signals: &[Signal]) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, sigaddset takes any signal that has a
    // name, and the old mask is not asked for.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.number());
        }
        match libc::pthread_sigmask(how, set.as_ptr(), std::ptr::null_mut()) {
            0 => Ok(set.assume_init()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Signals that have no meaning for a server and whose default action would end
/// or stop it.
const STRAY: [libc::c_int; 9] = [
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGSTKFLT,
    libc::SIGXFSZ,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// Ignores the signals that have no meaning for a server and would end or stop
/// it, in this process and in those it starts. A handler that is there already,
/// such as a profiler's for SIGPROF, stays.
///
/// SIGTTOU and SIGTTIN are among them because a server in the background of a shell
/// must not stop when its log goes to a terminal with `tostop`, SIGXFSZ because a log
/// file that has reached `RLIMIT_FSIZE` costs lines and not the server. SIGCHLD gets
/// its default action, because the program that started this process may ignore it, and
/// then no status of a child could be waited for.
pub fn ignore_stray_signals() {
    let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
    for number in STRAY.into_iter().chain(real_time) {
        replace_action(number, Action::Default, Action::Ignore);
    }
    replace_action(libc::SIGCHLD, Action::Ignore, Action::Default);
}

/// An action for a signal that is no function.
#[derive(Debug, Clone, Copy)]
enum Action {
    Default = libc::SIG_DFL as isize,
    Ignore = libc::SIG_IGN as isize,
}

/// Sets a signal's action where it is `from`, and leaves any other as it is.
fn replace_action(number: libc::c_int, from: Action, to: Action) {
    if action(number) == Some(from as libc::sighandler_t) {
        // SAFETY: neither action is a function that could be called.
        unsafe { libc::signal(number, to as libc::sighandler_t) };
    }
}

/// The action set for a signal; `None` when there is no such signal.
fn action(number: libc::c_int) -> Option<libc::sighandler_t> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is set, and all zeros are a valid old one, which the call
    // writes over.
    unsafe {
        let asked = libc::sigaction(number, std::ptr::null(), action.as_mut_ptr());
        (asked == 0).then_some(action.assume_init().sa_sigaction)
    }
}

/// Sends a signal to a process.
///
/// # Errors
/// When there is no such process, or it is not ours.
pub fn send_signal(process: u32, signal: Signal) -> io::Result<()> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    let process = process.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(process, signal.named())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_waited_for_by_its_name() {
        // On a thread of its own, whose mask ends with it.
        std::thread::spawn(|| {
            let signals = StopSignals::block_all().unwrap();
            for signal in Signal::ALL {
                // SAFETY: the signal is blocked on this thread, which it is sent to.
                unsafe { libc::pthread_kill(libc::pthread_self(), signal.number()) };
                assert_eq!(signals.wait(), signal);
                assert!(signal.to_string().starts_with("SIG"));
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn stray_signals_are_ignored_and_handlers_stay() {
        extern "C" fn handler(_: libc::c_int) {}
        let handler = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGPROF, handler) };
        ignore_stray_signals();
        assert_eq!(action(libc::SIGPROF), Some(handler));
        assert_eq!(action(libc::SIGALRM), Some(libc::SIG_IGN));
        assert_eq!(action(libc::SIGRTMAX()), Some(libc::SIG_IGN));
        assert_eq!(action(libc::SIGTSTP), Some(libc::SIG_DFL));
        // SAFETY: raise takes no pointers, and the signal is ignored.
        assert_eq!(unsafe { libc::raise(libc::SIGVTALRM) }, 0);
    }
}
