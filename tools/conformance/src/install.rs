//! A suite in a virtual environment of its own, installed once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::error::During;
use crate::installed::Installed;
use crate::python::Places;
use crate::suite::Suite;
use crate::{Error, Result, process};

/// Time an installation has. The original's packages are compiled.
const LIMIT: Duration = Duration::from_secs(600);
/// Makes virtual environments for Python 2.7; the last version that can.
const VIRTUALENV: &str = "virtualenv==20.15.1";
/// The file that says what was installed. It is written last.
const STAMP: &str = "installed";

/// The suite that was asked for, or else the best that can be had. `say` hears
/// which it is and why.
///
/// # Errors
///
/// What is missing for the suite that was asked for, or for the last choice.
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
            Suite::ALL.to_vec()
        }
    };
    let (last, better) = suites.split_last().expect("there is a suite");
    for suite in better {
        match install_one(*suite, directory, places) {
            Ok(installed) => {
                say(&format!("suite: {suite} {} ({why})", suite.version()));
                return Ok(installed);
            }
            Err(error) => why = format!("not {suite} {}: {error}", suite.version()),
        }
    }
    let installed = install_one(*last, directory, places)?;
    say(&format!("suite: {last} {} ({why})", last.version()));
    Ok(installed)
}

fn install_one(suite: Suite, directory: &Path, places: &Places) -> Result<Installed> {
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
    match suite {
        Suite::AutobahnTestSuite => {
            let python2 = places.python2(&log)?;
            let tools = directory.join("virtualenv");
            run(
                pip(&python2)
                    .arg("--target")
                    .arg(&tools)
                    .args(["--upgrade", VIRTUALENV]),
                &log,
            )?;
            let mut virtualenv = Command::new(&python2);
            virtualenv.env("PYTHONPATH", &tools);
            run(
                virtualenv.args(["-m", "virtualenv", "--quiet"]).arg(&home),
                &log,
            )?;
        }
        Suite::Kosoku => {
            let python3 = places.python3(&log)?;
            let mut venv = Command::new(&python3);
            run(venv.args(["-m", "venv"]).arg(&home), &log).map_err(|error| {
                Error::Missing(format!(
                    "{error}  python3 cannot make virtual environments; \
                     install what it needs with: apt-get install python3-venv"
                ))
            })?;
        }
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
    process::succeed(command, log, LIMIT).map(drop)
}
