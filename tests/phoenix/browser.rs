//! `examples/phoenix-chat` does what it promises: pages of a real browser, with
//! phoenix.js as it comes from npm, talk to each other and see the members.
//!
//! How: a real server with the example's configuration, and the example's own
//! web server. Needs Chromium, Node and what `make test-clients` installs;
//! without them it says so and passes.

use std::path::Path;
use std::process::Command;

use crate::support::{Server, corecast, foreign};

#[test]
fn pages_talk_to_each_other_and_see_who_is_there() {
    let what = "browser_phoenix";
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let Some(chromium) = foreign::program(what, &browsers) else {
        return;
    };
    let Some(node) = foreign::program(what, &["node"]) else {
        return;
    };
    let needed = ["puppeteer-core", "phoenix"];
    let Some(modules) = foreign::packages(what, "node_modules", &needed) else {
        return;
    };

    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--shards", "2", "--config"])
        .arg(project.join("examples/phoenix-chat/corecast.toml"));
    let server = Server::spawn(&mut command);
    let pages = Command::new(node)
        .arg(project.join("tests/browser_phoenix.mjs"))
        .arg(modules)
        .arg(chromium)
        .arg(server.address.to_string())
        .output()
        .expect("Node can be run");
    assert!(
        pages.status.success(),
        "{}{}",
        String::from_utf8_lossy(&pages.stdout),
        String::from_utf8_lossy(&pages.stderr)
    );
    server.wait_for("sessions", 0);
}
