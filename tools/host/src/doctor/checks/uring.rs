//! io_uring: whether a ring can really be had, and which features a kernel of
//! this age has.

use crate::doctor::check::UNIT;
use crate::doctor::running::status;
use crate::doctor::{Amount, Asked, Check, Verdict};
use crate::{Reading, Root};

const CONCERN: &str = "io_uring";
const DISABLED: &str = "kernel.io_uring_disabled";
/// The first kernel whose rings do not count against locked memory.
const WITHOUT_MEMLOCK: (u64, u64) = (5, 12);
/// The oldest on which the server's rings work, and the first with all flags.
const OLDEST: (u64, u64) = (5, 17);
const BEST: (u64, u64) = (6, 1);
/// Locked memory that a shard's rings take on a kernel which counts it.
const RING_BYTES: u64 = 1 << 20;

/// The facts that io_uring depends on.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The process with these limits and this filter: a process id, or `self`.
    pub process: String,
    /// The kernel's release, with its two first numbers.
    pub release: Reading<(String, (u64, u64))>,
    /// Whether a ring with all a shard needs was set up and entered; else the
    /// server's own words why not.
    pub ring: Reading<Result<(), String>>,
    /// 0: all processes may; 1: those of a group; 2: none.
    pub disabled: Reading<u64>,
    /// Bytes that may be locked (`RLIMIT_MEMLOCK`, soft).
    pub memlock: Reading<u64>,
    /// The mode of seccomp: 0 none, 2 a filter.
    pub seccomp: Reading<u64>,
}

impl Facts {
    /// Reads them. `ring` is the result of trying one.
    pub fn read(root: &Root, process: &str, ring: &Reading<Result<(), String>>) -> Facts {
        Facts {
            process: process.to_owned(),
            release: root.parsed("/proc/sys/kernel/osrelease", |text| {
                Some((text.trim().to_owned(), version(text)?))
            }),
            ring: ring.clone(),
            disabled: root.sysctl(DISABLED),
            memlock: root.parsed(format!("/proc/{process}/limits"), memlock),
            seccomp: status(root, process, "Seccomp"),
        }
    }

    /// Judges them.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        let mut checks = vec![self.kernel(), self.ring(), self.disabled()];
        checks.extend(self.memlock(asked));
        checks.push(self.seccomp());
        checks
    }

    fn kernel(&self) -> Check {
        let check = Check::new(CONCERN, "kernel", "/proc/sys/kernel/osrelease");
        let (release, version) = match &self.release {
            Ok(release) => release,
            Err(reason) => return check.unknown(reason),
        };
        let check = check
            .value(Amount::words(release))
            .needed(Amount::words("6.1"));
        if *version >= BEST {
            check.verdict(Verdict::Fits, "it has all that the rings ask for")
        } else if *version >= OLDEST {
            check.verdict(
                Verdict::Advice,
                "the rings work, but without deferred task work, which is faster",
            )
        } else {
            check.verdict(
                Verdict::Slows,
                "too old for the server's rings: it will use epoll",
            )
        }
        .now("boot a kernel of 6.1 or newer")
    }

    fn ring(&self) -> Check {
        let check = Check::new(
            CONCERN,
            "io_uring_setup",
            "seccomp, kernel.io_uring_disabled",
        );
        match &self.ring {
            Err(reason) => check.unknown(reason),
            Ok(Ok(())) => check.value(Amount::words("works")).verdict(
                Verdict::Fits,
                "a ring with all a shard needs was set up and has woken a thread",
            ),
            Ok(Err(why)) => check
                .value(Amount::words("refused"))
                .needed(Amount::words("works"))
                .verdict(Verdict::Slows, format!("the server will use epoll. {why}")),
        }
    }

    fn disabled(&self) -> Check {
        let check = Check::sysctl(CONCERN, DISABLED);
        let value = match (&self.disabled, &self.release) {
            (Ok(value), _) => *value,
            // Older kernels have no such switch.
            (Err(_), Ok((_, version))) if *version < (6, 6) => {
                return check
                    .value(Amount::words("no such switch"))
                    .verdict(Verdict::Fits, "this kernel cannot switch io_uring off");
            }
            (Err(reason), _) => return check.unknown(reason),
        };
        let check = check.value(Amount::Count(value)).needed(Amount::Count(0));
        match value {
            0 => check.verdict(Verdict::Fits, "everybody may use io_uring"),
            1 => check.verdict(
                Verdict::Advice,
                "only root and the group of kernel.io_uring_group may use io_uring; others get epoll",
            ),
            _ => check.verdict(Verdict::Slows, "nobody may use io_uring: the server uses epoll"),
        }
        .now(format!("sysctl -w {DISABLED}=0"))
        .for_good("/etc/sysctl.d/99-io_uring.conf", format!("{DISABLED} = 0"))
    }

    /// Locked memory has no say since Linux 5.12.
    fn memlock(&self, asked: &Asked) -> Option<Check> {
        let check = Check::new(
            CONCERN,
            "RLIMIT_MEMLOCK",
            format!("/proc/{}/limits", self.process),
        );
        let limit = match &self.memlock {
            Ok(limit) => *limit,
            Err(reason) => return Some(check.unknown(reason)),
        };
        let check = check.value(match limit {
            u64::MAX => Amount::words("unlimited"),
            limit => Amount::Bytes(limit),
        });
        let Ok((_, version)) = &self.release else {
            return None;
        };
        if *version >= WITHOUT_MEMLOCK {
            let why = "rings do not count against it since Linux 5.12";
            return Some(check.verdict(Verdict::Fits, why));
        }
        let needed = asked.shards.saturating_mul(RING_BYTES);
        let check = check.needed(Amount::Bytes(needed));
        let check = match limit >= needed {
            true => check.verdict(Verdict::Fits, "rings count against it before Linux 5.12"),
            false => check.verdict(Verdict::Slows, "rings count against it before Linux 5.12"),
        };
        Some(
            check
                .now("ulimit -l unlimited   # as root")
                .for_good(UNIT, "LimitMEMLOCK=infinity"),
        )
    }

    fn seccomp(&self) -> Check {
        let check = Check::new(CONCERN, "seccomp", format!("/proc/{}/status", self.process));
        let mode = match &self.seccomp {
            Ok(mode) => *mode,
            Err(reason) => return check.unknown(reason),
        };
        let refused = matches!(self.ring, Ok(Err(_)));
        match (mode, refused) {
            (2, true) => check
                .value(Amount::words("a filter"))
                .needed(Amount::words(
                    "io_uring_setup, io_uring_enter, io_uring_register",
                ))
                .verdict(
                    Verdict::Slows,
                    "containers forbid io_uring by default; the profile must allow its three calls",
                )
                .now("docker run --security-opt seccomp=PROFILE …"),
            (2, false) => check
                .value(Amount::words("a filter"))
                .verdict(Verdict::Fits, "it lets io_uring through"),
            (1, _) => check
                .value(Amount::words("strict"))
                .verdict(Verdict::Slows, "only reading and writing is allowed"),
            _ => check
                .value(Amount::words("none"))
                .verdict(Verdict::Fits, "no filter stands before the kernel"),
        }
    }
}

