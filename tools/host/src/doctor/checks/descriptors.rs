//! Descriptors and files: each connection is one of both at each end.
//!
//! `RLIMIT_NOFILE` bounds a *table* of descriptors. Each shard has a table of
//! its own, and so has each thread of the load generator: the number that
//! counts is the limit times the shards.

use crate::doctor::check::{FILES_CONF, UNIT};
use crate::doctor::running::own_descriptors;
use crate::doctor::{Amount, Asked, Check, Running, Stops, Verdict};
use crate::number::grouped;
use crate::{Descriptors, Reading, Root, open_files, tables};

const CONCERN: &str = "descriptors";
/// The number of `CAP_SYS_ADMIN`.
const SYS_ADMIN: u32 = 21;

/// The bounds of descriptors and files.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Of this process, which a server started from here would inherit.
    pub own: Reading<Descriptors>,
    /// A running server: its process id, its limit and its unit.
    pub server: Option<(u32, Reading<Descriptors>, Option<String>)>,
    /// Whether systemd runs this host.
    pub systemd: bool,
    /// The `LimitNOFILE` of an installed unit, with its file.
    pub unit: Option<(String, Option<u64>)>,
    /// The most that a limit can be raised to.
    pub nr_open: Reading<u64>,
    /// Files of the whole host.
    pub file_max: Reading<u64>,
    /// Files the host has open.
    pub open_files: Option<u64>,
    /// Whether the process passes `fs.file-max`.
    pub privileged: bool,
    /// Cores, beyond which more threads of the generator only help its tables.
    pub cores: u64,
}

/// Descriptors of a shard's table that are not sessions: three standard
/// streams, two rings, an event and a listener, counted in a running server,
/// and one to spare; and every shard's wake event is in every table.
pub fn others(shards: u64) -> u64 {
    8 + shards
}

/// Sessions that so many tables hold together. The kernel deals connections
/// out by a hash, so shards do not fill evenly: with four standard deviations
/// more than its share, the fullest has no room left.
pub fn reach(shards: u64, descriptors: u64) -> u64 {
    let room = descriptors.saturating_sub(others(shards));
    if shards <= 1 || room > 1 << 40 {
        return room.saturating_mul(shards);
    }
    let share = ((16.0 + 4.0 * room as f64).sqrt() - 4.0) / 2.0;
    (share * share * shards as f64) as u64
}

/// The limit at which so many tables hold so many sessions together.
pub fn descriptors_for(connections: u64, shards: u64) -> u64 {
    let share = connections.div_ceil(shards.max(1));
    let uneven = match shards {
        0 | 1 => 0,
        _ => (4.0 * (share as f64).sqrt()).ceil() as u64,
    };
    share + uneven + others(shards)
}

/// The fewest shards whose tables hold so many sessions, if any number does.
fn shards_for(connections: u64, descriptors: u64) -> Option<u64> {
    (1..=1_024).find(|shards| reach(*shards, descriptors) >= connections)
}

impl Facts {
    /// Reads them.
    pub fn read(root: &Root, running: Option<&Running>) -> Facts {
        let units = [
            "/etc/systemd/system/corecast.service",
            "/usr/lib/systemd/system/corecast.service",
            "/lib/systemd/system/corecast.service",
        ];
        Facts {
            own: own_descriptors(root),
            server: running
                .map(|server| (server.pid, server.descriptors.clone(), server.unit.clone())),
            systemd: root.exists("/run/systemd/system"),
            unit: units.iter().find_map(|path| {
                let text = root.read(path)?;
                Some(((*path).to_owned(), limit_of_unit(&text)))
            }),
            nr_open: root.sysctl("fs.nr_open"),
            file_max: root.sysctl("fs.file-max"),
            open_files: open_files(root),
            privileged: is_privileged(root, running),
            cores: crate::cpus::usable().len().max(1) as u64,
        }
    }

