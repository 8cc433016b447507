//! Which Pythons are here.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use corecast_kit::process::{Place, Process};

use crate::{Error, Result};

/// Time an interpreter has to tell its version.
const LIMIT: Duration = Duration::from_secs(60);

/// A major and a minor version.
pub type Version = (u32, u32);

/// The oldest Python that kosoku runs on.
pub const OLDEST: Version = (3, 10);

/// The places where Pythons are looked for, as the environment has them.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `PATH`.
    pub path: OsString,
    /// `PYTHON2`: an interpreter that the user chose.
    pub python2: Option<PathBuf>,
    /// `PYTHON`: the same for Python 3.
    pub python3: Option<PathBuf>,
    /// The folder with pyenv's versions: `PYENV_ROOT`, else `~/.pyenv`.
    pub pyenv: Option<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub fn from_env() -> Places {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        Places {
            path: variable("PATH").unwrap_or_default(),
            python2: variable("PYTHON2").map(PathBuf::from),
            python3: variable("PYTHON").map(PathBuf::from),
            pyenv: variable("PYENV_ROOT")
                .map(PathBuf::from)
                .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".pyenv"))),
        }
    }

    fn on_path(&self, name: &str) -> Option<PathBuf> {
        let folders = env::split_paths(&self.path);
        folders
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    }

    /// The versions of pyenv that begin so. It puts programs on `PATH` that
    /// only work for the version that is switched on.
    fn in_pyenv(&self, version: &str) -> Vec<PathBuf> {
        let Some(Ok(versions)) = self
            .pyenv
            .as_ref()
            .map(|root| fs::read_dir(root.join("versions")))
        else {
            return Vec::new();
        };
        let mut found: Vec<PathBuf> = versions
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(version))
            .map(|entry| entry.path().join("bin/python"))
            .filter(|program| program.is_file())
            .collect();
        found.sort();
        found
    }

    /// A Python 2.7 that works and has pip.
    ///
    /// # Errors
    ///
    /// Why there is none, in a few words.
    pub fn python2(&self) -> Result<PathBuf> {
        let candidates = match &self.python2 {
            Some(chosen) => vec![chosen.clone()],
            None => [self.on_path("python2.7"), self.on_path("python2")]
                .into_iter()
                .flatten()
                .chain(self.in_pyenv("2.7"))
                .collect(),
        };
        let mut without_pip = false;
        for program in candidates {
            if version(&program) != Some((2, 7)) {
                continue;
            }
            let mut pip = Command::new(&program);
            pip.args(["-m", "pip", "--version"]);
            if Process::succeed(&mut pip, Place::default(), LIMIT).is_ok() {
                return Ok(program);
            }
            without_pip = true;
        }
        Err(Error::Missing(match without_pip {
            true => "the Python 2.7 that is here has no pip".to_owned(),
            false => "there is no Python 2.7 here".to_owned(),
        }))
    }

    /// A Python 3 that is new enough for kosoku.
    ///
    /// # Errors
    ///
    /// The missing program, and the command that installs it.
    pub fn python3(&self) -> Result<PathBuf> {
        let candidates: Vec<PathBuf> = match &self.python3 {
            Some(chosen) => vec![chosen.clone()],
            None => self
                .on_path("python3")
                .into_iter()
                .chain(self.in_pyenv("3.1"))
                .collect(),
        };
        let is_new = |program: &&PathBuf| version(program).is_some_and(|it| it >= OLDEST);
        candidates.iter().find(is_new).cloned().ok_or_else(|| {
            let (major, minor) = OLDEST;
            Error::Missing(format!(
                "no python3 of version {major}.{minor} or newer; install it with: \
                 apt-get install python3 python3-venv"
            ))
        })
    }
}

