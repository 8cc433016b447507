//! `make dist` and `make deb` pack the programs with the files of a deployment, and the
//! unit in the Debian package starts the program where that package puts it.
//!
//! How: both are made of the program under test, and looked into. The Debian package is
//! made where cargo-deb has been installed by `make deb`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{binary, run, skip};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder with both programs, of which only the first is real.
fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(binary(), folder.path().join("corecast")).unwrap();
    fs::copy("/bin/true", folder.path().join("corecast-load")).unwrap();
    folder
}

fn make(target: &str, programs: &Path, output: &Path, words: &[String]) -> PathBuf {
    let mut command = Command::new("make");
    command
        .args(["--no-print-directory", "-C", ROOT, target])
        .arg(format!("PROGRAMS={}", programs.display()))
        .args(words)
        .env("CARGO_TARGET_DIR", output);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let mut made = fs::read_dir(output.join("dist")).unwrap();
    let path = made.next().expect("a package").unwrap().path();
    assert!(made.next().is_none(), "nothing else is left there");
    path
}

fn output_of(program: &str, words: &[&str]) -> String {
    let (code, stdout, stderr) = run(Command::new(program).args(words));
    assert_eq!(code, 0, "{stderr}");
    stdout
}

#[test]
fn a_tarball_has_what_a_host_needs() {
    let (programs, output) = (programs(), tempfile::tempdir().unwrap());
    let tarball = make("dist", programs.path(), output.path(), &[]);
    let unpacked = tempfile::tempdir().unwrap();
    let folder = unpacked.path().to_str().unwrap();
    output_of("tar", &["-xzf", tarball.to_str().unwrap(), "-C", folder]);
    let name = tarball.file_name().unwrap().to_str().unwrap();
    let inside = unpacked.path().join(name.strip_suffix(".tar.gz").unwrap());
    for file in [
        "corecast-load",
        "sysctl/10-corecast-files.conf",
        "tools/sysctl",
        "tools/deploy/corecast.service",
        "docs/deployment.md",
        "LICENSE-MIT",
    ] {
        assert!(inside.join(file).is_file(), "no {file}");
    }
    let program = inside.join("corecast");
    let version = output_of(program.to_str().unwrap(), &["--version"]);
    assert!(
        name.contains(version.trim().rsplit(' ').next().unwrap()),
        "{name}"
    );
}

#[test]
fn a_debian_package_has_a_unit_for_its_program() {
    let tool = Path::new(ROOT).join("target/tools/bin/cargo-deb");
    if !tool.exists() || !Path::new("/usr/bin/dpkg-deb").exists() {
        skip(
            "the Debian package",
            "no cargo-deb or no dpkg-deb; run make deb once",
        );
        return;
    }
    let (programs, output) = (programs(), tempfile::tempdir().unwrap());
    let words = [
        format!("DEB_TOOL={}", tool.display()),
        "ARGS=--fast".to_owned(),
    ];
    let package = make("deb", programs.path(), output.path(), &words);
    let package = package.to_str().unwrap();
    let unpacked = tempfile::tempdir().unwrap();
    let folder = unpacked.path();
    output_of(
        "dpkg-deb",
        &["--raw-extract", package, folder.to_str().unwrap()],
    );
    let unit = folder.join("usr/lib/systemd/system/corecast.service");
    let unit = fs::read_to_string(unit).unwrap();
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/"))
        .unwrap();
    let mut words = start.split(' ');
    let program = folder.join(words.next().unwrap());
    let config = start.rsplit(' ').next().unwrap().trim_start_matches('/');
    // The configuration that comes with it can stand.
    let config = folder.join(config);
    let (config, program) = (config.to_str().unwrap(), program.to_str().unwrap());
    let check = ["serve", "--config", config, "--print-config"];
    assert!(output_of(program, &check).contains("127.0.0.1:8080"));
    let conffiles = fs::read_to_string(folder.join("DEBIAN/conffiles")).unwrap();
    assert_eq!(conffiles.trim(), "/etc/corecast/corecast.toml");
    for script in ["postinst", "prerm", "postrm"] {
        let script = folder.join("DEBIAN").join(script);
        output_of("sh", &["-n", script.to_str().unwrap()]);
    }
}