    /// Judges them.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        let mut checks = Vec::new();
        if asked.role.serves() {
            checks.push(match &self.server {
                Some((pid, limit, unit)) => running(*pid, limit, unit.as_deref(), asked),
                None => self.shard(asked),
            });
            checks.extend(self.unit(asked));
        }
        if asked.role.connects() {
            checks.push(self.generator(asked));
        }
        checks.push(self.nr_open(asked));
        checks.push(self.file_max(asked));
        checks
    }

    /// A server that would be started from here.
    fn shard(&self, asked: &Asked) -> Check {
        let check = Check::new(CONCERN, "RLIMIT_NOFILE of each shard", "/proc/self/limits");
        let limit = match &self.own {
            Ok(limit) => limit.hard,
            Err(reason) => return check.unknown(reason),
        };
        let check = of_tables(check, limit, asked);
        let needed = descriptors_for(asked.connections, asked.shards);
        let more = match shards_for(asked.connections, limit) {
            Some(shards) => format!("; or: corecast serve --shards {shards}"),
            None => String::new(),
        };
        check
            .now(format!("ulimit -n {needed}   # as root{more}"))
            .for_good(UNIT, format!("LimitNOFILE={}", raised(needed)))
    }

    /// systemd gives its units limits of its own.
    fn unit(&self, asked: &Asked) -> Option<Check> {
        if !self.systemd && self.unit.is_none() {
            return None;
        }
        let needed = descriptors_for(asked.connections, asked.shards);
        let line = format!("LimitNOFILE={}", raised(needed));
        let why = "systemd does not read /etc/security/limits.conf: what counts for a service is \
                   LimitNOFILE in its unit";
        let check =
            |place: &str| Check::new(CONCERN, "LimitNOFILE", place).needed(Amount::Count(needed));
        Some(match &self.unit {
            Some((file, Some(limit))) => {
                let verdict = match *limit >= needed {
                    true => Verdict::Fits,
                    false => Verdict::Advice,
                };
                check(file)
                    .value(Amount::Count(*limit))
                    .verdict(verdict, why)
                    .for_good(file, line)
                    .now("systemctl daemon-reload && systemctl restart corecast")
            }
            Some((file, None)) => check(file)
                .value(Amount::words("not set"))
                .verdict(Verdict::Advice, why)
                .for_good(file, line)
                .now("systemctl edit corecast   # then: systemctl restart corecast"),
            None => check("/etc/systemd/system/corecast.service")
                .value(Amount::words("no unit"))
                .verdict(Verdict::Advice, why)
                .for_good(UNIT, line),
        })
    }

    /// The load generator starts as many threads as its tables need.
    fn generator(&self, asked: &Asked) -> Check {
        let check = Check::new(
            CONCERN,
            "RLIMIT_NOFILE of each thread of corecast-load",
            "/proc/self/limits",
        );
        let limit = match &self.own {
            Ok(limit) => limit.hard,
            Err(reason) => return check.unknown(reason),
        };
        let reach = tables::most(limit, self.cores);
        let check = check
            .value(Amount::Count(limit))
            .stops(Stops::Connections(reach));
        let per_thread = asked.connections.div_ceil(self.cores) + tables::OTHERS + self.cores;
        let check = check.needed(Amount::Count(per_thread));
        match tables::threads_for(asked.connections, limit, self.cores) {
            None if reach >= asked.connections => check.verdict(
                Verdict::Advice,
                format!("no number of threads holds more than {}", grouped(reach)),
            ),
            None => check.verdict(
                Verdict::TooLow,
                format!("no number of threads holds more than {}", grouped(reach)),
            ),
            Some(threads) if threads > self.cores => check.verdict(
                Verdict::Advice,
                format!(
                    "it starts {threads} threads on {} cores, because each has a table of its own; \
                     with one per core the load is steadier",
                    self.cores
                ),
            ),
            Some(_) => check.verdict(Verdict::Fits, "each thread has a table of its own"),
        }
        .now(format!("ulimit -n {per_thread}   # as root"))
        .for_good(
            "/etc/security/limits.conf",
            format!("* hard nofile {}", raised(per_thread)),
        )
    }

    fn nr_open(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "fs.nr_open");
        let most = match &self.nr_open {
            Ok(most) => *most,
            Err(reason) => return check.unknown(reason),
        };
        let needed = descriptors_for(asked.connections, asked.shards);
        let check = check.value(Amount::Count(most));
        if asked.role.serves() {
            let check = check
                .needed(Amount::Count(needed))
                .stops(Stops::Connections(reach(asked.shards, most)));
            match most >= needed {
                true => check.verdict(Verdict::Fits, "RLIMIT_NOFILE cannot be raised above it"),
                false => check.verdict(
                    Verdict::TooLow,
                    "RLIMIT_NOFILE cannot be raised above it; more shards need less",
                ),
            }
        } else {
            check.verdict(
                Verdict::Fits,
                "RLIMIT_NOFILE cannot be raised above it; corecast-load takes more threads",
            )
        }
        .set(FILES_CONF, raised(needed))
    }

    fn file_max(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "fs.file-max");
        let most = match &self.file_max {
            Ok(most) => *most,
            Err(reason) => return check.unknown(reason),
        };
        let ends = asked.role.ends();
        let open = self.open_files.unwrap_or(0);
        let shards = asked.shards * others(asked.shards);
        let taken = open.saturating_add(shards);
        let needed = asked.further().saturating_mul(ends).saturating_add(taken);
        let reach = asked.open + most.saturating_sub(taken) / ends;
        let check = check
            .value(Amount::Count(most))
            .needed(Amount::Count(needed));
        let check = match self.privileged {
            true => check,
            false => check.stops(Stops::Connections(reach)),
        };
        let why = format!(
            "{} here, and {} files are open; a process with CAP_SYS_ADMIN may go beyond",
            match ends {
                2 => "both ends of each connection are",
                _ => "one end of each connection is",
            },
            grouped(open)
        );
        match most >= needed {
            true => check.verdict(Verdict::Fits, why),
            false if self.privileged => check.verdict(Verdict::Advice, why),
            false => check.verdict(Verdict::TooLow, why),
        }
        .set(FILES_CONF, raised(needed))
    }
}

