//! The files in `sysctl/` and the script that compares the kernel's settings
//! with them and sets them.
//!
//! How: the script runs in network namespaces of its own, whose settings are theirs
//! alone, with files that a test writes, and with the real ones.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The directory of the files and the script.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The exit status of a preparation that this host does not allow.
const UNPREPARED: i32 = 77;

/// The script, run as root in a network namespace after `prepare`.
fn inside(prepare: &str, words: &str) -> Option<Run> {
    let script = format!("{prepare}\nexec {ROOT}/tools/sysctl {words}");
    let mut command = Command::new("unshare");
    // SAFETY: geteuid takes no pointers and always succeeds.
    if unsafe { libc::geteuid() } != 0 {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "bash", "-euc"]);
    let works = command.arg("true").output();
    if !works.is_ok_and(|output| output.status.success()) {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: sysctl: no network namespace");
        return None;
    }
    let mut words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    *words.last_mut().unwrap() = script.into();
    let run = Run::of(Command::new("unshare").args(words));
    if run.status == Some(UNPREPARED) {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: sysctl: {}", run.stderr);
        return None;
    }
    Some(run)
}

#[derive(Debug)]
struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    #[track_caller]
    fn of(command: &mut Command) -> Run {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run {
            status: status.code(),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// The line of the table that begins with this key, its blanks made one.
    #[track_caller]
    fn line(&self, key: &str) -> String {
        let line = self.stdout.lines().find(|line| line.starts_with(key));
        let line = line.unwrap_or_else(|| panic!("no {key} in {self:#?}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A file with these lines, in a directory that anybody may read.
fn file(lines: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("10-test.conf");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    (directory, path)
}

#[test]
fn what_differs_is_said_and_fails() {
    let (_directory, path) = file(&[
        "# The least that will do.",
        "# More is fine.",
        "net.core.somaxconn = 300",
        "",
        "# More is fine.",
        "net.ipv4.tcp_max_syn_backlog = 90000000",
        "net.ipv4.tcp_rmem = 4096 131072   1048576",
        "-net.netfilter.no_such_key = 1",
    ]);
    let path = path.display();
    let prepare = "echo 1000 > /proc/sys/net/core/somaxconn
        echo 4096 131072 1048577 > /proc/sys/net/ipv4/tcp_rmem";
    let Some(run) = inside(prepare, &format!("check {path}")) else {
        return;
    };
    assert_eq!(run.status, Some(1), "{run:#?}");
    assert_eq!(
        run.line("net.core.somaxconn"),
        "net.core.somaxconn 300 1000 ok, more than needed"
    );
    assert!(
        run.line("net.ipv4.tcp_max_syn_backlog")
            .ends_with("DIFFERS")
    );
    assert_eq!(
        run.line("net.ipv4.tcp_rmem"),
        "net.ipv4.tcp_rmem 4096 131072 1048576 4096 131072 1048577 DIFFERS"
    );
    assert!(run.line("net.netfilter.no_such_key").contains("module"));
    assert!(run.stdout.contains("2 to set"), "{run:#?}");
}

/// A key without a dash must be there, one with a dash need not.
#[test]
fn a_key_that_the_kernel_does_not_have() {
    for (line, status) in [
        ("-net.netfilter.no_such_key = 1", 0),
        ("net.netfilter.no_such_key = 1", 1),
    ] {
        let (_directory, path) = file(&[line]);
        for action in ["check", "apply"] {
            let Some(run) = inside("", &format!("{action} {}", path.display())) else {
                return;
            };
            assert_eq!(run.status, Some(status), "{line}, {action}: {run:#?}");
            assert!(
                run.line("net.netfilter.no_such_key")
                    .contains("not in this kernel")
            );
        }
    }
}

#[test]
fn what_is_set_is_said_and_then_right() {
    let (_directory, path) = file(&[
        "# More is fine.",
        "net.core.somaxconn = 300",
        "net.ipv4.ip_local_port_range = 1024 65535",
        "net.ipv4.tcp_tw_reuse = 1",
    ]);
    let script = format!("{ROOT}/tools/sysctl");
    let path = path.display();
    let prepare = format!(
        "echo 1000 > /proc/sys/net/core/somaxconn
        echo 40000 40099 > /proc/sys/net/ipv4/ip_local_port_range
        echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse
        {script} apply {path}"
    );
    let Some(run) = inside(&prepare, &format!("check {path}")) else {
        return;
    };
    assert_eq!(run.status, Some(0), "{run:#?}");
    let changed: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.contains('→'))
        .collect();
    assert_eq!(
        changed,
        ["net.ipv4.ip_local_port_range: '40000 40099' → '1024 65535'"]
    );
    assert!(
        run.stdout
            .contains("1 set, 2 were right, 0 not here, 0 failed")
    );
}

/// A container's `/proc/sys` is read-only, for root too.
#[test]
fn a_read_only_proc_is_a_clear_error() {
    let (_directory, path) = file(&["net.ipv4.ip_local_port_range = 1024 65535"]);
    let prepare = "mount -o bind,ro /proc/sys /proc/sys || exit 77";
    let Some(run) = inside(prepare, &format!("apply {}", path.display())) else {
        return;
    };
    assert_eq!(run.status, Some(1), "{run:#?}");
    assert!(
        run.stderr.contains("/proc/sys is read-only here"),
        "{run:#?}"
    );
    assert!(
        run.stderr.contains("net.ipv4.ip_local_port_range"),
        "{run:#?}"
    );
}

/// The files are copied to where any user can read them, and the user `nobody` runs the
/// script.
#[test]
fn without_root_nothing_is_set() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let (directory, path) = file(&["net.ipv4.tcp_syncookies = 7"]);
    let script = directory.path().join("sysctl");
    fs::copy(format!("{ROOT}/tools/sysctl"), &script).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("bash");
    command.arg(&script).arg("apply").arg(&path);
    // SAFETY: geteuid takes no pointers and always succeeds.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65534).gid(65534);
    }
    let run = Run::of(&mut command);
    assert_eq!(run.status, Some(1), "{run:#?}");
    assert!(run.stderr.contains("that takes root"), "{run:#?}");
    assert!(run.stderr.contains("net.ipv4.tcp_syncookies"), "{run:#?}");
}

#[test]
fn wrong_words_and_files_are_refused() {
    let (_directory, path) = file(&["net.core.somaxconn 300"]);
    let path = path.display().to_string();
    for (words, said) in [
        (&["check"][..], "with which files"),
        (&["shout", &path], "'shout' is neither check nor apply"),
        (&["check", "no/such.conf"], "cannot read 'no/such.conf'"),
        (&["check", &path], ":1: not a setting"),
    ] {
        let run = Run::of(Command::new(format!("{ROOT}/tools/sysctl")).args(words));
        assert_eq!(run.status, Some(2), "{words:?}: {run:#?}");
        assert!(run.stderr.contains(said), "{words:?}: {run:#?}");
    }
}

/// `make` passes all files, or the one that is named.
#[test]
fn make_checks_all_files_or_one() {
    let make = |file: Option<&str>| {
        let mut command = Command::new("make");
        command.args(["--no-print-directory", "-C", ROOT, "sysctl-check"]);
        command.args(file.map(|file| format!("FILE={file}")));
        Run::of(&mut command)
    };
    let all = make(None);
    let one = make(Some("sysctl/40-corecast-ports.conf"));
    for key in ["fs.nr_open", "net.core.somaxconn", "net.ipv4.tcp_mem"] {
        all.line(key);
        assert!(!one.stdout.contains(key), "{one:#?}");
    }
    assert_eq!(
        all.line("net.ipv4.tcp_tw_reuse"),
        one.line("net.ipv4.tcp_tw_reuse")
    );
}

/// The promise of the project about its files: above each key stands its reason and the
/// source for that, and no key stands in two files.
#[test]
fn every_key_has_a_reason_and_a_source() {
    let mut paths: Vec<PathBuf> = fs::read_dir(Path::new(ROOT).join("sysctl"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut keys = Vec::new();
    let mut wrong = String::new();
    for path in &paths {
        let text = fs::read_to_string(path).unwrap();
        let mut comment = Vec::new();
        for line in text.lines() {
            match line.strip_prefix('#') {
                Some(words) => comment.push(words.trim()),
                None if line.is_empty() => comment.clear(),
                None => {
                    let (key, _) = line.split_once(" = ").unwrap();
                    let reasons = comment
                        .iter()
                        .take_while(|line| !line.starts_with("Source: "));
                    if reasons.count() < 2
                        || !comment.iter().any(|line| line.starts_with("Source: "))
                    {
                        let _ = writeln!(wrong, "{}: {key}", path.display());
                    }
                    keys.push(key.trim_start_matches('-').to_owned());
                }
            }
        }
    }
    assert_eq!(wrong, "", "keys without a reason or a source");
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "a key stands twice");
    assert!(count >= 12, "{keys:?}");
}

/// Each setting that `corecast doctor` tells a person to write into one of the files is
/// there.
#[test]
fn the_doctors_remedies_are_in_the_files() {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_corecast"));
    doctor.args(["doctor", "--connections", "900M", "--role", "both"]);
    let run = Run::of(doctor.args(["--pid", "none", "--json"]));
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let mut found = 0;
    for check in report["checks"].as_array().unwrap() {
        let remedy = &check["fix"]["for_good"];
        let Some(file) = remedy["file"]
            .as_str()
            .and_then(|file| file.strip_prefix("/etc/sysctl.d/"))
        else {
            continue;
        };
        // This one is no file of ours.
        if file == "99-io_uring.conf" {
            continue;
        }
        let (key, _) = remedy["line"].as_str().unwrap().split_once(" = ").unwrap();
        let text = fs::read_to_string(Path::new(ROOT).join("sysctl").join(file)).unwrap();
        let mut lines = text.lines().map(|line| line.trim_start_matches('-'));
        let there = lines.any(|line| line.split(" = ").next() == Some(key));
        assert!(there, "no {key} in {file}");
        found += 1;
    }
    assert!(found > 0, "{run:#?}");
}
