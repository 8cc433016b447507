//! Phoenix Channels as two third-party clients for Python see them: `phxsocket`, whose
//! refs are numbers, and `phoenix-channels-python-client`.
//!
//! How: `tests/clients/phoenix_python.py` drives a real server, on each driver.
//! Needs Python and what `make test-clients` installs; without them it says so
//! and passes.

use std::process::Command;

use crate::support::{foreign, on_each_driver, run};

#[test]
fn two_python_clients_talk_to_each_other() {
    let test = "phoenix_python";
    let Some(python) = foreign::program(test, &["python3"]) else {
        return;
    };
    let needed = ["phxsocket", "phoenix_channels_python_client"];
    let Some(packages) = foreign::packages(test, "python", &needed) else {
        return;
    };
    let rules = foreign::script("phoenix.toml");
    let options = ["--shards", "2", "--config", rules.to_str().unwrap()];
    on_each_driver(&options, |server| {
        let (code, out, err) = run(Command::new(&python)
            .env("PYTHONPATH", &packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(foreign::script("phoenix_python.py"))
            .arg(server.address.to_string()));
        assert_eq!(code, 0, "{out}{err}");
        server.wait_for("sessions", 0);
    });
}
