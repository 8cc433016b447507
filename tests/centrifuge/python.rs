//! `centrifuge-python` from PyPI, in JSON and in Protobuf: publications, presence, join
//! and leave, a refreshed token.
//!
//! How: `tests/clients/centrifuge_python.py` drives a real server, on each driver. Needs
//! Python and what `make test-clients` installs; without them it says so and passes.

use std::process::Command;

use crate::support::centrifuge::ROUTE;
use crate::support::{foreign, on_each_driver, run};

#[test]
fn the_python_client_of_others_works_in_both_encodings() {
    let test = "centrifuge_python";
    let Some(python) = foreign::program(test, &["python3"]) else {
        return;
    };
    let Some(packages) = foreign::packages(test, "python_centrifuge", &["centrifuge"]) else {
        return;
    };
    let rules = foreign::script("centrifuge.toml");
    let rules = rules.to_str().unwrap();
    let options = ["--shards", "2", "--route", ROUTE, "--config", rules];
    on_each_driver(&options, |server| {
        let (code, out, err) = run(Command::new(&python)
            .env("PYTHONPATH", &packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(foreign::script("centrifuge_python.py"))
            .arg(server.address.to_string()));
        assert_eq!(code, 0, "{out}{err}");
        server.wait_for("sessions", 0);
    });
}
