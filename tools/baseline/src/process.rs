//! The kernel's view of this process, from `/proc`. A value that cannot be read
//! is left out rather than reported as zero.

use std::fs;

use serde::Serialize;

/// Ticks per second in `/proc/self/stat`, whatever the kernel's own timer does.
const USER_HZ: f64 = 100.0;

/// A look at this process.
#[derive(Debug, Serialize)]
pub struct Process {
    /// Processor time of all threads in user and kernel mode, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory in bytes.
    pub resident_memory_bytes: Option<u64>,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl Process {
    /// Reads it now.
    pub fn now() -> Process {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        // Since Linux 6.2 this directory's size is the number of its entries;
        // counting them would take milliseconds where there are many.
        let open_fds = fs::metadata("/proc/self/fd").map_or(0, |directory| directory.len());
        Process {
            cpu_seconds: cpu_seconds(&stat),
            resident_memory_bytes: status_value(&status, "VmRSS:").map(|kib| kib * 1024),
            open_fds: (open_fds > 0).then_some(open_fds),
            threads: status_value(&status, "Threads:"),
        }
    }
}

/// User and system time: the 14th and 15th field, counted from after the name
/// in parentheses, which may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / USER_HZ)
}

fn status_value(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_contain_anything() {
        let stat = "1 (a) b (c)) S 0 1 1 0 -1 4194560 1 2 3 4 150 50 7 8";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("garbage"), None);
    }

    #[test]
    fn this_process_has_memory_and_threads() {
        let process = Process::now();
        assert!(process.resident_memory_bytes.unwrap() > 100_000);
        assert!(process.threads.unwrap() >= 1);
        assert!(process.cpu_seconds.is_some());
    }
}