/// The version of an interpreter, or `None` if it does not work.
fn version(program: &Path) -> Option<Version> {
    let mut command = Command::new(program);
    command.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    let written = Process::succeed(&mut command, Place::default(), LIMIT).ok()?;
    let (major, minor) = written.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Programs that pretend to be Pythons, for the tests of several modules.
#[cfg(test)]
pub(crate) mod test_support {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with such programs, as a machine may have them.
    pub struct Fakes {
        folder: tempfile::TempDir,
    }

    impl Fakes {
        pub fn new() -> Fakes {
            let folder = tempfile::tempdir().unwrap();
            Fakes { folder }
        }

        pub fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// A program that answers so when asked for its version, and with good
        /// or bad for each question in `can`: pip, install, environment.
        pub fn add(&self, path: &str, version: &str, can: &[&str]) -> PathBuf {
            let program = self.path(path);
            fs::create_dir_all(program.parent().unwrap()).unwrap();
            let answer =
                |question: &str| format!("{question}() {{ {}; }}\n", can.contains(&question));
            let answers = ["pip", "install", "environment"].map(answer).concat();
            let answers = format!("version() {{ {version}; }}\n{answers}");
            fs::write(format!("{}.answers", program.display()), answers).unwrap();
            let _ = fs::remove_file(&program);
            // A file that was just written may still be open in a child of
            // another test, and cannot be executed then. A link can.
            let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fake-python");
            symlink(fake, &program).unwrap();
            program
        }

        pub fn places(&self) -> Places {
            Places {
                path: self.path("bin").into_os_string(),
                pyenv: Some(self.path("pyenv")),
                ..Places::default()
            }
        }

        pub fn python2(&self) -> std::result::Result<PathBuf, String> {
            let found = self.places().python2();
            found.map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::test_support::Fakes;

    #[test]
    fn a_python_2_on_the_path_is_found() {
        let fakes = Fakes::new();
        assert!(fakes.python2().unwrap_err().contains("no Python 2.7"));
        let python = fakes.add("bin/python2.7", "echo 2.7", &["pip"]);
        assert_eq!(fakes.python2(), Ok(python));
    }

    #[test]
    fn one_that_does_not_work_is_passed_over() {
        let fakes = Fakes::new();
        fakes.add(
            "bin/python2.7",
            "echo 'not switched on' >&2; exit 127",
            &["pip"],
        );
        assert!(fakes.python2().unwrap_err().contains("no Python 2.7"));
        let python = fakes.add("pyenv/versions/2.7.18/bin/python", "echo 2.7", &["pip"]);
        fakes.add("pyenv/versions/3.11.7/bin/python", "echo 3.11", &["pip"]);
        assert_eq!(fakes.python2(), Ok(python));
    }

    #[test]
    fn another_version_under_the_name_is_passed_over() {
        let fakes = Fakes::new();
        fakes.add("bin/python2", "echo 3.11", &["pip"]);
        assert!(fakes.python2().unwrap_err().contains("no Python 2.7"));
    }

    #[test]
    fn one_without_pip_is_named() {
        let fakes = Fakes::new();
        fakes.add("bin/python2.7", "echo 2.7", &[]);
        assert!(fakes.python2().unwrap_err().contains("has no pip"));
    }

    #[test]
    fn what_somebody_chose_is_all_that_counts() {
        let fakes = Fakes::new();
        fakes.add("bin/python2.7", "echo 2.7", &["pip"]);
        let chosen = fakes.add("elsewhere/python", "echo 2.7", &["pip"]);
        let mut places = fakes.places();
        places.python2 = Some(chosen.clone());
        assert_eq!(places.python2().unwrap(), chosen);
        places.python2 = Some("/nowhere/python".into());
        assert!(places.python2().is_err());
    }

    #[test]
    fn a_python_3_is_new_enough() {
        let fakes = Fakes::new();
        fakes.add("bin/python3", "echo 3.9", &["pip"]);
        let error = fakes.places().python3().unwrap_err();
        assert!(
            error.to_string().contains("apt-get install python3"),
            "{error}"
        );
        let python = fakes.add("bin/python3", "echo 3.10", &["pip"]);
        assert_eq!(fakes.places().python3().unwrap(), python);
    }
}
