//! Repeated looks at the host, and the resources used between two of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use corecast_host::text::field_bytes;
use corecast_host::{
    Conntrack, Group, Memory, Root, Sockets, TcpCounters, open_files, process_time,
};

use super::cores::CoreTime;
use super::server::{ServerLook, ServerThread};

/// Looks at the host, this process and, if one is given, a server on this host.
#[derive(Debug, Clone)]
pub struct Watch {
    root: Root,
    server: Option<u32>,
    group: Option<Group>,
}

/// The readings of a [`Watch`] at one moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// When it was.
    pub at: Instant,
    /// The work of each core.
    pub cores: Vec<CoreTime>,
    /// Processor time of this process.
    pub client_cpu: Duration,
    /// Memory this process has resident, in bytes.
    pub client_memory_bytes: u64,
    /// The server; `None` when there is none to watch, or it has ended.
    pub server: Option<ServerLook>,
    /// The host's TCP sockets.
    pub sockets: Option<Sockets>,
    /// The kernel's counters.
    pub tcp: Option<TcpCounters>,
    /// Memory of the kernel's TCP buffers and its slab, in bytes.
    pub kernel_memory_bytes: Option<u64>,
    /// Memory that programs can still have, in bytes.
    pub available_bytes: Option<u64>,
    /// Memory that this process's control group uses, in bytes, if it has a
    /// limit.
    pub cgroup_bytes: Option<u64>,
    /// Files the host has open.
    pub open_files: Option<u64>,
    /// Connections the firewall tracks.
    pub conntrack: Option<u64>,
}

impl Watch {
    /// A watch that also looks at the process `server`.
    pub fn new(server: Option<u32>) -> Watch {
        let root = Root::default();
        Watch {
            server,
            group: Group::find(&root),
            root,
        }
    }

    /// Looks once.
    pub fn look(&self) -> Look {
        let root = &self.root;
        let memory = Memory::read(root);
        let sockets = Sockets::read(root);
        let status = root.read("/proc/self/status").unwrap_or_default();
        Look {
            at: Instant::now(),
            cores: CoreTime::read_all(),
            client_cpu: process_time(),
            client_memory_bytes: field_bytes(&status, "VmRSS").unwrap_or(0),
            server: self.server.and_then(ServerLook::read),
            sockets,
            tcp: TcpCounters::read(root),
            kernel_memory_bytes: memory
                .slab_bytes
                .zip(sockets)
                .map(|(slab, sockets)| slab + sockets.memory_bytes),
            available_bytes: memory.available_bytes,
            cgroup_bytes: self.group.as_ref().and_then(|group| group.used_bytes(root)),
            open_files: open_files(root),
            conntrack: Conntrack::count(root),
        }
    }
}

/// The resources of the host that were used between two looks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// The time between them.
    pub seconds: f64,
    /// Each core's busy share from 0 to 1, at the place of its number; 0 for
    /// a core that is off.
    pub cores: Vec<f64>,
    /// The share of all cores' time that the hypervisor gave to others, from
    /// 0 to 1. It is part of what `cores` calls busy.
    pub stolen: f64,
    /// Processor time this process took per second: 1 is one full core.
    pub client_cpu: f64,
    /// Processor time the server took per second.
    pub server_cpu: Option<f64>,
    /// The server's threads, the busiest first.
    pub server_threads: Vec<ThreadUsage>,
    /// The kernel's counts meanwhile.
    pub tcp: TcpCounters,
}

/// The processor time of a thread of the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThreadUsage {
    /// Its name.
    pub name: String,
    /// The share of the time in which it was on a core, from 0 to 1.
    pub share: f64,
    /// The share in which it had something to do and waited for a core.
    pub waited: f64,
    /// The core it was last on.
    pub core: usize,
}

impl Usage {
    /// The busiest server thread's share of its time, from 0 to 1.
    pub fn busiest_server_thread(&self) -> Option<f64> {
        self.server_threads.first().map(|thread| thread.share)
    }

    /// Processor time this process took, in seconds.
    pub fn client_cpu_seconds(&self) -> f64 {
        self.client_cpu * self.seconds
    }

    /// Processor time the server took, in seconds.
    pub fn server_cpu_seconds(&self) -> Option<f64> {
        Some(self.server_cpu? * self.seconds)
    }
}

impl Look {
    /// The resources that were used since `earlier`.
    pub fn since(&self, earlier: &Look) -> Usage {
        let seconds = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        let per_second = |time: Duration| {
            if seconds > 0.0 {
                time.as_secs_f64() / seconds
            } else {
                0.0
            }
        };
        let (cores, stolen) = cores_since(&self.cores, &earlier.cores);
        let server = self.server.as_ref().zip(earlier.server.as_ref());
        let threads = server.map(|(now, before)| threads_since(now, before));
        let mut server_threads: Vec<ThreadUsage> = threads
            .iter()
            .flatten()
            .map(|thread| ThreadUsage {
                name: thread.name.clone(),
                share: per_second(thread.cpu).min(1.0),
                waited: per_second(thread.waited).min(1.0),
                core: thread.core,
            })
            .collect();
        server_threads.sort_by(|a, b| b.share.total_cmp(&a.share));
        Usage {
            seconds,
            cores,
            stolen,
            client_cpu: per_second(self.client_cpu.saturating_sub(earlier.client_cpu)),
            server_cpu: threads
                .map(|threads| per_second(threads.iter().map(|thread| thread.cpu).sum())),
            server_threads,
            tcp: self
                .tcp
                .zip(earlier.tcp)
                .map(|(now, before)| now.since(&before))
                .unwrap_or_default(),
        }
    }
}

