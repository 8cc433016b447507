//! The memory limit that a container or a systemd unit puts on this process.

use std::path::{Path, PathBuf};

use super::text::{read, read_number};

/// Above this a limit stands for none: version 1 writes the largest multiple
/// of a page.
const NONE: u64 = 1 << 60;

/// Where the limit and the use of this process's group are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    limit: PathBuf,
    used: PathBuf,
}

impl Group {
    /// The group of this process, or the nearest above it with a limit.
    pub(super) fn find() -> Option<Group> {
        let groups = read("/proc/self/cgroup")?;
        candidates(&groups)
            .into_iter()
            .find(|group| group.limit_bytes().is_some())
    }

    /// Its limit in bytes.
    pub(super) fn limit_bytes(&self) -> Option<u64> {
        limit(&read(&self.limit)?)
    }

    /// What its processes use, in bytes.
    pub(super) fn used_bytes(&self) -> Option<u64> {
        read_number(&self.used)
    }
}

/// The text of a limit; `max` is none.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < NONE)
}

/// Every group this process is in, from the innermost outwards. A container
/// sees its own group as the root of the file system, so that the path in
/// `/proc/self/cgroup` may not exist there.
fn candidates(groups: &str) -> Vec<Group> {
    let place = |line: &str| -> Option<(PathBuf, &'static str, &'static str, PathBuf)> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let path = Path::new(path.trim_start_matches('/')).to_owned();
        if controllers.is_empty() {
            let root = PathBuf::from("/sys/fs/cgroup");
            Some((root, "memory.max", "memory.current", path))
        } else if controllers.split(',').any(|name| name == "memory") {
            let root = PathBuf::from("/sys/fs/cgroup/memory");
            let (limit, used) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
            Some((root, limit, used, path))
        } else {
            None
        }
    };
    groups
        .lines()
        .filter_map(place)
        .flat_map(|(root, limit, used, path)| {
            path.ancestors()
                .map(|part| root.join(part))
                .map(|directory| Group {
                    limit: directory.join(limit),
                    used: directory.join(used),
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_written_in_two_ways() {
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(limit("1073741824\n"), Some(1 << 30));
    }

    #[test]
    fn groups_are_tried_from_the_inside_out() {
        let limits = |text| -> Vec<_> {
            candidates(text)
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
