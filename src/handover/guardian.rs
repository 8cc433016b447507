//! The program that has started this server, if it would take the end of this process
//! for the end of the server and then end, or start, processes that it should not.

use std::env;
use std::fmt;
use std::fs;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process;

/// Inits that end with the first child they have started. The kernel then ends
/// every process of their PID namespace.
const SHORT_LIVED_INITS: [&str; 7] = [
    "tini",
    "tini-static",
    "docker-init",
    "dumb-init",
    "catatonit",
    "podman-init",
    "my_init",
];

/// Supervisors that know the process they have started and no other.
const SUPERVISORS: [&str; 4] = ["supervisord", "runsv", "s6-supervise", "supervise"];

/// Shells. One that runs a script or a command ends with the last of it.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "busybox", "ksh"];

/// The directory in which the kernel lists the processes.
const PROC: &str = "/proc";

/// The name of a process's program, if it can be read.
fn name_of(proc: &Path, process: u32) -> Option<String> {
    fs::read_to_string(proc.join(format!("{process}/comm"))).ok()
}

/// Whether a process is a shell that was given a script or a command.
fn is_script(proc: &Path, process: u32) -> bool {
    let is_shell = name_of(proc, process).is_some_and(|name| SHELLS.contains(&name.trim()));
    let words = fs::read_to_string(proc.join(format!("{process}/cmdline"))).unwrap_or_default();
    // Options alone are those of a shell that a person types in.
    let mut words = words.split_terminator('\0').skip(1);
    is_shell && words.any(|word| word == "-c" || !word.starts_with('-'))
}

/// The parent of a process.
fn parent_of(proc: &Path, process: u32) -> Option<u32> {
    let status = fs::read_to_string(proc.join(format!("{process}/status"))).ok()?;
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok()
}

/// Why a new process could not outlive this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guardian {
    /// This is process 1 of a PID namespace.
    Kernel,
    /// An init that ends with its first child.
    Init(String),
    /// A supervisor that would start the server once more.
    Supervisor(String),
    /// systemd, in a unit that is not told which its process is.
    Systemd,
}

impl Guardian {
    /// The one of this process, if it has one. To be asked while the process
    /// starts: later its parent may be another.
    pub(super) fn of_this_process() -> Option<Self> {
        let is_service = env::var_os("NOTIFY_SOCKET").is_some_and(|name| !name.is_empty());
        let unit = env::var("SYSTEMD_EXEC_PID").ok();
        let unit = unit.and_then(|number| number.parse().ok());
        let unit = unit.filter(|_| !is_service);
        let guardian = Self::of(Path::new(PROC), process::id(), parent_id(), unit);
        // Its program may run as that of an interpreter.
        guardian.or_else(|| {
            let is_child_of_python = name_of(Path::new(PROC), parent_id())
                .is_some_and(|name| name.starts_with("python"));
            (is_child_of_python && env::var_os("SUPERVISOR_ENABLED").is_some())
                .then(|| Guardian::Supervisor("supervisord".to_owned()))
        })
    }

    /// `proc` is where the processes are listed; `unit` is the one that systemd has
    /// started in a unit without `Type=notify`.
    fn of(proc: &Path, own: u32, parent: u32, unit: Option<u32>) -> Option<Self> {
        if own == 1 {
            return Some(Guardian::Kernel);
        }
        if unit == Some(own) {
            return Some(Guardian::Systemd);
        }
        // The parent may be outside of our PID namespace, or hidden.
        let mut parent = parent;
        let mut name = name_of(proc, parent)?.trim().to_owned();
        // A script that waits for the server ends with it, as an init does.
        while is_script(proc, parent) {
            if parent == 1 {
                return Some(Guardian::Init(name));
            }
            parent = parent_of(proc, parent)?;
            name = name_of(proc, parent)?.trim().to_owned();
        }
        let name = &*name;
        if parent == 1 && SHORT_LIVED_INITS.contains(&name) {
            return Some(Guardian::Init(name.to_owned()));
        }
        let supervised = SUPERVISORS.contains(&name);
        supervised.then(|| Guardian::Supervisor(name.to_owned()))
    }
}

impl fmt::Display for Guardian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BESIDE: &str = "start another container beside it on the same --listen (host \
                              network) and stop this one with SIGTERM";
        match self {
            Guardian::Kernel => write!(
                f,
                "this is process 1 of its container, which ends with it and would take the \
                 new process along; {BESIDE}"
            ),
            Guardian::Init(name) => write!(
                f,
                "{name} is process 1 of this container and ends when this process does, and a \
                 new process would end with it; {BESIDE}"
            ),
            Guardian::Supervisor(name) => write!(
                f,
                "{name} supervises this process and would start the server once more when it \
                 ends, beside the new process; let {name} restart it, or run the server under \
                 systemd with Type=notify"
            ),
            Guardian::Systemd => f.write_str(
                "this is the main process of a systemd unit that is not of Type=notify, and \
                 systemd would end the new process with it; set Type=notify and NotifyAccess=main \
                 in the unit, and restart it",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guardians_that_end_with_their_child_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path();
        let name = |process: u32, name: &str| {
            let folder = proc.join(process.to_string());
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("comm"), format!("{name}\n")).unwrap();
        };
        assert_eq!(Guardian::of(proc, 1, 0, None), Some(Guardian::Kernel));
        assert_eq!(Guardian::of(proc, 7, 0, None), None, "from outside");
        for init in SHORT_LIVED_INITS {
            name(1, init);
            let found = Guardian::of(proc, 7, 1, None);
            assert_eq!(found, Some(Guardian::Init(init.to_owned())));
            assert!(found.unwrap().to_string().contains(init));
        }
        for init in ["systemd", "init", "s6-svscan", "bash"] {
            name(1, init);
            assert_eq!(Guardian::of(proc, 7, 1, None), None, "{init} stays");
        }
        name(5, "tini");
        assert_eq!(Guardian::of(proc, 7, 5, None), None, "not process 1");
        for supervisor in SUPERVISORS {
            name(5, supervisor);
            let found = Guardian::of(proc, 7, 5, None);
            assert_eq!(found, Some(Guardian::Supervisor(supervisor.to_owned())));
        }
        // A script between them ends with the server, a shell of a person does not.
        let shell = |process: u32, cmdline: &str, parent: u32| {
            name(process, "sh");
            let folder = proc.join(process.to_string());
            std::fs::write(folder.join("cmdline"), cmdline).unwrap();
            std::fs::write(
                folder.join("status"),
                format!("Name:\tsh\nPPid:\t{parent}\n"),
            )
            .unwrap();
        };
        name(1, "tini");
        shell(3, "/bin/sh\0/start.sh\0", 1);
        shell(4, "sh\0-c\0corecast serve; true\0", 3);
        let found = Guardian::of(proc, 7, 4, None);
        assert_eq!(found, Some(Guardian::Init("tini".to_owned())));
        shell(4, "-sh\0-l\0", 3);
        assert_eq!(Guardian::of(proc, 7, 4, None), None);
        shell(1, "sh\0-c\0corecast serve; true\0", 0);
        let found = Guardian::of(proc, 7, 1, None);
        assert_eq!(found, Some(Guardian::Init("sh".to_owned())));
        name(1, "systemd");
        assert_eq!(Guardian::of(proc, 7, 1, Some(7)), Some(Guardian::Systemd));
        // A new process has the variable of the old one.
        assert_eq!(Guardian::of(proc, 7, 1, Some(6)), None);
    }
}