/// The first two numbers of a release such as `6.8.0-41-generic`.
fn version(release: &str) -> Option<(u64, u64)> {
    let mut numbers = release
        .trim()
        .split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The soft limit in the line `Max locked memory  SOFT  HARD  bytes`.
fn memlock(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        bytes => bytes.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unread;
    use crate::doctor::testing::{Host, asked, of};

    fn facts(release: &str) -> Facts {
        Facts {
            process: "self".to_owned(),
            release: Ok((release.to_owned(), version(release).unwrap())),
            ring: Ok(Ok(())),
            disabled: Ok(0),
            memlock: Ok(65_536),
            seccomp: Ok(0),
        }
    }

    fn verdict(facts: &Facts, limit: &str) -> Verdict {
        let checks = facts.checks(&asked(100_000));
        of(&checks, limit).verdict
    }

    #[test]
    fn releases_begin_with_two_numbers() {
        assert_eq!(version("6.8.0-41-generic\n"), Some((6, 8)));
        assert_eq!(version("5.10\n"), Some((5, 10)));
        assert_eq!(version("next"), None);
    }

    #[test]
    fn older_kernels_give_less() {
        assert_eq!(verdict(&facts("6.8.0"), "kernel"), Verdict::Fits);
        assert_eq!(verdict(&facts("6.1.0"), "kernel"), Verdict::Fits);
        assert_eq!(verdict(&facts("5.17.1"), "kernel"), Verdict::Advice);
        assert_eq!(verdict(&facts("5.10.0"), "kernel"), Verdict::Slows);
    }

    #[test]
    fn locked_memory_counts_on_old_kernels_only() {
        assert_eq!(verdict(&facts("6.8.0"), "RLIMIT_MEMLOCK"), Verdict::Fits);
        assert_eq!(verdict(&facts("5.10.0"), "RLIMIT_MEMLOCK"), Verdict::Slows);
        let text = "Max locked memory         8388608              unlimited            bytes\n";
        assert_eq!(memlock(text), Some(8_388_608));
        assert_eq!(
            memlock("Max locked memory unlimited unlimited bytes"),
            Some(u64::MAX)
        );
    }

    #[test]
    fn a_ring_that_is_refused_means_epoll() {
        let refused = Facts {
            ring: Ok(Err("not permitted".to_owned())),
            seccomp: Ok(2),
            ..facts("6.8.0")
        };
        let checks = refused.checks(&asked(1));
        let ring = of(&checks, "io_uring_setup");
        assert_eq!(ring.verdict, Verdict::Slows);
        assert!(ring.why.ends_with("not permitted"));
        assert_eq!(of(&checks, "seccomp").verdict, Verdict::Slows);
        let allowed = Facts {
            seccomp: Ok(2),
            ..facts("6.8.0")
        };
        assert_eq!(verdict(&allowed, "seccomp"), Verdict::Fits);
    }

    #[test]
    fn the_switch_has_three_positions() {
        let with = |value| Facts {
            disabled: Ok(value),
            ..facts("6.8.0")
        };
        assert_eq!(verdict(&with(0), DISABLED), Verdict::Fits);
        assert_eq!(verdict(&with(1), DISABLED), Verdict::Advice);
        assert_eq!(verdict(&with(2), DISABLED), Verdict::Slows);
        let old = Facts {
            disabled: Err(Unread::new("missing")),
            ..facts("6.1.0")
        };
        assert_eq!(verdict(&old, DISABLED), Verdict::Fits);
    }

    #[test]
    fn what_a_host_does_not_say_is_unknown() {
        let hidden = Err(Unread::new("no ring was tried"));
        for check in Facts::read(&Host::new().root, "self", &hidden).checks(&asked(1)) {
            assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
        }
    }
}
