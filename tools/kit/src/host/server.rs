//! The resources of a server process: processor time of each thread, memory,
//! descriptors.

use std::fs;
use std::path::Path;
use std::time::Duration;

use corecast_host::text::{field_bytes, ranges};
use corecast_host::{Descriptors, Root, tables};

use super::cores::ticks;

/// A look at a server process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerLook {
    /// Its process id.
    pub pid: u32,
    /// Its program's name, of which the kernel keeps 15 letters.
    pub name: String,
    /// Its threads, by thread id.
    pub threads: Vec<ServerThread>,
    /// Memory it has resident, in bytes.
    pub memory_bytes: u64,
    /// Descriptors in all its tables; `None` if this process may not see them.
    pub descriptors: Option<u64>,
    /// Descriptors in its fullest table.
    pub fullest_table: Option<u64>,
    /// How many tables it has: one, and one for each shard of a corecast.
    pub tables: usize,
    /// How many descriptors each table may hold.
    pub descriptor_limit: Option<u64>,
    /// On how many cores it may run; 0 when the kernel does not say.
    pub cores: usize,
}

/// A thread of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerThread {
    /// Its thread id.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// Its processor time.
    pub cpu: Duration,
    /// Time it had something to do and waited for a core; zero where the
    /// kernel does not say.
    pub waited: Duration,
    /// The core it was last on.
    pub core: usize,
}

impl ServerLook {
    /// Reads it now; `None` when there is no such process.
    pub fn read(pid: u32) -> Option<ServerLook> {
        let process = format!("/proc/{pid}");
        let process = Path::new(&process);
        let root = Root::default();
        let status = root.read(process.join("status"))?;
        // A process that has ended but was not waited for has a status still.
        let memory_bytes = field_bytes(&status, "VmRSS")?;
        let threads = read_threads(process)?;
        let own = tables::len(&root, process.join("fd"));
        let shards = threads
            .iter()
            .filter(|thread| thread.name.starts_with("shard-"))
            .filter_map(|shard| tables::len(&root, process.join(format!("task/{}/fd", shard.tid))));
        let tables: Vec<u64> = own.into_iter().chain(shards).collect();
        Some(ServerLook {
            pid,
            name: text_field(&status, "Name:").unwrap_or_default().to_owned(),
            threads,
            memory_bytes,
            descriptors: own.map(|_| tables.iter().sum()),
            fullest_table: tables.iter().max().copied(),
            tables: tables.len(),
            descriptor_limit: root
                .read(process.join("limits"))
                .and_then(|text| Descriptors::parse(&text))
                .map(|limit| limit.soft),
            cores: text_field(&status, "Cpus_allowed_list:")
                .map_or(0, |list| ranges(list).map(|range| range.count()).sum()),
        })
    }

    /// Processor time of all its threads.
    pub fn cpu(&self) -> Duration {
        self.threads.iter().map(|thread| thread.cpu).sum()
    }
}

/// Processor time of all threads of process `pid`, as of the scheduler's last tick
/// on each; `None` when there is no such process.
pub fn process_cpu_time(pid: u32) -> Option<Duration> {
    let threads = read_threads(Path::new(&format!("/proc/{pid}")))?;
    Some(threads.iter().map(|thread| thread.cpu).sum())
}

fn read_threads(process: &Path) -> Option<Vec<ServerThread>> {
    let mut threads: Vec<ServerThread> = fs::read_dir(process.join("task"))
        .ok()?
        .flatten()
        .filter_map(|task| read_thread(&task.path()))
        .collect();
    threads.sort_by_key(|thread| thread.tid);
    Some(threads)
}

fn read_thread(task: &Path) -> Option<ServerThread> {
    let root = Root::default();
    let (name, counted, core) = parse_stat(&root.read(task.join("stat"))?)?;
    // Some kernels are built without the precise clock and say nothing or 0.
    let precise = root
        .read(task.join("schedstat"))
        .and_then(|text| on_cpu_and_waiting(&text))
        .filter(|(on_cpu, _)| !on_cpu.is_zero());
    let (cpu, waited) = precise.unwrap_or((counted, Duration::ZERO));
    Some(ServerThread {
        tid: task.file_name()?.to_str()?.parse().ok()?,
        name,
        cpu,
        waited,
        core,
    })
}

/// Name, processor time in steps of 10 ms, and the last core: the 2nd, 14th
/// with 15th, and 39th field. The name is in parentheses and may itself
/// contain anything.
fn parse_stat(stat: &str) -> Option<(String, Duration, usize)> {
    let (before, after_name) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let core = number(39).and_then(|core| core.try_into().ok());
    let time = ticks(number(14)? + number(15)?);
    Some((name.to_owned(), time, core.unwrap_or(0)))
}

/// The first two fields of a `schedstat`: nanoseconds on a core, and ready for
/// one that others had.
fn on_cpu_and_waiting(schedstat: &str) -> Option<(Duration, Duration)> {
    let mut fields = schedstat.split_ascii_whitespace();
    let mut time = || Some(Duration::from_nanos(fields.next()?.parse().ok()?));
    Some((time()?, time()?))
}

fn text_field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_begins_with_the_time_on_a_core_and_before_it() {
        let times = (Duration::from_nanos(524_168), Duration::from_nanos(185_397));
        assert_eq!(on_cpu_and_waiting("524168 185397 1\n"), Some(times));
        assert_eq!(on_cpu_and_waiting(""), None);
    }

    #[test]
    fn a_name_may_contain_anything() {
        let stat = "7 (a) b (c) S 0 1 1 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 1 0 9 9 9 9 0 0 0 0 \
                    0 0 0 0 0 0 0 0 17 3 0 0\n";
        let parsed = (String::from("a) b (c"), Duration::from_secs(2), 3);
        assert_eq!(parse_stat(stat), Some(parsed));
        assert_eq!(parse_stat("garbage"), None);
    }

    #[test]
    fn this_process_has_threads_memory_and_a_limit() {
        let look = ServerLook::read(std::process::id()).unwrap();
        assert!(look.threads.iter().any(|thread| thread.tid == look.pid));
        assert!(look.memory_bytes > 100_000 && look.cores >= 1);
        assert!(look.descriptors.is_some_and(|count| count >= 3));
        assert_eq!(look.descriptors, look.fullest_table);
        assert!(look.descriptor_limit.is_some_and(|limit| limit >= 3));
    }

    #[test]
    fn nobody_has_the_largest_process_id() {
        assert_eq!(ServerLook::read(u32::MAX), None);
    }
}