/// Whether a process has `CAP_SYS_ADMIN` on the whole host: in the first user
/// namespace, whose numbers of users stand for themselves.
fn is_privileged(root: &Root, running: Option<&Running>) -> bool {
    let process = running.map_or("self".to_owned(), |running| running.pid.to_string());
    let read = |file: &str| root.read(format!("/proc/{process}/{file}"));
    let capable = read("status").is_some_and(|status| {
        let sets = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let set = sets.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        set.is_some_and(|set| set >> SYS_ADMIN & 1 == 1)
    });
    let map = read("uid_map").unwrap_or_default();
    capable && map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

/// A server that runs has the limit it was started with.
fn running(pid: u32, limit: &Reading<Descriptors>, unit: Option<&str>, asked: &Asked) -> Check {
    let check = Check::new(
        CONCERN,
        format!("RLIMIT_NOFILE of each shard of corecast {pid}"),
        format!("/proc/{pid}/limits"),
    );
    let limit = match limit {
        Ok(limit) => limit.soft,
        Err(reason) => return check.unknown(reason),
    };
    let mut check = of_tables(check, limit, asked);
    if let Some(unit) = unit {
        check.why +=
            &format!("; it runs in the unit {unit}, for which systemd does not read limits.conf");
    }
    let needed = descriptors_for(asked.connections, asked.shards);
    check
        .now(format!("prlimit --pid {pid} --nofile={needed}:{needed}"))
        .for_good(UNIT, format!("LimitNOFILE={}", raised(needed)))
}

fn of_tables(check: Check, limit: u64, asked: &Asked) -> Check {
    let needed = descriptors_for(asked.connections, asked.shards);
    let reach = reach(asked.shards, limit);
    let shards = match asked.shards {
        1 => "1 shard has a table".to_owned(),
        shards => format!("{shards} shards have a table each"),
    };
    let why = format!(
        "{shards}, {} of it for other things; the kernel deals connections out unevenly",
        others(asked.shards)
    );
    // Not by the number needed, which is rounded up: the wall itself still fits.
    let verdict = match reach >= asked.connections {
        true => Verdict::Fits,
        false => Verdict::TooLow,
    };
    check
        .value(Amount::Count(limit))
        .needed(Amount::Count(needed))
        .verdict(verdict, why)
        .stops(Stops::Connections(reach))
}

/// A value to set: a power of two, so that it need not be set again soon.
pub(super) fn raised(needed: u64) -> u64 {
    needed.checked_next_power_of_two().unwrap_or(needed)
}

/// The number after `LimitNOFILE=`, the last if there are several. A pair is
/// soft and hard; the server raises itself to the hard one.
fn limit_of_unit(unit: &str) -> Option<u64> {
    let value = unit
        .lines()
        .filter_map(|line| line.trim().strip_prefix("LimitNOFILE="))
        .next_back()?;
    let hard = value.rsplit(':').next()?.trim();
    match hard {
        "infinity" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
