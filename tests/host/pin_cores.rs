//! `tools/deploy/pin-cores` puts a card's queues on the shards' cores one to one,
//! shows every change before it makes it, and sets all back.
//!
//! How: it works on a copy of the files that a host with eight cores and a card with
//! four queues has, or one queue. Needs python3; without it says so and passes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::{run, skip};
use tempfile::TempDir;

const IRQ: &str = "proc/irq";
const QUEUES: &str = "sys/class/net/eth0/queues";
const GOVERNOR: &str = "cpufreq/scaling_governor";

/// A host as its files show it.
struct Host(TempDir);

impl Host {
    fn new(queues: u32) -> Host {
        let host = Host(tempfile::tempdir().unwrap());
        let device = "sys/devices/pci0000:00/0000:00:05.0";
        host.put("sys/devices/system/cpu/online", "0-7");
        host.put(&format!("{device}/numa_node"), "0");
        host.put("sys/devices/system/node/node0/cpulist", "0-3");
        let mut interrupts = String::from("           CPU0       CPU1\n");
        let mut line = |number: u32, name: &str| {
            interrupts.push_str(&format!(
                " {number}:  5  0  PCI-MSIX-0000:00:05.0  0-edge  {name}\n"
            ));
            host.put(&format!("{IRQ}/{number}/smp_affinity_list"), "0-7");
        };
        line(40, "eth0-config-0");
        for queue in 0..queues {
            line(41 + queue, &format!("ice-eth0-TxRx-{queue}"));
            host.put(&format!("{QUEUES}/rx-{queue}/rps_cpus"), "ff");
            host.put(&format!("{QUEUES}/tx-{queue}/xps_cpus"), "00");
        }
        for number in 40..41 + queues {
            host.put(&format!("{device}/msi_irqs/{number}"), "msix");
        }
        // Another card's, which must be left alone.
        line(90, "eth1-TxRx-0");
        host.put("proc/interrupts", &interrupts);
        for core in 0..8 {
            host.put(
                &format!("sys/devices/system/cpu/cpu{core}/{GOVERNOR}"),
                "powersave",
            );
        }
        host.put("sys/class/net/lo/mtu", "65536");
        symlink(
            format!("../../../../{device}"),
            host.0.path().join("sys/class/net/eth0/device"),
        )
        .unwrap();
        host
    }

