//! The page at `/` does what it promises: two windows of a real browser chat
//! with each other. Needs Chromium, Node and what `make test-clients`
//! installs; without them it says so and passes.

use std::env;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use corecast::config::{Config, RouteSetting};
use corecast::server::Server;

/// Leaves a line that `make test` repeats; the harness would swallow a `println`.
fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: browser_chat: {why}");
}

fn program(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|program| program.is_file())
}

#[test]
fn two_windows_chat_with_each_other() {
    let Some(chromium) = program(&["chromium", "chromium-browser", "google-chrome"]) else {
        return skip("there is no Chromium");
    };
    let Some(node) = program(&["node"]) else {
        return skip("there is no Node");
    };
    // Beside the directory of the profile the tests were built with.
    let clients = Path::new(env!("CARGO_BIN_EXE_corecast"))
        .ancestors()
        .nth(2)
        .expect("the binary lies in target/PROFILE")
        .join("test-clients");
    if !clients.join("node_modules/puppeteer-core").is_dir() {
        return skip("puppeteer-core is not installed; run: make test-clients");
    }

    let config = Config::new()
        .listen([SocketAddr::from(([127, 0, 0, 1], 0)).into()])
        .shards(2)
        .routes(RouteSetting::demo())
        .home_page(true);
    let server = Server::new(config)
        .and_then(Server::start)
        .expect("a port that is free can be had");
    let chat = Command::new(node)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/browser_chat.mjs"
        ))
        .arg(clients)
        .arg(chromium)
        .arg(format!("http://{}/", server.local_addr()))
        .output()
        .expect("Node can be run");
    assert!(
        chat.status.success(),
        "{}{}",
        String::from_utf8_lossy(&chat.stdout),
        String::from_utf8_lossy(&chat.stderr)
    );
}
