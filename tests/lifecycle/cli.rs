//! The command line as a person meets it: refusals, the sources of values, the use of a
//! printed configuration, and busy ports.
//!
//! How: runs the binary and looks at its exit code and output.

use std::net::TcpListener;

use crate::support::client::Client;
use crate::support::{Server, corecast, run};

#[test]
fn bad_values_name_their_option_and_the_range() {
    for (option, value, said) in [
        ("--shards", "0", "1 to 1024"),
        ("--shards", "many", "--shards"),
        ("--listen", "nowhere", "--listen"),
        ("--admin", "maybe", "--admin"),
        ("--cpus", "3-1", "--cpus"),
        ("--driver", "kqueue", "uring"),
        ("--steer", "numa", "cpu"),
        ("--idle-timeout", "1ms", "10ms"),
        ("--idle-timeout", "soon", "--idle-timeout"),
        ("--ping-interval", "2m", "--ping-interval"),
        ("--max-frame-bytes", "1", "125"),
        ("--max-pending-bytes", "1TB", "--max-pending-bytes"),
        ("--ring-capacity", "1", "2 to"),
        ("--route", "/x", "--route"),
        ("--route", "/x=nonsense", "echo"),
        ("--slow-consumer", "ignore", "close"),
        ("--origin", "example.com", "scheme://host"),
        ("--log", "xml", "json"),
        ("--busy-poll", "-5", "--busy-poll"),
    ] {
        let (code, out, err) = run(corecast().arg("serve").arg(format!("{option}={value}")));
        assert_eq!(code, 2, "{option}={value}: {err}");
        assert!(err.contains(option), "{option}={value} is not named: {err}");
        assert!(
            err.contains(said),
            "{option}={value} says nothing of {said}: {err}"
        );
        assert!(out.is_empty(), "{out}");
    }
}

#[test]
fn what_is_no_command_is_refused() {
    for words in [
        &[][..],
        &["frobnicate"],
        &["serve", "--frobnicate"],
        &["serve", "stray"],
    ] {
        let (code, _, err) = run(corecast().args(words));
        assert_eq!(code, 2, "{words:?}: {err}");
    }
    let (code, out, _) = run(corecast().args(["serve", "--help"]));
    assert_eq!(code, 0);
    for option in [
        "--listen",
        "--admin",
        "--shards",
        "--route",
        "--drain-timeout",
    ] {
        assert!(out.contains(option), "no {option} in the help");
    }
    let (code, out, _) = run(corecast().arg("--version"));
    assert_eq!(
        (code, out.trim()),
        (0, concat!("corecast ", env!("CARGO_PKG_VERSION")))
    );
}

/// A printed configuration resolves to itself, and a server started from it is the
/// same.
#[test]
fn a_printed_configuration_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corecast.toml");
    let typed = [
        "serve",
        "--print-config",
        "--listen=127.0.0.1:0",
        "--admin=127.0.0.1:0",
        "--shards=3",
        "--idle-timeout=7s",
        "--route=/parrot=echo",
        "--route=/broadcast=off",
        "--route=/news=broadcast:drop",
        "--max-frame-bytes=3KiB",
        "--origin=https://a.example",
    ];
    let (code, first, err) = run(corecast().args(typed));
    assert_eq!(code, 0, "{err}");
    std::fs::write(&file, &first).unwrap();
    let (code, second, err) = run(corecast()
        .args(["serve", "--print-config", "--config"])
        .arg(&file));
    assert_eq!(code, 0, "{err}");
    let values = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap().trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    assert_eq!(values(&first), values(&second));

    let mut command = corecast();
    let server = Server::spawn(command.args(["serve", "--config"]).arg(&file));
    assert_eq!(server.per_shard("sessions").len(), 3);
    Client::connect(server.address, "/parrot").expect_echo("hello");
    let gone = crate::support::client::request("/broadcast");
    assert_eq!(
        crate::support::http::exchange(server.address, gone.as_bytes()).status,
        404
    );
}