    /// A host on which irqbalance runs; `systemctl` notes what it was asked.
    fn with_irqbalance(self) -> Host {
        self.put("proc/123/comm", "irqbalance");
        self.put("usr/bin/systemctl", "#!/bin/sh\necho \"$@\" >>\"$0.asked\"");
        let program = self.0.path().join("usr/bin/systemctl");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn get(&self, path: &str) -> String {
        let text = fs::read_to_string(self.0.path().join(path));
        text.unwrap_or_else(|error| panic!("{path}: {error}"))
            .trim()
            .to_owned()
    }

    /// All files and their contents.
    fn files(&self) -> BTreeMap<String, String> {
        fn walk(directory: &Path, files: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(directory).unwrap().flatten() {
                let path = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    walk(&path, files);
                } else if let Ok(text) = fs::read_to_string(&path) {
                    files.insert(path.display().to_string(), text);
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(self.0.path(), &mut files);
        files
    }

    fn pin(&self, arguments: &[&str]) -> (i32, String, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/deploy/pin-cores");
        let mut command = Command::new("python3");
        command
            .arg("-B")
            .arg(script)
            .arg("--root")
            .arg(self.0.path());
        run(command.args(arguments))
    }
}

fn python_is_missing(test: &str) -> bool {
    let missing = Command::new("python3").arg("--version").output().is_err();
    if missing {
        skip(test, "there is no python3");
    }
    missing
}

#[test]
fn showing_changes_nothing() {
    if python_is_missing("pin-cores shows") {
        return;
    }
    let host = Host::new(4).with_irqbalance();
    let before = host.files();
    let (code, out, err) = host.pin(&["--cpus", "4-7"]);
    assert_eq!(code, 0, "{out}{err}");
    for expected in [
        "irqbalance: runs → stopped\n    undo: systemctl start irqbalance",
        "interrupt 41 (ice-eth0-TxRx-0): 0-7 → 4\n    undo: echo 0-7 > /proc/irq/41/smp_affinity_list",
        "interrupt 44 (ice-eth0-TxRx-3): 0-7 → 7",
        "RPS of rx-2: ff → 00000000",
        "XPS of tx-1: 00 → 00000020",
        "governor of core 6: powersave → performance",
        "on NUMA node 0 with cores 0-3",
        "Nothing was changed",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    assert_eq!(host.files(), before);
}

#[test]
fn a_queue_for_each_core_is_applied_and_undone() {
    if python_is_missing("pin-cores applies") {
        return;
    }
    let host = Host::new(4).with_irqbalance();
    let before = host.files();
    let (code, out, err) = host.pin(&["--interface", "eth0", "--cpus", "0,2,1,3", "--apply"]);
    assert_eq!(code, 0, "{out}{err}");
    // In the order in which the cores were named, as corecast deals out its shards.
    for (queue, core) in [0, 2, 1, 3].into_iter().enumerate() {
        let bit = 1 << core;
        assert_eq!(
            host.get(&format!("{IRQ}/{}/smp_affinity_list", 41 + queue)),
            core.to_string()
        );
        assert_eq!(
            host.get(&format!("{QUEUES}/tx-{queue}/xps_cpus")),
            format!("{bit:08x}")
        );
        assert_eq!(
            host.get(&format!("{QUEUES}/rx-{queue}/rps_cpus")),
            "00000000"
        );
        let governor = format!("sys/devices/system/cpu/cpu{core}/{GOVERNOR}");
        assert_eq!(host.get(&governor), "performance");
    }
    let others = [
        format!("{IRQ}/40/smp_affinity_list"),
        format!("{IRQ}/90/smp_affinity_list"),
    ];
    assert!(others.iter().all(|other| host.get(other) == "0-7"));
    let other_core = format!("sys/devices/system/cpu/cpu4/{GOVERNOR}");
    assert_eq!(host.get(&other_core), "powersave");
    assert_eq!(host.get("usr/bin/systemctl.asked"), "stop irqbalance");

    // Applied again, on other cores, it still goes back to the beginning.
    host.put("proc/123/comm", "another program");
    let (code, out, err) = host.pin(&["--cpus", "0-3"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("interrupt 42 (ice-eth0-TxRx-1): 2 → 1"),
        "{out}"
    );
    assert_eq!(host.pin(&["--cpus", "4-7", "--apply"]).0, 0);
    let (code, out, err) = host.pin(&["--undo"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(
        host.get("usr/bin/systemctl.asked"),
        "stop irqbalance\nstart irqbalance"
    );
    fs::remove_file(host.0.path().join("usr/bin/systemctl.asked")).unwrap();
    host.put("proc/123/comm", "irqbalance");
    assert_eq!(host.files(), before);

    let (code, _, err) = host.pin(&["--undo"]);
    assert!(
        code == 1 && err.contains("nothing to undo"),
        "{code}: {err}"
    );
}

#[test]
fn what_is_right_already_is_not_touched() {
    if python_is_missing("pin-cores touches nothing") {
        return;
    }
    let host = Host::new(4);
    assert_eq!(host.pin(&["--cpus", "0-3", "--apply"]).0, 0);
    let (code, out, err) = host.pin(&["--cpus", "0-3", "--apply"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("16 settings for cores 0,1,2,3, 16 as they should be"),
        "{out}"
    );
    assert!(out.contains("Nothing to change."), "{out}");
}

/// With one queue the kernel must spread what the card cannot.
#[test]
fn one_queue_is_spread_over_the_cores_by_the_kernel() {
    if python_is_missing("pin-cores with one queue") {
        return;
    }
    let host = Host::new(1);
    let (code, out, err) = host.pin(&["--cpus", "0-3", "--apply"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("1 receive queues for 4 cores"), "{out}");
    assert!(out.contains("ethtool -L eth0 combined 4"), "{out}");
    assert_eq!(host.get(&format!("{IRQ}/41/smp_affinity_list")), "0");
    assert_eq!(host.get(&format!("{QUEUES}/rx-0/rps_cpus")), "0000000f");
    assert_eq!(host.get(&format!("{QUEUES}/tx-0/xps_cpus")), "0000000f");
}

/// Some interrupts are placed by the kernel, which refuses to be told.
#[test]
fn a_setting_that_is_refused_is_named_and_the_others_are_made() {
    if python_is_missing("pin-cores is refused") {
        return;
    }
    let host = Host::new(4);
    // A setting that no user may change, root neither; it reads as 256.
    let refused = host.0.path().join(format!("{QUEUES}/tx-1/xps_cpus"));
    fs::remove_file(&refused).unwrap();
    symlink("/proc/sys/kernel/random/poolsize", &refused).unwrap();
    let (code, out, err) = host.pin(&["--cpus", "0-3", "--apply"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(
        err.contains("tx-1/xps_cpus: cannot be set to 00000002"),
        "{err}"
    );
    assert_eq!(host.get(&format!("{IRQ}/44/smp_affinity_list")), "3");
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    if python_is_missing("pin-cores and bad input") {
        return;
    }
    let host = Host::new(2);
    for (arguments, expected) in [
        (&["--cpus", "0-9"][..], "not online: 8, 9"),
        (&["--cpus", "3-1"], "is not a list of cores"),
        (&["--cpus", "1,1"], "names a core twice"),
        (&["--interface", "eth7"], "there is no eth7"),
        (&["--interface", "lo"], "lo has no receive queues"),
    ] {
        let (code, out, err) = host.pin(arguments);
        assert_eq!(code, 1, "{arguments:?}: {out}{err}");
        assert!(
            err.contains(expected) && err.lines().count() == 1,
            "{arguments:?}: {err}"
        );
    }
}
