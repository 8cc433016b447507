//! A suite in a virtual environment of its own, installed once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use corecast_kit::During;
use corecast_kit::process::{Place, Process};
use strum::IntoEnumIterator;

use crate::installed::Installed;
use crate::python::Places;
use crate::suite::Suite;
use crate::{Error, Result};

/// Time an installation has. The original's packages are compiled.
const LIMIT: Duration = Duration::from_secs(600);
/// Makes virtual environments for Python 2.7; the last version that can.
const VIRTUALENV: &str = "virtualenv==20.15.1";
/// The file that says what was installed. It is written last.
const STAMP: &str = "installed";

/// The suite that was asked for, or else the best that can be had. `say` is
/// called with the choice and the reason.
///
/// # Errors
///
/// The program that is missing for the suite that was asked for, or for the
/// last choice.
pub fn install(
    wanted: Option<Suite>,
    directory: &Path,
    places: &Places,
    mut say: impl FnMut(&str),
) -> Result<Installed> {
    let mut why = "as asked for".to_owned();
    let suites = match wanted {
        Some(suite) => vec![suite],
        None => {
            why = "the original".to_owned();
            Suite::iter().collect()
        }
    };
    let (last, better) = suites.split_last().expect("there is a suite");
    for suite in better {
        match install_one(*suite, directory, places, &mut say) {
            Ok(installed) => {
                say(&format!("suite: {suite} {} ({why})", suite.version()));
                return Ok(installed);
            }
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().next().unwrap_or_default();
                let reason = reason.trim_end_matches("; it wrote:");
                why = format!("not {suite} {}: {reason}", suite.version());
            }
        }
    }
    let installed = install_one(*last, directory, places, &mut say)?;
    say(&format!("suite: {last} {} ({why})", last.version()));
    Ok(installed)
}

fn install_one(
    suite: Suite,
    directory: &Path,
    places: &Places,
    say: &mut impl FnMut(&str),
) -> Result<Installed> {
    let home = directory.join(suite.name());
    let (program, python) = match suite {
        Suite::AutobahnTestSuite => ("bin/wstest", "bin/python"),
        Suite::Kosoku => ("bin/kosoku", "bin/python3"),
    };
    let installed = Installed {
        suite,
        program: home.join(program),
    };
    let stamp = home.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|what| what == suite.requirements()) {
        return Ok(installed);
    }

    let during = || format!("making {}", home.display());
    if home.exists() {
        fs::remove_dir_all(&home).during(during())?;
    }
    fs::create_dir_all(directory).during(during())?;
    let log = directory.join(format!("{suite}-install.log"));
    let interpreter = match suite {
        Suite::AutobahnTestSuite => places.python2()?,
        Suite::Kosoku => places.python3()?,
    };
    say(&format!("installing {suite} {}", suite.version()));
    match suite {
        Suite::AutobahnTestSuite => make_old_environment(&interpreter, directory, &home, &log)?,
        Suite::Kosoku => make_environment(&interpreter, &home, &log)?,
    }
    let requirements = directory.join(format!("{suite}-requirements.txt"));
    fs::write(&requirements, suite.requirements()).during(during())?;
    // Everything is pinned, so nothing else may come with it.
    let mut pip = pip(&home.join(python));
    run(
        pip.args(["--no-deps", "--requirement"]).arg(&requirements),
        &log,
    )?;
    fs::write(&stamp, suite.requirements()).during(during())?;
    Ok(installed)
}

fn make_environment(python3: &Path, home: &Path, log: &Path) -> Result<()> {
    let mut venv = Command::new(python3);
    run(venv.args(["-m", "venv"]).arg(home), log).map_err(|error| {
        Error::Missing(format!(
            "{error}  python3 cannot make virtual environments; \
             install what it needs with: apt-get install python3-venv"
        ))
    })
}

/// Python 2.7 has nothing of its own for this, so a tool is installed beside it.
fn make_old_environment(python2: &Path, directory: &Path, home: &Path, log: &Path) -> Result<()> {
    let tools = directory.join("virtualenv");
    let mut pip = pip(python2);
    pip.arg("--target").arg(&tools);
    run(pip.args(["--upgrade", VIRTUALENV]), log)?;
    let mut virtualenv = Command::new(python2);
    virtualenv.env("PYTHONPATH", &tools);
    run(
        virtualenv.args(["-m", "virtualenv", "--quiet"]).arg(home),
        log,
    )
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    command.args(["--retries", "2"]);
    command.env("PIP_ROOT_USER_ACTION", "ignore");
    command
}

