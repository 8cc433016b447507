//! Network cards: whether arriving packets are spread over the cores of the
//! shards. Interfaces without a device behind them have no queues to deal out,
//! and nothing is said about them.

use std::collections::BTreeSet;

use crate::doctor::{Amount, Asked, Check, Running, Verdict};
use crate::{Root, text};

const CONCERN: &str = "network";

/// A card and its queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its name.
    pub name: String,
    /// Queues for arriving packets.
    pub receive_queues: u64,
    /// Of those, how many the kernel deals out further in software.
    pub steered_queues: u64,
    /// The cores that each of its interrupts goes to; `None` for one that
    /// cannot be read.
    pub interrupts: Vec<Option<BTreeSet<u32>>>,
}

/// The cards that are up.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Each with a device behind it.
    pub cards: Vec<Card>,
    /// Cores that are on; 0 when that is not known.
    pub cores: u64,
    /// Cores of the running server's shards; empty when there is none.
    pub shards: BTreeSet<u32>,
}

impl Facts {
    /// Reads them.
    pub fn read(root: &Root, running: Option<&Running>) -> Facts {
        let cards = root
            .names("/sys/class/net")
            .into_iter()
            .filter_map(|name| Card::read(root, name))
            .collect();
        let online = root
            .read("/sys/devices/system/cpu/online")
            .unwrap_or_default();
        Facts {
            cards,
            cores: text::ranges(&online)
                .map(|range| range.count() as u64)
                .sum(),
            shards: running.map_or_else(BTreeSet::new, |server| server.cores.clone()),
        }
    }

    /// Judges them; without a server here nothing is dealt out.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        if !asked.role.serves() {
            return Vec::new();
        }
        // Arriving packets are worked on by cores, of which shards may share one.
        let busy = match self.cores {
            0 => asked.shards,
            cores => asked.shards.min(cores),
        };
        self.cards
            .iter()
            .flat_map(|card| [Some(card.queues(busy)), card.interrupts(busy, &self.shards)])
            .flatten()
            .collect()
    }
}

impl Card {
    /// A card by its name; `None` for an interface without a device, and for one
    /// that is down.
    fn read(root: &Root, name: String) -> Option<Card> {
        let directory = format!("/sys/class/net/{name}");
        if !root.exists(format!("{directory}/device")) {
            return None;
        }
        let state = root.read(format!("{directory}/operstate"))?;
        if state.trim() == "down" {
            return None;
        }
        let queues: Vec<String> = root
            .names(format!("{directory}/queues"))
            .into_iter()
            .filter(|queue| queue.starts_with("rx-"))
            .collect();
        let steered = queues.iter().filter(|queue| {
            root.read(format!("{directory}/queues/{queue}/rps_cpus"))
                .is_some_and(|mask| {
                    mask.chars()
                        .any(|digit| matches!(digit, '1'..='9' | 'a'..='f'))
                })
        });
        // A card of virtio stands below the device that has the interrupts.
        let interrupts = ["device/msi_irqs", "device/../msi_irqs"]
            .iter()
            .map(|path| root.names(format!("{directory}/{path}")))
            .find(|numbers| !numbers.is_empty())
            .unwrap_or_default();
        Some(Card {
            receive_queues: queues.len() as u64,
            steered_queues: steered.count() as u64,
            interrupts: interrupts
                .iter()
                .map(|number| goes_to(root, number))
                .collect(),
            name,
        })
    }

    fn queues(&self, busy: u64) -> Check {
        let name = &self.name;
        let check = Check::new(
            CONCERN,
            format!("receive queues of {name}"),
            format!("/sys/class/net/{name}/queues"),
        )
        .value(Amount::Count(self.receive_queues))
        .needed(Amount::Count(busy));
        if self.receive_queues >= busy {
            return check.verdict(Verdict::Fits, "a queue for each core with a shard");
        }
        if self.steered_queues > 0 {
            return check.verdict(
                Verdict::Fits,
                "fewer queues than cores with a shard, but the kernel deals out what arrives (rps_cpus)",
            );
        }
        check
            .verdict(
                Verdict::Advice,
                "fewer queues than cores with a shard: some take in what others work on",
            )
            .now(format!(
                "ethtool -L {name} combined {} || echo {} > \
                 /sys/class/net/{name}/queues/rx-0/rps_cpus",
                busy,
                mask(busy)
            ))
    }

