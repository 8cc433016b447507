//! How busy each core is, from `/proc/stat`.

use std::time::Duration;

use corecast_host::Root;

/// A number of ticks in `/proc`: the kernel shows user space 100 a second,
/// whatever its own timer does.
pub(super) fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(10))
}

/// The work of a core since the host started, in steps of 10 ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreTime {
    /// The core's number.
    pub core: usize,
    /// Time in which it was not to be had: programs, the kernel, interrupts,
    /// and other guests of the same machine.
    pub busy: Duration,
    /// The part of `busy` that the hypervisor gave to others.
    pub stolen: Duration,
    /// Time in which it had nothing to do or waited for a disk.
    pub idle: Duration,
}

impl CoreTime {
    /// Every core's.
    pub fn read_all() -> Vec<CoreTime> {
        Root::default()
            .read("/proc/stat")
            .map(|text| parse(&text))
            .unwrap_or_default()
    }

    /// The share of the time since `earlier` in which it was busy, and in
    /// which it was stolen, each from 0 to 1.
    pub fn since(&self, earlier: &CoreTime) -> (f64, f64) {
        let spent = |of: fn(&CoreTime) -> Duration| of(self).saturating_sub(of(earlier));
        let (busy, idle, stolen) = (
            spent(|core| core.busy),
            spent(|core| core.idle),
            spent(|core| core.stolen),
        );
        let all = (busy + idle).as_secs_f64();
        if all > 0.0 {
            (busy.as_secs_f64() / all, stolen.as_secs_f64() / all)
        } else {
            (0.0, 0.0)
        }
    }
}

/// Lines `cpuN user nice system idle iowait irq softirq steal …`, in ticks.
fn parse(stat: &str) -> Vec<CoreTime> {
    stat.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<CoreTime> {
    let mut fields = line.strip_prefix("cpu")?.split_ascii_whitespace();
    // The line of all cores together is `cpu  …`: there, the first field is
    // not a core's number, and one fewer follows.
    if line.as_bytes().get(3) == Some(&b' ') {
        return None;
    }
    let core = fields.next()?.parse().ok()?;
    let counts: Vec<u64> = fields
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let idle = counts.get(3)? + counts.get(4)?;
    Some(CoreTime {
        core,
        busy: ticks(counts.iter().sum::<u64>() - idle),
        stolen: ticks(counts.get(7).copied().unwrap_or(0)),
        idle: ticks(idle),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(core: usize, busy: u64, stolen: u64, idle: u64) -> CoreTime {
        CoreTime {
            core,
            busy: ticks(busy),
            stolen: ticks(stolen),
            idle: ticks(idle),
        }
    }

    #[test]
    fn a_core_is_busy_when_neither_idle_nor_waiting() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\n\
                    cpu0 1 2 3 400 50 6 7 8 0 0\n\
                    cpu12 0 0 0 5 0 0 0 0 0 0\n\
                    intr 5 0\nctxt 1\n";
        assert_eq!(parse(stat), [core(0, 27, 8, 450), core(12, 0, 0, 5)]);
        assert!(parse("cpu\ncpux 1\ncpu1 2 3\n").is_empty());
    }

    #[test]
    fn shares_are_of_the_time_between() {
        let (busy, stolen) = core(0, 130, 15, 110).since(&core(0, 100, 5, 100));
        assert!((busy - 0.75).abs() < 1e-9 && (stolen - 0.25).abs() < 1e-9);
        // Idle time may seem to step back on a kernel that estimates it.
        assert_eq!(
            core(0, 1, 0, 1).since(&core(0, 1, 0, 2)),
            (0.0, 0.0),
            "nothing passed"
        );
    }
}
