//! Third-party clients, as `make test-clients` installs them. A test without its client
//! says so and passes.

use std::env;
use std::path::{Path, PathBuf};

use super::{binary, skip};

/// The directory of their installation: beside the folder of the profile the tests were
/// built with.
pub fn clients() -> PathBuf {
    let profile = Path::new(binary()).ancestors().nth(2);
    profile
        .expect("the binary lies in target/PROFILE")
        .join("test-clients")
}

/// A script in `tests/clients`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// The first of these programs that is on the `PATH`.
pub fn program(test: &str, names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|program| program.is_file());
    if found.is_none() {
        skip(test, &format!("there is no {}", names[0]));
    }
    found
}

/// A folder of installed packages, if all of these are in it.
pub fn packages(test: &str, folder: &str, names: &[&str]) -> Option<PathBuf> {
    let folder = clients().join(folder);
    let missing: Vec<_> = names
        .iter()
        .copied()
        .filter(|name| !folder.join(name).is_dir())
        .collect();
    if missing.is_empty() {
        return Some(folder);
    }
    let missing = missing.join(", ");
    skip(
        test,
        &format!("not installed: {missing}; run: make test-clients"),
    );
    None
}
