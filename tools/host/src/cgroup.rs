//! The limits that a container or a systemd unit puts on a process.

use std::path::{Path, PathBuf};

use super::root::Root;

/// Above this a limit stands for none: version 1 writes the largest multiple
/// of a page.
const NONE: u64 = 1 << 60;

/// The files with the memory limit and the memory use of a process's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    limit: PathBuf,
    used: PathBuf,
}

impl Group {
    /// The group of this process, or the nearest above it with a limit on memory.
    pub fn find(root: &Root) -> Option<Group> {
        Group::of(root, "self")
    }

    /// The same of another process: its id, or `self`.
    pub fn of(root: &Root, process: &str) -> Option<Group> {
        let groups = root.read(format!("/proc/{process}/cgroup"))?;
        candidates(&groups)
            .into_iter()
            .find(|group| group.limit_bytes(root).is_some())
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
}

/// The text of a limit; `max` is none.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < NONE)
}

/// Every group whose memory limit applies, from the innermost outwards.
fn candidates(groups: &str) -> Vec<Group> {
    directories(groups, "memory")
        .into_iter()
        .map(|directory| {
            let (limit, used) = match directory.version {
                1 => ("memory.limit_in_bytes", "memory.usage_in_bytes"),
                _ => ("memory.max", "memory.current"),
            };
            Group {
                limit: directory.path.join(limit),
                used: directory.path.join(used),
            }
        })
        .collect()
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