fn run(command: &mut Command, log: &Path) -> Result<()> {
    Process::succeed(command, Place::logged(log), LIMIT).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::test_support::Fakes;

    const ALL: &[&str] = &["pip", "install", "environment"];

    /// The suite that is installed on such a machine, and the messages about
    /// the choice.
    fn install_there(fakes: &Fakes, wanted: Option<Suite>) -> (Result<Installed>, Vec<String>) {
        let mut said = Vec::new();
        let directory = fakes.path("target");
        let say = |line: &str| said.push(line.to_owned());
        let installed = install(wanted, &directory, &fakes.places(), say);
        said.retain(|line| !line.starts_with("installing "));
        (installed, said)
    }

    #[test]
    fn the_original_comes_first() {
        let fakes = Fakes::new();
        fakes.add("bin/python2.7", "echo 2.7", ALL);
        fakes.add("bin/python3", "echo 3.11", ALL);
        let (installed, said) = install_there(&fakes, None);
        let program = fakes.path("target/autobahntestsuite/bin/wstest");
        assert_eq!(installed.unwrap().program, program);
        assert_eq!(said, ["suite: autobahntestsuite 25.10.1 (the original)"]);

        // Once is enough, even if the Python is gone.
        std::fs::remove_file(fakes.path("bin/python2.7")).unwrap();
        let (again, _) = install_there(&fakes, None);
        assert_eq!(again.unwrap().program, program);
        let log = fakes.path("target/autobahntestsuite/bin/installed.log");
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("--no-deps --requirement"), "{log}");
    }

    #[test]
    fn without_python_2_there_is_the_other() {
        let fakes = Fakes::new();
        fakes.add("bin/python3", "echo 3.11", ALL);
        let (installed, said) = install_there(&fakes, None);
        let program = fakes.path("target/kosoku/bin/kosoku");
        assert_eq!(installed.unwrap().program, program);
        let reason = "not autobahntestsuite 25.10.1: there is no Python 2.7 here";
        assert_eq!(said, [format!("suite: kosoku 0.1.0 ({reason})")]);
    }

    #[test]
    fn an_original_that_cannot_be_installed_is_told_in_one_line() {
        for can in [&["pip"][..], &["pip", "install"], &["pip", "environment"]] {
            let fakes = Fakes::new();
            fakes.add("bin/python2.7", "echo 2.7", can);
            fakes.add("bin/python3", "echo 3.11", ALL);
            let (installed, said) = install_there(&fakes, None);
            assert_eq!(installed.unwrap().suite, Suite::Kosoku);
            assert_eq!(said.len(), 1);
            assert!(
                said[0].contains("not autobahntestsuite 25.10.1: "),
                "{said:?}"
            );
            assert!(said[0].contains("python2.7 failed"), "{said:?}");
            assert_eq!(said[0].lines().count(), 1, "{said:?}");
        }
    }

    #[test]
    fn what_was_asked_for_is_not_replaced() {
        let fakes = Fakes::new();
        fakes.add("bin/python3", "echo 3.11", ALL);
        let (installed, said) = install_there(&fakes, Some(Suite::AutobahnTestSuite));
        assert!(installed.unwrap_err().to_string().contains("no Python 2.7"));
        assert_eq!(said, [""; 0]);
        let (installed, said) = install_there(&fakes, Some(Suite::Kosoku));
        assert_eq!(installed.unwrap().suite, Suite::Kosoku);
        assert_eq!(said, ["suite: kosoku 0.1.0 (as asked for)"]);
    }

    #[test]
    fn what_is_missing_is_said_with_the_remedy() {
        let fakes = Fakes::new();
        let (installed, _) = install_there(&fakes, None);
        let error = installed.unwrap_err().to_string();
        assert!(error.contains("apt-get install python3"), "{error}");

        fakes.add("bin/python3", "echo 3.11", &["pip", "install"]);
        let (installed, _) = install_there(&fakes, None);
        let error = installed.unwrap_err().to_string();
        assert!(error.contains("no environment today"), "{error}");
        assert!(error.contains("apt-get install python3-venv"), "{error}");
    }

    #[test]
    fn an_installation_that_failed_is_tried_again() {
        let fakes = Fakes::new();
        fakes.add("bin/python3", "echo 3.11", &["pip", "environment"]);
        let (installed, _) = install_there(&fakes, Some(Suite::Kosoku));
        assert!(installed.is_err());
        fakes.add("bin/python3", "echo 3.11", ALL);
        let (installed, _) = install_there(&fakes, Some(Suite::Kosoku));
        assert_eq!(installed.unwrap().suite, Suite::Kosoku);
    }
}
