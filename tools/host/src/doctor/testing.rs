//! A host of a test's own making, and the load that is asked of it.

use std::fs;

use super::{Asked, Check, Role};
use crate::Root;

/// A directory that stands for `/`, and goes with the test.
pub struct Host {
    _directory: tempfile::TempDir,
    pub root: Root,
}

impl Host {
    /// A host that says nothing.
    pub fn new() -> Host {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        Host {
            _directory: directory,
            root,
        }
    }

    /// Writes a file of it.
    pub fn put(&self, path: &str, text: &str) {
        let path = self.root.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Sets a kernel parameter.
    pub fn sysctl(&self, name: &str, value: impl ToString) {
        self.put(&crate::sysctl_path(name), &(value.to_string() + "\n"));
    }
}

/// So many connections on a server with two shards, from one source.
pub fn asked(connections: u64) -> Asked {
    Asked {
        connections,
        sources: 1,
        targets: 1,
        role: Role::Server,
        shards: 2,
        open: 0,
    }
}

/// The check of this limit.
#[track_caller]
pub fn of<'c>(checks: &'c [Check], limit: &str) -> &'c Check {
    checks
        .iter()
        .find(|check| check.limit == limit)
        .unwrap_or_else(|| panic!("no check of {limit}: {checks:#?}"))
}