/// Flag over environment over file over default.
#[test]
fn values_come_from_the_nearest_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corecast.toml");
    std::fs::write(
        &file,
        "shards = 2\nidle_timeout = \"10s\"\nmax_sessions = 100\n",
    )
    .unwrap();
    let (code, out, err) = run(corecast()
        .env("CORECAST_CONFIG", &file)
        .env("CORECAST_SHARDS", "3")
        .env("CORECAST_IDLE_TIMEOUT", "20s")
        .args(["serve", "--print-config", "--shards", "4"]));
    assert_eq!(code, 0, "{err}");
    for (line, source) in [
        ("shards = 4", "--shards"),
        ("idle_timeout = \"20s\"", "CORECAST_IDLE_TIMEOUT"),
        ("max_sessions = 100", "corecast.toml"),
        ("fan_out_slice = 256", "default"),
    ] {
        let found = out.lines().find(|printed| printed.starts_with(line));
        let found = found.unwrap_or_else(|| panic!("no '{line}' in {out}"));
        assert!(found.contains(source), "{found} does not name {source}");
    }

    let (code, _, err) = run(corecast()
        .env("CORECAST_SHARDS", "none")
        .args(["serve", "--print-config"]));
    assert_eq!(code, 2);
    assert!(err.contains("CORECAST_SHARDS"), "{err}");

    std::fs::write(&file, "shardz = 2\n").unwrap();
    let (code, _, err) = run(corecast().args(["serve", "--config"]).arg(&file));
    assert_eq!(code, 2);
    assert!(
        err.contains("shardz") && err.contains("corecast.toml"),
        "{err}"
    );

    let (code, _, err) = run(corecast().args(["serve", "--config", "/nowhere/at/all.toml"]));
    assert_eq!(code, 2);
    assert!(err.contains("/nowhere/at/all.toml"), "{err}");
}

/// A busy port is an error that names it and the remedy; nothing hangs.
#[test]
fn busy_ports_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for driver in crate::support::drivers() {
        let serve = ["serve", "--driver", driver, "--shards", "2"];
        let (code, _, err) =
            run(corecast()
                .args(serve)
                .args(["--listen", "127.0.0.1:0", "--admin", &address]));
        assert_eq!(code, 1, "{err}");
        assert!(err.contains(&address) && err.contains("--admin"), "{err}");

        let (code, _, err) = run(corecast()
            .args(serve)
            .args(["--admin", "off", "--listen", &address]));
        assert_eq!(code, 1, "{err}");
        assert!(err.contains(&address) && err.contains("ss -ltnp"), "{err}");
    }
    let (code, _, err) =
        run(corecast().args(["serve", "--demo", "--admin=off", "--listen=192.0.2.1:80"]));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("192.0.2.1:80"), "{err}");
}

/// The log is lines for machines when asked for, and standard output stays empty.
#[test]
fn the_log_can_be_json() {
    let server = Server::start(&["--shards", "1", "--log", "json"]);
    server.signal(libc::SIGTERM);
    assert_eq!(server.exit_status().code(), Some(0));
    crate::support::wait_until("the last line is there", || {
        server.log().contains("stopped")
    });
    for line in server.log().lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        assert!(event["message"].is_string(), "{line}");
    }
}

/// `docs/deployment.md` tells to ask `--print-config` before a restart: it
/// refuses what the server would refuse.
#[test]
fn what_cannot_be_served_is_no_configuration_either() {
    for (option, value) in [
        ("--origin", "https://*.com"),
        ("--origin", "https://a.com:99999"),
        ("--origin", "https://b\u{fc}cher.example"),
        ("--origin", "\"https://a.com\""),
        ("--origin", "https://user@a.com"),
        ("--origin", "https://a.com,b"),
        ("--route", "/a%zz=echo"),
        ("--route", "/a?b=echo"),
        ("--route", "/ws/{name}=chat"),
    ] {
        for print in [&["--print-config"][..], &[]] {
            let listen = ["serve", "--demo", "--listen", "127.0.0.1:0", "--admin=off"];
            let mut command = corecast();
            command.args(listen).args([option, value]).args(print);
            let (code, _, err) = run(&mut command);
            assert_eq!(code, 2, "{value} {print:?}: {err}");
            assert!(err.contains(option), "{err}");
        }
    }
    for origin in [
        "file://",
        "null",
        "app://-",
        "https://xn--bcher-kva.example",
    ] {
        let (code, out, err) =
            run(corecast().args(["serve", "--print-config", "--origin", origin]));
        assert_eq!(code, 0, "{err}");
        assert!(out.contains(origin), "{out}");
    }
}

#[test]
fn a_variable_that_is_no_option_is_told() {
    let mut command = corecast();
    command
        .args(["serve", "--print-config"])
        .env("CORECAST_SHARD", "1")
        .env("CORECAST_SERVICE_HOST", "10.0.0.1");
    let (code, _, err) = run(&mut command);
    assert_eq!(code, 0);
    assert_eq!(
        err,
        "warning: the variable CORECAST_SHARD is no option and is ignored; \
         the nearest is CORECAST_SHARDS\n"
    );
}