    /// The check of the card's interrupts; none for a card that has none of its
    /// own to place.
    fn interrupts(&self, busy: u64, shards: &BTreeSet<u32>) -> Option<Check> {
        if self.interrupts.is_empty() || self.receive_queues < 2 || busy < 2 {
            return None;
        }
        let name = &self.name;
        let check = Check::new(
            CONCERN,
            format!("interrupts of {name}"),
            "/proc/irq/*/effective_affinity_list",
        );
        let known: Vec<_> = self.interrupts.iter().flatten().collect();
        if known.len() < self.interrupts.len() {
            let reason = crate::Unread::new("where its interrupts go cannot be read");
            return Some(check.unknown(&reason));
        }
        let cores: BTreeSet<u32> = known.into_iter().flatten().copied().collect();
        let wanted = busy.min(self.receive_queues);
        let check = check
            .value(Amount::words(format!("{} cores", cores.len())))
            .needed(Amount::words(format!("{wanted} cores")));
        let of_shards = cores.intersection(shards).count() as u64;
        Some(if (cores.len() as u64) < wanted {
            check
                .verdict(
                    Verdict::Advice,
                    "they crowd on few cores, whose shards have less time for their sessions",
                )
                .now("systemctl start irqbalance")
        } else if !shards.is_empty() && of_shards < wanted {
            let cores: Vec<String> = cores.iter().map(u32::to_string).collect();
            check
                .verdict(
                    Verdict::Advice,
                    format!(
                        "only {of_shards} of the cores they go to have a shard of the running \
                         server: what arrives goes on to another core"
                    ),
                )
                .now(format!("corecast serve --cpus {}", cores.join(",")))
        } else {
            check.verdict(Verdict::Fits, "they are spread over the shards' cores")
        })
    }
}

/// The first cores as the kernel writes sets of them: hexadecimal, in groups of 32.
fn mask(cores: u64) -> String {
    let mut groups = vec!["ffffffff".to_owned(); (cores / 32) as usize];
    if !cores.is_multiple_of(32) {
        groups.insert(0, format!("{:x}", (1u64 << (cores % 32)) - 1));
    }
    groups.join(",")
}

