//! The API as libraries of others for Centrifugo's server API see it: `cent` for Python,
//! `cent.js` for Node, and `curl`.
//!
//! How: each publishes to a topic that a Phoenix client has joined. Needs the programs
//! and what `make test-clients` installs; without them it says so and passes.

use std::process::Command;

use serde_json::json;

use crate::backend::{ALL, WithApi};
use crate::support::phoenix::{connect, hear, join};
use crate::support::{foreign, run};

/// Runs a library's script, and expects what it publishes.
fn drive(command: &mut Command) {
    let it = WithApi::start(&["--shards", "2"]);
    let mut client = connect(it.server.address);
    join(&mut client, "room:lobby");
    let (code, out, err) = run(command.args([&it.api.to_string(), ALL, "room:lobby"]));
    assert_eq!(code, 0, "{out}{err}");
    for (event, by) in [
        ("publication", "publish"),
        ("publication", "retry"),
        ("greeting", "tags"),
        ("publication", "broadcast"),
        ("publication", "batch"),
        ("publication", "async"),
    ] {
        let expected = json!([null, null, "room:lobby", event, {"by": by}]);
        assert_eq!(hear(&mut client), expected);
    }
}

#[test]
fn cent_for_python_publishes() {
    let test = "publish_cent_python";
    let Some(python) = foreign::program(test, &["python3"]) else {
        return;
    };
    let Some(packages) = foreign::packages(test, "python", &["cent"]) else {
        return;
    };
    drive(
        Command::new(python)
            .env("PYTHONPATH", packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(foreign::script("publish_cent.py")),
    );
}

#[test]
fn cent_js_publishes() {
    let test = "publish_cent_js";
    let Some(node) = foreign::program(test, &["node"]) else {
        return;
    };
    let Some(modules) = foreign::packages(test, "node_modules", &["cent.js"]) else {
        return;
    };
    drive(
        Command::new(node)
            .arg(foreign::script("publish_cent.mjs"))
            .arg(modules),
    );
}

/// As a person types it, without a content type.
#[test]
fn curl_publishes() {
    let Some(curl) = foreign::program("publish_curl", &["curl"]) else {
        return;
    };
    let it = WithApi::start(&["--shards", "1"]);
    let mut client = connect(it.server.address);
    join(&mut client, "news");
    let url = format!("http://{}/topics/news", it.api);
    let key = format!("X-API-Key: {ALL}");
    for (data, payload) in [
        (r#"{"title":"hello"}"#, json!({"title": "hello"})),
        ("42", json!(42)),
    ] {
        let (code, out, err) =
            run(Command::new(&curl).args(["-sS", "--fail", "-H", &key, "-d", data, &url]));
        assert_eq!(code, 0, "{err}");
        assert_eq!(out, r#"{"topic":"news"}"#);
        assert_eq!(
            hear(&mut client),
            json!([null, null, "news", "publication", payload])
        );
    }
    // A body so large that curl asks before it sends it.
    let large = format!("\"{}\"", "x".repeat(1_000_000));
    let file = it.key_file.with_file_name("large");
    std::fs::write(&file, &large).unwrap();
    let data = format!("@{}", file.display());
    let kind = "Content-Type: application/json";
    let arguments = [
        "-sS",
        "--fail",
        "-H",
        &key,
        "-H",
        kind,
        "--data-binary",
        &data,
        &url,
    ];
    let (code, _, err) = run(Command::new(&curl).args(arguments));
    assert_eq!(code, 0, "{err}");
    assert_eq!(hear(&mut client)[4].to_string(), large);
}
