//! The program that a new process runs: the file that is at this program's path
//! at the time of the hand-over.
//!
//! # Invariants worth naming
//!
//! - The path is found while the program starts, when the file under it is still the
//!   one that runs. `argv[0]` counts only if it names that file: the parent of a
//!   process may give it any name.
//! - A path as it was typed is preferred to the one that the kernel tells, which
//!   has its symbolic links resolved: an upgrade may have changed the link.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

/// The kernel's name for the file that runs, whether it still has a path or not.
const SELF: &str = "/proc/self/exe";

/// This program, as it can be started again.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// The path at which the file is, or was.
    path: PathBuf,
    /// The words that it was started with, its own name the first.
    words: Vec<OsString>,
}

impl Program {
    /// The one that runs.
    pub(super) fn running() -> Self {
        let words: Vec<_> = env::args_os().collect();
        let name = words.first().cloned().unwrap_or_default();
        let search = env::var_os("PATH").unwrap_or_default();
        let path = path(&name, &search, Path::new(SELF));
        Program { path, words }
    }

    /// A command that starts it with the same arguments: the file that is at its
    /// path now, or the one that runs where there is none.
    pub(super) fn command(&self) -> Command {
        let there = !matches!(
            fs::metadata(&self.path),
            Err(error) if error.kind() == io::ErrorKind::NotFound
        );
        let mut command = if there || !Path::new(SELF).exists() {
            Command::new(&self.path)
        } else {
            tracing::warn!(
                "{} is no longer there; the new process runs the program that this process runs",
                self.path.display()
            );
            Command::new(SELF)
        };
        let mut words = self.words.iter();
        if let Some(name) = words.next() {
            command.arg0(name);
        }
        command.args(words);
        command
    }

    /// The path at which the file is looked for.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The path of the program that was started as `name` and whose file is `own`.
fn path(name: &OsStr, search: &OsStr, own: &Path) -> PathBuf {
    let typed = if name.as_bytes().contains(&b'/') {
        vec![PathBuf::from(name)]
    } else {
        let folders = env::split_paths(search);
        folders.map(|folder| folder.join(name)).collect()
    };
    let typed = typed
        .into_iter()
        .filter_map(|path| absolute(path).ok())
        .find(|path| is_same(path, own));
    let told = || fs::read_link(own).ok().map(without_mark);
    typed.or_else(told).unwrap_or_else(|| PathBuf::from(name))
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// The path of a file without the mark that the kernel adds when it was removed
/// or replaced.
fn without_mark(path: PathBuf) -> PathBuf {
    let mut bytes = path.into_os_string().into_vec();
    if bytes.ends_with(b" (deleted)") {
        bytes.truncate(bytes.len() - b" (deleted)".len());
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_typed_path_counts_if_it_is_that_of_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("corecast-1.0"), "").unwrap();
        fs::write(at("other"), "").unwrap();
        symlink(at("corecast-1.0"), at("corecast")).unwrap();
        symlink(at("corecast-1.0"), at("exe")).unwrap();
        let search = folder.path().as_os_str();
        let found = |name: &str| path(name.as_ref(), search, &at("exe"));

        // The link, not what it leads to now.
        assert_eq!(found(at("corecast").to_str().unwrap()), at("corecast"));
        assert_eq!(found("corecast"), at("corecast"));
        // The name of another file, and of none: what the kernel tells.
        assert_eq!(found("other"), at("corecast-1.0"));
        assert_eq!(found("-web"), at("corecast-1.0"));
        assert_eq!(found("/nowhere/web"), at("corecast-1.0"));
        // Without /proc there is nothing but the word.
        assert_eq!(path("web".as_ref(), search, &at("none")), Path::new("web"));
    }

    #[test]
    fn a_replaced_file_is_looked_for_under_its_name() {
        let marked = without_mark(PathBuf::from("/usr/bin/corecast (deleted)"));
        assert_eq!(marked, Path::new("/usr/bin/corecast"));
        assert_eq!(without_mark(marked.clone()), marked);
    }

    #[test]
    fn a_program_whose_file_is_gone_is_started_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::running();
        assert_eq!(program.command().get_program(), program.path());
        program.path = folder.path().join("gone");
        assert_eq!(program.command().get_program(), SELF);
    }
}
