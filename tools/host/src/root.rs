//! The directory that the host's files are read from: `/`, or a directory that
//! stands for it.

use std::fmt;
use std::path::{Path, PathBuf};

/// The directory that stands for `/`. Tests put a `/proc` and a `/sys` of
/// their own making into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

/// A value that could not be read, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread(String);

/// Something read of the host, or the reason why it is not known.
pub type Reading<T> = Result<T, Unread>;

impl Unread {
    /// The reason, in words for people.
    pub fn new(why: impl Into<String>) -> Unread {
        Unread(why.into())
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unread {}

impl Default for Root {
    fn default() -> Self {
        Root(PathBuf::from("/"))
    }
}

impl Root {
    /// A directory that stands for `/`.
    pub fn at(directory: impl Into<PathBuf>) -> Root {
        Root(directory.into())
    }

    /// Whether this is the host itself, of which also system calls may be asked.
    pub fn is_real(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// The place of a path of the host, which may be written with or without
    /// its slash.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text, or `None` when it is missing, hidden or not text.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    /// A file that holds one number.
    pub fn read_number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.read(path)?.trim().parse().ok()
    }

    /// A file's text.
    ///
    /// # Errors
    /// The path and why it cannot be read.
    pub fn text(&self, path: impl AsRef<Path>) -> Reading<String> {
        let path = path.as_ref();
        std::fs::read_to_string(self.path(path))
            .map_err(|error| Unread(format!("cannot read {}: {error}", path.display())))
    }

    /// The value that `parse` makes of a file's text.
    ///
    /// # Errors
    /// The path, and that it cannot be read or is of a form unknown here.
    pub fn parsed<T>(
        &self,
        path: impl AsRef<Path>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Reading<T> {
        let path = path.as_ref();
        let text = self.text(path)?;
        parse(&text).ok_or_else(|| {
            let start: String = text.trim().chars().take(40).collect();
            Unread(format!(
                "{} has a form unknown here: '{start}'",
                path.display()
            ))
        })
    }

    /// A file that holds one number.
    ///
    /// # Errors
    /// The path, and that it cannot be read or holds something else.
    pub fn number(&self, path: impl AsRef<Path>) -> Reading<u64> {
        self.parsed(path, |text| text.trim().parse().ok())
    }

    /// A kernel parameter of one number, by its name with dots.
    ///
    /// # Errors
    /// As [`Root::number`].
    pub fn sysctl(&self, name: &str) -> Reading<u64> {
        self.number(sysctl_path(name))
    }

    /// The names in a directory, sorted; empty when there is none.
    pub fn names(&self, directory: impl AsRef<Path>) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(directory))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    /// Whether there is a file, directory or link of this name.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }
}

/// The file of a kernel parameter: `net.core.somaxconn` is
/// `/proc/sys/net/core/somaxconn`.
pub fn sysctl_path(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for (path, text) in files {
            let path = root.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (directory, root)
    }

    #[test]
    fn another_directory_stands_for_the_root() {
        let (_directory, root) = host(&[("/proc/sys/net/core/somaxconn", "8\n")]);
        assert!(!root.is_real() && Root::default().is_real());
        assert_eq!(root.sysctl("net.core.somaxconn"), Ok(8));
        assert_eq!(root.read_number("proc/sys/net/core/somaxconn"), Some(8));
        assert_eq!(root.names("/proc/sys/net"), ["core"]);
        assert!(root.exists("/proc") && !root.exists("/sys"));
    }

    #[test]
    fn what_is_not_read_says_which_file_and_why() {
        let (_directory, root) = host(&[("/proc/sys/fs/nr_open", "many\n")]);
        let missing = root.sysctl("fs.file-max").unwrap_err().to_string();
        assert!(
            missing.starts_with("cannot read /proc/sys/fs/file-max: No such"),
            "{missing}"
        );
        let form = root.sysctl("fs.nr_open").unwrap_err().to_string();
        assert_eq!(form, "/proc/sys/fs/nr_open has a form unknown here: 'many'");
        assert!(root.names("/sys/class/net").is_empty());
    }
}
