//! The limits that a container or a systemd unit puts on a process.

use std::path::{Path, PathBuf};

use super::root::Root;

/// Above this a limit stands for none: version 1 writes the largest multiple
/// of a page.
const NONE: u64 = 1 << 60;

/// What happens at a limit on memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Nothing more can be had: `memory.max`, and `memory.limit_in_bytes` of version 1.
    Max,
    /// The processes of the group are held up while the kernel takes memory back:
    /// `memory.high`.
    High,
}

/// A group with a limit on memory: the files with the limit and with the use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    limit: PathBuf,
    used: PathBuf,
}

impl Group {
    /// The group of this process, or the one above it, that will refuse memory first.
    pub fn find(root: &Root) -> Option<Group> {
        Group::of(root, "self", Bound::Max)
    }

    /// The same of another process: its id, or `self`. Limits nest, and that of each
    /// group holds for all below it, so the tightest is the one with the least room left.
    pub fn of(root: &Root, process: &str, bound: Bound) -> Option<Group> {
        let groups = root.read(format!("/proc/{process}/cgroup"))?;
        let with_room = |group: Group| Some((group.free_bytes(root)?, group));
        candidates(&groups, bound)
            .into_iter()
            .filter_map(with_room)
            .min_by_key(|(free, _)| *free)
            .map(|(_, group)| group)
    }

    /// Its limit in bytes.
    pub fn limit_bytes(&self, root: &Root) -> Option<u64> {
        limit(&root.read(&self.limit)?)
    }

    /// The memory that its processes use, in bytes.
    pub fn used_bytes(&self, root: &Root) -> Option<u64> {
        root.read_number(&self.used)
    }

    /// The file that holds the limit.
    pub fn limit_path(&self) -> &Path {
        &self.limit
    }

    /// What can still be had; all of it where the use cannot be read.
    fn free_bytes(&self, root: &Root) -> Option<u64> {
        let used = self.used_bytes(root).unwrap_or(0);
        Some(self.limit_bytes(root)?.saturating_sub(used))
    }
}

/// The text of a limit; `max` is none.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < NONE)
}

/// Every group whose memory limit may apply, from the innermost outwards.
fn candidates(groups: &str, bound: Bound) -> Vec<Group> {
    let files = |directory: Directory| {
        let (limit, used) = match (directory.version, bound) {
            (1, Bound::Max) => ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            // Its soft limit only says who gives memory back first.
            (1, Bound::High) => return None,
            (_, Bound::Max) => ("memory.max", "memory.current"),
            (_, Bound::High) => ("memory.high", "memory.current"),
        };
        Some(Group {
            limit: directory.path.join(limit),
            used: directory.path.join(used),
        })
    };
    let directories = directories(groups, "memory");
    directories.into_iter().filter_map(files).collect()
}

/// The directory of a control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its path.
    pub path: PathBuf,
    /// 1 or 2: the files in it have other names.
    pub version: u8,
}

/// The directories of every group whose limits in `controller` apply, from the
/// innermost outwards, by the text of a `/proc/PID/cgroup`. A container sees
/// its own group as the root of the file system, so that the path in that text
/// may not exist there.
pub fn directories(groups: &str, controller: &str) -> Vec<Directory> {
    let place = |line: &str| -> Option<(PathBuf, u8, PathBuf)> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let path = Path::new(path.trim_start_matches('/')).to_owned();
        if controllers.is_empty() {
            Some((PathBuf::from("/sys/fs/cgroup"), 2, path))
        } else if controllers.split(',').any(|name| name == controller) {
            Some((Path::new("/sys/fs/cgroup").join(controller), 1, path))
        } else {
            None
        }
    };
    let of = |(root, version, path): (PathBuf, u8, PathBuf)| -> Vec<Directory> {
        path.ancestors()
            .map(|part| Directory {
                path: root.join(part),
                version,
            })
            .collect()
    };
    groups.lines().filter_map(place).flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::Host;

    #[test]
    fn no_limit_is_written_in_two_ways() {
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(limit("1073741824\n"), Some(1 << 30));
    }

    /// The tightest limit of a process in `/a/b`, by the files of its groups.
    fn tightest(files: &[(&str, u64)], bound: Bound) -> Option<String> {
        let host = Host::new();
        host.put("/proc/7/cgroup", "0::/a/b\n");
        for (file, bytes) in files {
            host.put(&format!("/sys/fs/cgroup/{file}"), &format!("{bytes}\n"));
        }
        host.put("/sys/fs/cgroup/a/b/memory.high", "max\n");
        let group = Group::of(&host.root, "7", bound)?;
        let path = group.limit_path().strip_prefix("/sys/fs/cgroup").unwrap();
        Some(path.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_tightest_limit_may_be_that_of_a_group_above() {
        let limits = [("a/memory.max", 256 << 20), ("a/b/memory.max", 4 << 30)];
        assert_eq!(tightest(&limits, Bound::Max).unwrap(), "a/memory.max");
        let limits = [("memory.max", 1 << 30), ("a/b/memory.max", 256 << 20)];
        assert_eq!(tightest(&limits, Bound::Max).unwrap(), "a/b/memory.max");
        // The larger one has less room: others use it too.
        let limits = [
            ("a/memory.max", 4 << 30),
            ("a/memory.current", (4 << 30) - 1_000),
            ("a/b/memory.max", 256 << 20),
            ("a/b/memory.current", 1_000),
        ];
        assert_eq!(tightest(&limits, Bound::Max).unwrap(), "a/memory.max");
        assert_eq!(tightest(&[], Bound::Max), None);
    }

    #[test]
    fn the_bound_at_which_processes_are_held_up_is_another() {
        let limits = [("a/memory.high", 128 << 20), ("a/b/memory.max", 1 << 30)];
        assert_eq!(tightest(&limits, Bound::High).unwrap(), "a/memory.high");
        assert_eq!(tightest(&limits, Bound::Max).unwrap(), "a/b/memory.max");
        assert_eq!(tightest(&limits[1..], Bound::High), None);
    }

    #[test]
    fn limits_of_version_1_nest_too() {
        let host = Host::new();
        host.put("/proc/self/cgroup", "4:memory:/x/y\n");
        host.put(
            "/sys/fs/cgroup/memory/x/memory.limit_in_bytes",
            "268435456\n",
        );
        host.put(
            "/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes",
            "4294967296\n",
        );
        let group = Group::find(&host.root).unwrap();
        assert_eq!(group.limit_bytes(&host.root), Some(256 << 20));
        assert_eq!(Group::of(&host.root, "self", Bound::High), None);
    }

    #[test]
    fn groups_are_tried_from_the_inside_out() {
        let limits = |text| -> Vec<_> {
            candidates(text, Bound::Max)
                .into_iter()
                .map(|group| group.limit.to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(
            limits("0::/system.slice/a.service\n"),
            [
                "/sys/fs/cgroup/system.slice/a.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(
            limits("5:cpu:/x\n4:memory,hugetlb:/y\n"),
            [
                "/sys/fs/cgroup/memory/y/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
        );
        assert!(limits("nonsense\n").is_empty());
    }
}
