//! A network of a test's own: its ports, routes, queues and counters.

use std::env;
use std::panic::Location;
use std::path::Path;
use std::process::{Command, Output};

use super::skip;

/// Set in the process that is inside.
const INSIDE: &str = "CORECAST_LOAD_TEST_INSIDE";
/// The exit status of a process whose network could not be prepared.
const UNPREPARED: i32 = 77;

/// Runs `body` in a new network namespace with a working loopback device, once
/// `prepare`, a shell script, has set it up. The body runs in another process:
/// this test program again, told to run only `test`, the caller, which stands in a
/// module of the same name as its file.
///
/// Says so and returns where namespaces are not to be had.
#[track_caller]
pub fn inside(test: &str, prepare: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let module = Path::new(Location::caller().file()).file_stem().unwrap();
    let name = format!("{}::{test}", module.to_str().unwrap());
    let script = format!("sh -ec \"$0\" >/dev/null || exit {UNPREPARED}\nexec \"$@\"");
    let mut command = unshare();
    command
        .args(["sh", "-c", &script])
        .arg(format!("ip link set lo up\n{prepare}"))
        .arg(env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads", "1"])
        .env(INSIDE, "yes");
    let output = match possible().and_then(|()| command.output().map_err(|e| e.to_string())) {
        Ok(output) => output,
        Err(why) => return skip(test, &why),
    };
    if output.status.code() == Some(UNPREPARED) {
        return skip(test, &said(&output));
    }
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(output.status.success() && ran, "{}", said(&output));
}

/// Becomes a user that may make namespaces, if that is possible.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    // SAFETY: geteuid takes no pointers and always succeeds.
    if unsafe { libc::geteuid() } != 0 {
        command.arg("--map-root-user");
    }
    command.arg("--net");
    command
}

/// Whether a namespace can be made here.
fn possible() -> Result<(), String> {
    let output = unshare().args(["ip", "link", "set", "lo", "up"]).output();
    match output {
        Err(error) => Err(format!("no 'unshare' of util-linux: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("no network namespace: {}", said(&output).trim())),
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Runs a shell command within the namespace.
#[track_caller]
pub fn shell(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", said(&output));
}
