//! One configuration after the other: start, run, judge.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use corecast_kit::During;
use corecast_kit::process::{Place, Process};
use strum::IntoEnumIterator;

use crate::cli::RunOptions;
use crate::configuration::Configuration;
use crate::excuses::Excuses;
use crate::install::install;
use crate::installed::{Installed, Listens};
use crate::python::Places;
use crate::report::{INDEX, RECORD, Record, Run};
use crate::{Result, validate};

/// The folder, below the driver's, in which the results of runs are kept.
pub const RESULTS: &str = "results";
/// How often a run that goes on says so.
const PROGRESS: Duration = Duration::from_secs(20);
/// Time a suite has to write its report and end once its client has left.
const REPORT: Duration = Duration::from_secs(60);

/// Installs a suite, runs its cases in the configurations asked for, and prints
/// the outcome. True when nothing was wrong.
///
/// # Errors
///
/// No suite can be had, or the file of excuses is invalid. A fault that keeps a
/// configuration from being judged is printed, and the others go on.
pub fn run(options: &RunOptions) -> Result<bool> {
    let excuses = Excuses::read(&options.excuses)?;
    let directory = absolute(&options.directory)?;
    let places = Places::from_env();
    let say = |line: &str| println!("conformance: {line}");
    let installed = install(options.suite, &directory, &places, say)?;

    let is_picked = |one: &Configuration| {
        options.only.is_empty() || options.only.iter().any(|only| only.picks(*one))
    };
    let picked: Vec<Configuration> = Configuration::iter().filter(is_picked).collect();
    let mut failed = Vec::new();
    for (index, &configuration) in picked.iter().enumerate() {
        println!("[{}/{}] {configuration}", index + 1, picked.len());
        let attempt = Attempt {
            options,
            installed: &installed,
            configuration,
            results: directory
                .join(RESULTS)
                .join(installed.suite.name())
                .join(configuration.name()),
        };
        let is_good = match attempt.run() {
            Ok(run) => {
                let problems = validate::problems(&run, &excuses);
                println!("  {}", validate::summary(&run, &problems));
                problems.is_empty()
            }
            Err(error) => {
                println!("  {configuration}: no verdict: {error}");
                false
            }
        };
        if !is_good {
            failed.push(configuration.name());
        }
    }
    match failed.as_slice() {
        [] => println!("conformance: all is as it should be"),
        _ => println!("conformance: not as it should be: {}", failed.join(", ")),
    }
    println!(
        "conformance: the report of each case is in {}",
        options.directory.join(RESULTS).display()
    );
    Ok(failed.is_empty())
}

/// One configuration that is about to be run.
struct Attempt<'a> {
    options: &'a RunOptions,
    installed: &'a Installed,
    configuration: Configuration,
    results: PathBuf,
}

impl Attempt<'_> {
    fn run(&self) -> Result<Run> {
        let during = || format!("making {}", self.results.display());
        if self.results.exists() {
            fs::remove_dir_all(&self.results).during(during())?;
        }
        fs::create_dir_all(&self.results).during(during())?;
        let started = Instant::now();
        let record = Record {
            suite: self.installed.suite,
            suite_version: self.installed.suite.version().to_owned(),
            configuration: self.configuration,
            corecast: env!("CARGO_PKG_VERSION").to_owned(),
            started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            seconds: 0.0,
            server_options: self.options.server_options.clone(),
        };
        match self.configuration.driver() {
            Some(driver) => self.against_server(driver)?,
            None => self.against_client()?,
        }
        let record = Record {
            seconds: started.elapsed().as_secs_f64(),
            ..record
        };
        let text = serde_json::to_string_pretty(&record).expect("a record is JSON");
        let path = self.results.join(RECORD);
        fs::write(&path, text + "\n").during(format!("writing {}", path.display()))?;
        Run::read(&self.results)
    }

    /// The suite is the client of a server on its own port.
    fn against_server(&self, driver: &str) -> Result<()> {
        let mut command = Command::new(&self.options.server);
        // Nothing from the environment may change what is tested.
        command
            .env_clear()
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "off"]);
        // Suites connect to `/`.
        command.args(["--route", "/=echo", "--driver", driver]);
        // The server must neither ping nor time out in the middle of a long case.
        command.args(["--idle-timeout", "0", "--ping-interval", "0"]);
        if self.configuration.is_bytewise() {
            command.args(["--max-read-bytes", "1"]);
        }
        command.args(&self.options.server_options);
        let server = Process::start(&mut command, Place::logged(&self.log("server")))?;
        let address = server.address_after("listening on ws://")?;

        let mut command = self.installed.fuzzing_client(address, &self.results)?;
        let suite = Process::start(&mut command, Place::logged(&self.log("suite")))?;
        let mut ticker = Ticker::default();
        // Its exit status says whether cases failed; the report says which.
        suite.wait(self.options.limit, |passed| ticker.tell(passed, || None))?;
        server.still_runs()?;
        self.expect_report(&suite)
    }

    /// The suite is the server of a client on the library's codec.
    fn against_client(&self) -> Result<()> {
        let (mut command, listens) = self.installed.fuzzing_server(&self.results)?;
        let suite = Process::start(&mut command, Place::logged(&self.log("suite")))?;
        let server = match listens {
            Listens::Printed(words) => suite.address_after(words)?,
            Listens::At(address) => {
                suite.accepts_at(address)?;
                address
            }
        };
        self.run_client(server)?;
        // The original serves on until it is ended; its report is written.
        if matches!(listens, Listens::Printed(_)) {
            suite.wait(REPORT, |_| {})?;
        }
        self.expect_report(&suite)
    }

    /// The client is a process of its own, so that it, too, can be ended.
    fn run_client(&self, server: SocketAddr) -> Result<()> {
        let log = self.log("client");
        // This program, even if its file was replaced by a newer one meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg("client").arg(server.to_string());
        if self.configuration.is_bytewise() {
            command.args(["--max-read-bytes", "1"]);
        }
        let process = Process::start(&mut command, Place::logged(&log))?;
        let mut ticker = Ticker::default();
        let status = process.wait(self.options.limit, |passed| {
            ticker.tell(passed, || {
                let written = fs::read_to_string(&log).unwrap_or_default();
                written.lines().last().map(str::to_owned)
            });
        })?;
        match status.success() {
            true => Ok(()),
            false => Err(process.complaint(&format!("failed as the client under test ({status})"))),
        }
    }

    fn log(&self, of: &str) -> PathBuf {
        self.results.join(format!("{of}.log"))
    }

    fn expect_report(&self, suite: &Process) -> Result<()> {
        match self.results.join(INDEX).exists() {
            true => Ok(()),
            false => Err(suite.complaint("left no report")),
        }
    }
}

/// Says now and then that a run goes on.
#[derive(Default)]
struct Ticker {
    told: Duration,
}

impl Ticker {
    fn tell(&mut self, passed: Duration, how_far: impl FnOnce() -> Option<String>) {
        if passed < self.told + PROGRESS {
            return;
        }
        self.told = passed;
        match how_far() {
            Some(how_far) => println!("  … {} s, {how_far}", passed.as_secs()),
            None => println!("  … {} s", passed.as_secs()),
        }
    }
}

/// Suites run wherever they like, so they are given whole paths.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).during(format!("looking for {}", path.display()))
}
