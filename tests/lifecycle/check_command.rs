//! `corecast check` does all that a start does but listen: it says ok where `serve` with
//! the same options would start, also beside the server that runs, and gives the words
//! of `serve` where it would not.
//!
//! How: both commands with the same options, and a look for listeners.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use crate::support::{Server, corecast, drivers, run};

#[test]
fn what_can_start_is_ok_and_listens_nowhere() {
    for driver in drivers() {
        let server = Server::start(&["--shards", "1"]);
        // Beside the server whose options these are, as before a hand-over.
        let (listen, admin) = (server.address.to_string(), server.admin.to_string());
        let free = corecast::sys::bind_shared("127.0.0.1:0".parse().unwrap()).unwrap();
        let free = free.local_addr().unwrap().as_socket().unwrap();
        let mut check = corecast();
        check.args(["check", "--demo", "--driver", driver, "--shards", "3"]);
        check.args([
            "--listen",
            &listen,
            "--listen",
            &free.to_string(),
            "--admin",
            &admin,
        ]);
        let (code, stdout, stderr) = run(&mut check);
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.starts_with("ok: "), "{stdout}");
        assert!(
            stdout.contains(&format!("driver {driver}, shards 3")),
            "{stdout}"
        );
        assert!(
            stderr.contains("is the server that is to be replaced"),
            "{stderr}"
        );
        TcpStream::connect(free).expect_err("it does not listen");
        for _ in 0..20 {
            crate::support::client::Client::connect(server.address, "/echo").close();
        }
    }
}

#[test]
fn what_serve_refuses_it_refuses_in_the_same_words() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let mut key = tempfile::NamedTempFile::new().unwrap();
    writeln!(
        key,
        "[[routes]]\npath = \"/socket/websocket\"\nhandler = \"phoenix\"\n\
         [handlers.phoenix.token]\nalgorithm = \"HS256\"\nsecret_file = \"/nowhere/key\""
    )
    .unwrap();
    let key = key.path().to_str().unwrap();
    for options in [
        &["--shards", "0"][..],
        &["--listen", "0.0.0.0:0"],
        &["--demo", "--listen", "192.0.2.1:80"],
        &["--demo", "--listen", &taken],
        &["--demo", "--admin", "192.0.2.1:80"],
        &["--config", key],
        &["--config", "/nowhere/corecast.toml"],
        &["--demo", "--origin", "https://x.example:99999"],
    ] {
        let of = |task: &str| {
            let mut command = corecast();
            command.args([task, "--log", "text"]).args(options);
            if !options.contains(&"--listen") {
                command.args(["--listen", "127.0.0.1:0"]);
            }
            if !options.contains(&"--admin") {
                command.args(["--admin", "127.0.0.1:0"]);
            }
            let (code, _, stderr) = run(&mut command);
            let last = stderr.lines().last().unwrap_or_default().to_owned();
            // Without the time at its beginning.
            let sentence = last
                .split_once("corecast: ")
                .map(|(_, rest)| rest.to_owned());
            (code, sentence.unwrap_or(last))
        };
        let (served, checked) = (of("serve"), of("check"));
        assert_ne!(checked.0, 0, "{options:?}");
        assert_eq!(checked, served, "{options:?}");
    }
}