/// The cores an interrupt really goes to, or else may go to.
fn goes_to(root: &Root, number: &str) -> Option<BTreeSet<u32>> {
    ["effective_affinity_list", "smp_affinity_list"]
        .iter()
        .find_map(|file| {
            let list = root.read(format!("/proc/irq/{number}/{file}"))?;
            let cores: BTreeSet<u32> = text::ranges(&list).flatten().take(1 << 16).collect();
            (!cores.is_empty()).then_some(cores)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{Host, asked, of};

    fn card(host: &Host, name: &str, queues: usize, interrupts: &[(u32, &str)]) {
        let directory = format!("/sys/class/net/{name}");
        host.put(&format!("{directory}/operstate"), "up\n");
        host.put(&format!("{directory}/device/vendor"), "0x8086\n");
        for queue in 0..queues {
            host.put(
                &format!("{directory}/queues/rx-{queue}/rps_cpus"),
                "00,00000000\n",
            );
            host.put(&format!("{directory}/queues/tx-{queue}/xps_cpus"), "0\n");
        }
        for (number, cores) in interrupts {
            host.put(&format!("{directory}/device/msi_irqs/{number}"), "msix\n");
            host.put(&format!("/proc/irq/{number}/smp_affinity_list"), "0-7\n");
            host.put(
                &format!("/proc/irq/{number}/effective_affinity_list"),
                cores,
            );
        }
    }

    fn shards_of(shards: u64) -> Asked {
        Asked {
            shards,
            ..asked(100_000)
        }
    }

    #[test]
    fn interfaces_without_a_device_are_no_cards() {
        let host = Host::new();
        for name in ["lo", "veth0", "docker0"] {
            let directory = format!("/sys/class/net/{name}");
            host.put(&format!("{directory}/operstate"), "unknown\n");
            host.put(&format!("{directory}/queues/rx-0/rps_cpus"), "0\n");
        }
        card(&host, "eth1", 1, &[]);
        host.put("/sys/class/net/eth1/operstate", "down\n");
        assert!(
            Facts::read(&host.root, None)
                .checks(&shards_of(8))
                .is_empty()
        );
    }

    #[test]
    fn there_should_be_a_queue_for_each_shard() {
        let host = Host::new();
        card(&host, "eth0", 4, &[]);
        let verdict = |count| {
            let checks = Facts::read(&host.root, None).checks(&shards_of(count));
            assert_eq!(checks.len(), 1, "no interrupts to place: {checks:?}");
            of(&checks, "receive queues of eth0").verdict
        };
        assert_eq!((verdict(4), verdict(8)), (Verdict::Fits, Verdict::Advice));
        host.put("/sys/devices/system/cpu/online", "0-3\n");
        assert_eq!(verdict(8), Verdict::Fits, "two shards on each core");
        host.put("/sys/devices/system/cpu/online", "0-7\n");
        assert_eq!(verdict(8), Verdict::Advice);
        host.put("/sys/class/net/eth0/queues/rx-0/rps_cpus", "00,0000000f\n");
        assert_eq!(verdict(8), Verdict::Fits);
    }

    #[test]
    fn interrupts_should_not_crowd_on_one_core() {
        let verdict = |interrupts: &[(u32, &str)]| {
            let host = Host::new();
            card(&host, "eth0", 2, interrupts);
            let checks = Facts::read(&host.root, None).checks(&shards_of(2));
            of(&checks, "interrupts of eth0").verdict
        };
        assert_eq!(verdict(&[(30, "0\n"), (31, "1\n")]), Verdict::Fits);
        assert_eq!(verdict(&[(30, "0\n"), (31, "0\n")]), Verdict::Advice);
        assert_eq!(
            verdict(&[(30, "\n"), (31, "\n")]),
            Verdict::Fits,
            "may go anywhere"
        );
    }

    #[test]
    fn interrupts_should_go_where_the_shards_are() {
        let host = Host::new();
        card(&host, "eth0", 2, &[(30, "0\n"), (31, "1\n")]);
        let judge = |shards: [u32; 2]| {
            let facts = Facts {
                shards: shards.into(),
                ..Facts::read(&host.root, None)
            };
            of(&facts.checks(&shards_of(2)), "interrupts of eth0").clone()
        };
        assert_eq!(judge([0, 1]).verdict, Verdict::Fits);
        let elsewhere = judge([1, 2]);
        assert_eq!(elsewhere.verdict, Verdict::Advice);
        assert!(elsewhere.why.starts_with("only 1 of the cores"));
        let now = elsewhere.fix.unwrap().now;
        assert_eq!(now.as_deref(), Some("corecast serve --cpus 0,1"));
    }

    #[test]
    fn masks_are_hexadecimal_in_groups() {
        let masks = [1, 2, 8, 32, 36].map(mask);
        assert_eq!(masks, ["1", "3", "ff", "ffffffff", "f,ffffffff"]);
    }

    #[test]
    fn interrupts_that_are_hidden_are_unknown() {
        let host = Host::new();
        card(&host, "eth0", 2, &[]);
        host.put("/sys/class/net/eth0/device/msi_irqs/40", "msix\n");
        let checks = Facts::read(&host.root, None).checks(&shards_of(2));
        assert_eq!(of(&checks, "interrupts of eth0").verdict, Verdict::Unknown);
    }
}
