//! Lists the public items of a library, one a line, from the JSON that rustdoc of a
//! nightly toolchain writes about it. `make lint` compares the list with
//! `docs/public-api.txt`, so that a change of the library's face is seen and meant.
//!
//! `cargo public-api` prints the same list, but takes six minutes to build where this
//! takes eighteen seconds: it is built on cargo's own crates, to find a package that is
//! known here.
//!
//! Left out is what says nothing: implementations for every type, auto traits, and what
//! was derived.

use std::io::Write;
use std::process::ExitCode;
use std::{env, io};

use public_api::{Builder, MINIMUM_NIGHTLY_RUST_VERSION};

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1) else {
        eprintln!("error: name the JSON that rustdoc has written");
        return ExitCode::from(2);
    };
    let listed = Builder::from_rustdoc_json(&path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    let api = match listed {
        Ok(api) => api,
        Err(error) => {
            eprintln!(
                "error: {} cannot be read: {error}; this reads what {MINIMUM_NIGHTLY_RUST_VERSION} \
                 and nightly toolchains soon after it write",
                path.display()
            );
            return ExitCode::FAILURE;
        }
    };
    let mut stdout = io::stdout().lock();
    let mut written = Ok(());
    for item in api.items() {
        written = written.and_then(|()| writeln!(stdout, "{item}"));
    }
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
    }
}
