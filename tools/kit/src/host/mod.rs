//! The host's figures that are watched while a run goes on: processor time,
//! memory, descriptors and the server's process. Limits and the kernel's
//! counters are read by [`corecast_host`].
//!
//! # Invariants worth naming
//!
//! - Every reading is optional. A file that is missing, hidden or of an unknown
//!   form gives `None`, never zero, so that a diagnosis is not built on it.
//! - Reading is apart from parsing: each file has a function on its text, and
//!   that one is tested.
//! - A [`Look`] is cheap enough for one a second, also while a million
//!   connections are open: nothing here lists a table of descriptors or of
//!   sockets, except for [`find_server`] and on kernels before 6.2.

mod cores;
mod find;
mod server;
pub mod stats;
mod watch;

pub use cores::CoreTime;
pub use find::{find_server, is_listening, is_local};
pub use server::{ServerLook, ServerThread, process_cpu_time};
pub use watch::{Look, ThreadUsage, Usage, Watch};

use corecast_host::{Memory, Root};

use crate::outcome::Machine;

/// This machine, with the number of threads that generate load on it. A value
/// that cannot be read is "unknown" or 0.
pub fn machine(threads: usize) -> Machine {
    let root = Root::default();
    let unknown = || "unknown".to_owned();
    Machine {
        hostname: line("/proc/sys/kernel/hostname").unwrap_or_else(unknown),
        boot: line("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
        kernel: line("/proc/sys/kernel/osrelease").unwrap_or_else(unknown),
        cpu: processor().unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        memory_bytes: Memory::read(&root).total_bytes.unwrap_or(0),
        threads,
    }
}

/// A file of one line, its columns joined by single spaces.
pub fn line(path: &str) -> Option<String> {
    let text = Root::default().read(path)?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The name of this host's processor.
pub fn processor() -> Option<String> {
    cpu_model(&Root::default().read("/proc/cpuinfo")?)
}

/// The processor's name. Arm kernels give none, only a number for its part.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    ["model name", "Hardware", "CPU part"]
        .iter()
        .find_map(|wanted| {
            cpuinfo
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(field, _)| field.trim() == *wanted)
                .map(|(_, value)| value.trim().to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_by_its_best_name() {
        let model = |text| cpu_model(text);
        assert_eq!(
            model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n").as_deref(),
            Some("Some CPU @ 2 GHz")
        );
        assert_eq!(
            model("CPU part\t: 0xd0c\nprocessor\t: 1\n").as_deref(),
            Some("0xd0c")
        );
        assert_eq!(model(""), None);
    }

    #[test]
    fn this_machine_has_a_name_cores_and_memory() {
        let machine = machine(3);
        assert!(!machine.hostname.is_empty() && machine.kernel != "unknown");
        assert!(machine.cores >= 1 && machine.memory_bytes > 1 << 20);
        assert_eq!(machine.threads, 3);
    }
}
