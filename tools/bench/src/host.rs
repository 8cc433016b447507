//! This host, its processes and their CPU time, as `/proc` shows them.
//!
//! Each reading is split into the file access and a function on its text, and
//! the latter is tested.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, SystemTime};

use corecast_host::cpus;
use serde::{Deserialize, Serialize};

use crate::error::During;
use crate::{Error, Result, sys};

/// The report's description of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// When the run began.
    pub date: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Model of the CPU.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// How the kernel sets the clock, where it says: `performance`, `powersave`.
    pub governor: Option<String>,
    /// Open files a process may have (`ulimit -Hn`).
    pub open_files: u64,
    /// The kernel's settings that bear on sockets, by name.
    pub sysctls: BTreeMap<String, String>,
}

/// The settings that are recorded; those a kernel does not have are left out.
const SYSCTLS: [&str; 12] = [
    "fs.file-max",
    "kernel.io_uring_disabled",
    "net.core.netdev_max_backlog",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "vm.max_map_count",
];

impl Host {
    /// Looks around.
    ///
    /// A value that a sandbox hides is `unknown`, and costs no figure.
    pub fn read() -> Result<Host> {
        let unknown = || "unknown".to_owned();
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory = field_kib(&text("/proc/meminfo"), "MemTotal").unwrap_or(0);
        Ok(Host {
            date: sys::utc_date(SystemTime::now()),
            kernel: setting("/proc/sys/kernel/osrelease").unwrap_or_else(unknown),
            cpu: cpu_model(&text("/proc/cpuinfo")).unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            memory_mib: memory / 1024,
            governor: setting("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            open_files: sys::open_files_limit().during("reading the limit of open files")?,
            sysctls: sysctls(),
        })
    }
}

fn sysctls() -> BTreeMap<String, String> {
    let value = |name: &str| setting(&format!("/proc/sys/{}", name.replace('.', "/")));
    SYSCTLS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), value(name)?)))
        .collect()
}

/// A file of one line, its columns joined by single spaces.
fn setting(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Memory of a process and of the kernel at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// The process' resident set.
    pub resident_bytes: u64,
    /// Its proportional set.
    pub proportional_bytes: u64,
    /// All slab memory of the kernel.
    pub kernel_bytes: u64,
}

/// Reads the memory of process `pid` and of the kernel.
pub fn memory(pid: u32) -> Result<Memory> {
    let kib = |path: String, name: &str| -> Result<u64> {
        field_kib(&read(&path)?, name)
            .map(|kib| kib * 1024)
            .ok_or_else(|| Error::Process(format!("{path} has no {name}")))
    };
    Ok(Memory {
        // Counted page by page; the running count in `status` is approximate.
        resident_bytes: kib(format!("/proc/{pid}/smaps_rollup"), "Rss")?,
        proportional_bytes: kib(format!("/proc/{pid}/smaps_rollup"), "Pss")?,
        kernel_bytes: kib("/proc/meminfo".into(), "Slab")?,
    })
}

/// CPU time of all threads of process `pid`, as of the scheduler's last tick on
/// each. Unlike `/proc/PID/stat` it does not round to ticks.
pub fn process_cpu_time(pid: u32) -> Result<Duration> {
    let directory = format!("/proc/{pid}/task");
    let tasks = fs::read_dir(&directory).during(format!("reading {directory}"))?;
    let mut total = Duration::ZERO;
    for task in tasks.flatten() {
        // A thread that has just ended took no part worth counting.
        if let Ok(text) = fs::read_to_string(task.path().join("schedstat")) {
            total += on_cpu(&text).unwrap_or_default();
        }
    }
    Ok(total)
}

/// The cores that process `pid` may use.
pub fn allowed_cpus(pid: u32) -> Option<Vec<usize>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    cpus::parse(list.trim()).ok()
}

/// Time that a set of cores was not idle.
#[derive(Debug, Clone, Copy)]
pub struct CoreTime {
    /// Time in anything but idle and waiting for a disk.
    pub busy: Duration,
}

/// Reads the busy time of some cores together.
pub fn core_time(cores: &[usize]) -> Result<CoreTime> {
    let text = read("/proc/stat")?;
    let busy = |&core: &usize| {
        core_busy(&text, core).ok_or_else(|| Error::Process(format!("no core {core} here")))
    };
    let busy = cores.iter().map(busy).sum::<Result<Duration>>()?;
    Ok(CoreTime { busy })
}

/// Whether a process listens on a port of 127.0.0.1. Unlike a trial connection
/// the kernel's table leaves no trace in the server; a sandbox may hide it.
pub fn is_listening(port: u16) -> bool {
    match fs::read_to_string("/proc/net/tcp") {
        Ok(table) if !table.is_empty() => has_listener(&table, port),
        _ => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(),
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).during(format!("reading {path}"))
}

/// The first field of a `schedstat`: nanoseconds on a core.
fn on_cpu(schedstat: &str) -> Option<Duration> {
    let nanos = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// A line such as `VmRSS:     1234 kB`.
fn field_kib(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| *field == name)
        .and_then(|(_, value)| value.split_whitespace().next()?.parse().ok())
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| field.trim() == "model name")
        .map(|(_, value)| value.trim().to_owned())
}

/// `cpuN user nice system idle iowait irq softirq steal …` in ticks of 10 ms.
fn core_busy(stat: &str, core: usize) -> Option<Duration> {
    const TICKS_PER_SECOND: u64 = 100;
    let name = format!("cpu{core}");
    let fields: Vec<u64> = stat
        .lines()
        .find(|line| line.split_whitespace().next() == Some(&name))?
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let idle = fields.get(3)? + fields.get(4)?;
    let ticks = fields.iter().sum::<u64>() - idle;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// Looks for a socket in state 0A (listening) on `port` in `/proc/net/tcp`.
fn has_listener(tcp: &str, port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    tcp.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().unwrap_or_default();
        local.ends_with(&wanted) && fields.nth(1) == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_begins_with_the_time_on_a_core() {
        assert_eq!(
            on_cpu("524168 185397 1\n"),
            Some(Duration::from_nanos(524_168))
        );
        assert_eq!(on_cpu(""), None);
    }

    #[test]
    fn fields_in_kib_are_found_by_their_whole_name() {
        let text = "SlabX:  9 kB\nSlab:     182 kB\nName: a\n";
        assert_eq!(field_kib(text, "Slab"), Some(182));
        assert_eq!(field_kib(text, "Name"), None);
        assert_eq!(field_kib(text, "Pss"), None);
    }

    #[test]
    fn a_core_is_busy_when_neither_idle_nor_waiting() {
        let stat =
            "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 400 50 6 7 8 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n";
        assert_eq!(core_busy(stat, 0), Some(Duration::from_millis(270)));
        assert_eq!(core_busy(stat, 1), Some(Duration::ZERO));
        assert_eq!(core_busy(stat, 2), None);
    }

    #[test]
    fn listeners_are_told_from_connections() {
        let tcp = "  sl  local_address rem_address   st\n\
                   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
                   1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000\n";
        assert!(has_listener(tcp, 8080));
        assert!(!has_listener(tcp, 8081));
        assert!(!has_listener(tcp, 80));
    }

    #[test]
    fn the_model_is_read() {
        assert_eq!(
            cpu_model("processor\t: 0\nmodel name\t: Some CPU\n").as_deref(),
            Some("Some CPU")
        );
    }
}