/// Each core's busy share at the place of its number, and the stolen share of
/// all.
fn cores_since(now: &[CoreTime], before: &[CoreTime]) -> (Vec<f64>, f64) {
    let count = now.iter().map(|core| core.core + 1).max().unwrap_or(0);
    let mut shares = vec![0.0; count];
    let (mut all_stolen, mut seen) = (0.0, 0.0);
    for core in now {
        // A core that came or went in between says nothing about all of it.
        if let Some(before) = before.iter().find(|before| before.core == core.core) {
            let (busy, stolen) = core.since(before);
            shares[core.core] = busy;
            all_stolen += stolen;
            seen += 1.0;
        }
    }
    (shares, if seen > 0.0 { all_stolen / seen } else { 0.0 })
}

/// Each thread that still lives, with its times since `before`; the last
/// moments of one that ended are lost. A new one took all its time since.
fn threads_since(now: &ServerLook, before: &ServerLook) -> Vec<ServerThread> {
    let earlier: HashMap<u32, (Duration, Duration)> = before
        .threads
        .iter()
        .map(|thread| (thread.tid, (thread.cpu, thread.waited)))
        .collect();
    now.threads
        .iter()
        .map(|thread| {
            let (cpu, waited) = earlier.get(&thread.tid).copied().unwrap_or_default();
            ServerThread {
                cpu: thread.cpu.saturating_sub(cpu),
                waited: thread.waited.saturating_sub(waited),
                ..thread.clone()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: Instant, threads: &[(u32, u64)]) -> Look {
        let threads = threads.iter().map(|&(tid, millis)| ServerThread {
            tid,
            name: format!("t{tid}"),
            cpu: Duration::from_millis(millis),
            waited: Duration::from_millis(millis / 10),
            core: 0,
        });
        let server = ServerLook {
            threads: threads.collect(),
            ..Default::default()
        };
        Look {
            at,
            server: Some(server),
            ..Watch::new(None).look()
        }
    }

    #[test]
    fn threads_are_compared_by_their_id() {
        let start = Instant::now();
        let before = look(start, &[(1, 100), (2, 7_000), (3, 50)]);
        let later = look(
            start + Duration::from_secs(2),
            &[(1, 600), (2, 8_800), (4, 200)],
        );
        let usage = later.since(&before);
        let shares: Vec<_> = usage
            .server_threads
            .iter()
            .map(|thread| (thread.name.as_str(), (thread.share * 100.0).round()))
            .collect();
        assert_eq!(shares, [("t2", 90.0), ("t1", 25.0), ("t4", 10.0)]);
        assert!((usage.server_threads[0].waited - 0.09).abs() < 1e-9);
        assert!((usage.server_cpu.unwrap() - 1.25).abs() < 1e-9);
        assert!((usage.server_cpu_seconds().unwrap() - 2.5).abs() < 1e-9);
        assert!((usage.busiest_server_thread().unwrap() - 0.9).abs() < 1e-9);
    }

    #[test]
    fn a_server_that_ended_has_no_usage() {
        let start = Instant::now();
        let before = look(start, &[(1, 100)]);
        let later = Look {
            server: None,
            ..look(start + Duration::from_secs(1), &[])
        };
        let usage = later.since(&before);
        assert_eq!(usage.server_cpu, None);
        assert_eq!(usage.busiest_server_thread(), None);
    }

    #[test]
    fn cores_stand_at_the_place_of_their_number() {
        let core = |core, busy, stolen, idle| CoreTime {
            core,
            busy: Duration::from_secs(busy),
            stolen: Duration::from_secs(stolen),
            idle: Duration::from_secs(idle),
        };
        let before = [core(0, 10, 0, 10), core(2, 5, 0, 5)];
        let now = [core(0, 11, 0, 13), core(2, 8, 2, 6), core(3, 9, 9, 9)];
        let (shares, stolen) = cores_since(&now, &before);
        assert_eq!(shares, [0.25, 0.0, 0.75, 0.0]);
        assert!((stolen - 0.25).abs() < 1e-9);
    }

    #[test]
    fn two_looks_at_this_process_show_its_work() {
        let watch = Watch::new(Some(std::process::id()));
        let before = watch.look();
        while before.at.elapsed() < Duration::from_millis(50) {
            std::hint::black_box(0);
        }
        let usage = watch.look().since(&before);
        assert!(usage.seconds >= 0.05 && usage.client_cpu > 0.0);
        assert!(usage.server_cpu.is_some_and(|cpu| cpu > 0.0));
        assert!(usage.cores.iter().all(|share| (0.0..=1.0).contains(share)));
    }

    #[test]
    fn a_look_without_time_between_is_zero_not_infinite() {
        let look = Watch::new(None).look();
        let usage = look.since(&look);
        assert_eq!((usage.seconds, usage.client_cpu), (0.0, 0.0));
    }
}
