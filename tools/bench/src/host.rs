//! This host and its processes, as the report describes them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use corecast_host::text::field_bytes;
use corecast_host::{Memory as HostMemory, Root, cpus, sysctl_path};
use corecast_kit::host::{CoreTime, line, processor};
use corecast_kit::{sys, units};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

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
    pub fn read() -> Host {
        let unknown = || "unknown".to_owned();
        let memory = HostMemory::read(&Root::default());
        Host {
            date: units::minute(SystemTime::now()),
            kernel: line("/proc/sys/kernel/osrelease").unwrap_or_else(unknown),
            cpu: processor().unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            memory_mib: memory.total_bytes.unwrap_or(0) >> 20,
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            open_files: sys::open_files_limit(),
            sysctls: SYSCTLS
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), line(&sysctl_path(name))?)))
                .collect(),
        }
    }
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
    let root = Root::default();
    let bytes = |path: String, name: &str| -> Result<u64> {
        root.parsed(path, |text| field_bytes(text, name))
            .map_err(|unread| Error::Process(format!("{name}: {unread}")))
    };
    Ok(Memory {
        // Counted page by page; the running count in `status` is approximate.
        resident_bytes: bytes(format!("/proc/{pid}/smaps_rollup"), "Rss")?,
        proportional_bytes: bytes(format!("/proc/{pid}/smaps_rollup"), "Pss")?,
        kernel_bytes: bytes("/proc/meminfo".into(), "Slab")?,
    })
}

/// The cores that process `pid` may use.
pub fn allowed_cpus(pid: u32) -> Option<Vec<usize>> {
    let status = Root::default().read(format!("/proc/{pid}/status"))?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    cpus::parse(list.trim()).ok()
}

/// The time that some cores together were busy; `None` if one of them is not here.
pub fn busy_time(cores: &[usize]) -> Option<Duration> {
    let all = CoreTime::read_all();
    let busy = |wanted: &usize| Some(all.iter().find(|time| time.core == *wanted)?.busy);
    cores.iter().map(busy).sum()
}
