//! `tools/deploy/isolated-load` loads a server from several network namespaces,
//! joins what they measured, and leaves nothing behind, however it ends.
//!
//! How: the script is run small to its end, and broken off by three signals in the
//! middle of a run. Each run is recognised by its output directory, which stands in
//! the environment of every process it starts.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{poll_until, run, skip, wait_until};
use serde_json::Value;

/// Set to the output directory, so that a run's processes can be told from others.
const MARK: &str = "CORECAST_TEST_RUN";

/// The script, ready to be run, or why it cannot be.
fn script(output: &Path) -> Result<Command, String> {
    let binaries = Path::new(env!("CARGO_BIN_EXE_corecast")).parent().unwrap();
    if !binaries.join("corecast-load").exists() {
        return Err("there is no corecast-load beside corecast; build the workspace".to_owned());
    }
    let possible = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--mount-proc"])
        .args(["ip", "netns", "list"])
        .output()
        .map_err(|error| format!("no 'unshare' of util-linux: {error}"))?;
    if !possible.status.success() {
        let why = String::from_utf8_lossy(&possible.stderr);
        return Err(format!("it takes root and iproute2: {}", why.trim()));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/deploy/isolated-load");
    let mut command = Command::new(script);
    command
        .arg("--binaries")
        .arg(binaries)
        .arg("--output")
        .arg(output)
        .env(MARK, output);
    Ok(command)
}

/// The processes of a run.
fn processes(output: &Path) -> Vec<PathBuf> {
    let mark = OsString::from(format!("{MARK}={}", output.display()));
    let mark = mark.as_encoded_bytes();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|process| process.path())
        .filter(|process| {
            fs::read(process.join("environ"))
                .is_ok_and(|variables| variables.split(|byte| *byte == 0).any(|each| each == mark))
        })
        .collect()
}

/// The network namespaces of processes.
fn namespaces(processes: &[PathBuf]) -> Vec<PathBuf> {
    let mut namespaces: Vec<_> = processes
        .iter()
        .flat_map(|process| fs::read_link(process.join("ns/net")))
        .collect();
    namespaces.sort();
    namespaces.dedup();
    namespaces
}

/// The interfaces of this network, and the names of namespaces.
fn surroundings() -> (Vec<OsString>, Vec<OsString>) {
    let names = |directory| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    (names("/sys/class/net"), names("/run/netns"))
}

#[test]
fn generators_with_addresses_of_their_own_load_one_server() {
    let output = tempfile::tempdir().unwrap();
    let mut script = match script(output.path()) {
        Ok(script) => script,
        Err(why) => return skip("isolated load generators", &why),
    };
    // 40 ports hold 10 connections of an address, by the generator's own rule.
    script.args(["--generators", "3", "--connections", "25", "--seconds", "1"]);
    script.args(["--ports", "20000-20039", "--shards", "2"]);
    let (code, out, err) = run(&mut script);
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("3 generators with 3 addresses each"), "{err}");
    assert!(out.contains("joined from"), "{out}");
    for generator in ["from load-1:", "from load-2:", "from load-3:"] {
        assert!(out.contains(generator), "{out}");
    }

    // The server's own word for it: every connection was there at one time.
    let read = |name: &str| -> Value {
        let text = fs::read(output.path().join(name)).unwrap();
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let opened = read("server.json")["total"]["opened"].as_u64().unwrap();
    // Each generator looks at the server once before it begins.
    assert!((75..=78).contains(&opened), "{opened}");
    read("all.json");
    assert!(output.path().join("all.html").exists());
    assert_eq!(processes(output.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_generator_that_fails_fails_the_run() {
    let output = tempfile::tempdir().unwrap();
    let mut script = match script(output.path()) {
        Ok(script) => script,
        Err(why) => return skip("isolated load generators that fail", &why),
    };
    script.args(["--connections", "5", "--seconds", "1", "--path", "/nothing"]);
    let (code, out, err) = run(&mut script);
    assert!(code == 1 || code == 2, "{code}: {out}{err}");
    assert!(err.contains("404"), "{out}{err}");
}

#[test]
fn a_run_that_is_broken_off_leaves_nothing_behind() {
    let before = surroundings();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGKILL] {
        let output = tempfile::tempdir().unwrap();
        let mut script = match script(output.path()) {
            Ok(script) => script,
            Err(why) => return skip("isolated load generators that are broken off", &why),
        };
        script.args([
            "--generators",
            "2",
            "--connections",
            "20",
            "--seconds",
            "120",
        ]);
        let script = script
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Where the tests run in the background of a shell, interrupts are ignored,
        // and a script cannot change that for itself.
        // SAFETY: signal takes no pointers here and may be called after fork.
        unsafe {
            script.pre_exec(|| {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                Ok(())
            });
        }
        let mut script = Ended(script.spawn().unwrap());

        let mut running = Vec::new();
        wait_until("the server and both generators run", || {
            running = processes(output.path());
            let named = |name: &str| {
                let is = |process: &&PathBuf| {
                    fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim() == name)
                };
                running.iter().filter(is).count()
            };
            named("corecast") == 1 && named("corecast-load") == 2
        });
        // The test's own, the one around them, and three within.
        assert_eq!(namespaces(&running).len(), 5, "{running:?}");

        // SAFETY: kill takes no pointers; the child was not waited for yet.
        unsafe { libc::kill(script.0.id() as libc::pid_t, signal) };
        let mut status = None;
        wait_until("the script ends", || {
            status = script.0.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        match signal {
            libc::SIGKILL => assert_eq!(status.signal(), Some(signal)),
            _ => assert_eq!(status.code(), Some(128 + signal)),
        }
        // A namespace has gone when no process is in it any more and it has no name.
        let gone = poll_until(crate::support::DEADLINE, || {
            processes(output.path()).is_empty()
        });
        assert!(gone, "{signal}: {:?}", processes(output.path()));
        assert_eq!(surroundings(), before, "{signal}");
    }
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let output = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--connections", "many"][..], "is not a number"),
        (&["--generators", "0"], "is not a number from 1 to 250"),
        (&["--scenario", "sleep"], "is none of connect, echo"),
        (&["--ports", "5-4"], "is not a range of ports"),
        (
            &["--server-cpus", "a"],
            "--server-cpus: 'a' is not a list of cores",
        ),
        (
            &["--load-cpus", "9999"],
            "--load-cpus: there is no core 9999",
        ),
        (&["--nothing", "1"], "no such option"),
        (&["--seconds"], "needs a value"),
        (&["--binaries", "/nowhere"], "build it with"),
    ] {
        let mut script = match script(output.path()) {
            Ok(script) => script,
            Err(why) => return skip("isolated load generators and bad input", &why),
        };
        let (code, out, err) = run(script.args(arguments));
        assert_eq!(code, 2, "{arguments:?}: {out}{err}");
        assert!(
            err.contains(expected) && err.lines().count() == 1,
            "{arguments:?}: {err}"
        );
    }
}

/// A run, which does not outlive the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
