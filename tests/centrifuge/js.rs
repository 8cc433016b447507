//! The npm package `centrifuge`, in JSON and in Protobuf, on both drivers: what the
//! client of others needs works, it comes back after a new process has taken over and
//! after one was killed, and shares a topic with phoenix.js.
//!
//! How: `tests/clients/centrifuge.mjs` drives a real server in Node over the package
//! `ws`; where the server must be replaced or die, it asks for that here. Needs Node and
//! what `make test-clients` installs; without them it says so and passes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::support::centrifuge::ROUTE;
use crate::support::processes::Ended;
use crate::support::{Server, corecast, drivers, foreign};

/// All steps of the script, in their order.
const STEPS: [&str; 12] = [
    "connect",
    "two topics",
    "presence, join and leave",
    "errors have their codes",
    "a subscription with a token",
    "subscriptions by the server",
    "a connection is refreshed",
    "an old token is replaced and a forged one refused",
    "pings keep a silent client",
    "phoenix.js in the same topic",
    "a new server in its place",
    "a server that was killed",
];

/// A server with the rules of `tests/clients/centrifuge.toml`.
fn serve(driver: &str, listen: SocketAddr) -> Server {
    let mut command = corecast();
    command
        .args(["serve", "--shards", "2", "--driver", driver])
        .args(["--listen", &listen.to_string(), "--admin", "127.0.0.1:0"])
        .args(["--route", ROUTE, "--route", "/socket/websocket=phoenix"])
        .args(["--idle-timeout", "8s", "--drain-timeout", "300ms"])
        .arg("--config")
        .arg(foreign::script("centrifuge.toml"));
    Server::spawn(&mut command)
}

/// A script as it runs. Dropping it kills it.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn drive(node: &Path, modules: &Path, encoding: &str, driver: &str) {
    let mut server = serve(driver, ([127, 0, 0, 1], 0).into());
    let address = server.address;
    let mut replacement = Ended::default();
    let mut child = Command::new(node)
        .arg(foreign::script("centrifuge.mjs"))
        .arg(modules)
        .args([encoding, &address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Node can be run");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stdin = child.stdin.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let complaint = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let mut child = Script(child);
    let mut steps = Vec::new();
    for line in lines.map_while(Result::ok) {
        match line.split_once(": ") {
            Some(("works", step)) => steps.push(step.to_owned()),
            Some(("ask", "replace")) => {
                server.signal(libc::SIGUSR2);
                replacement.after(&server, 1);
                assert_eq!(server.exit_status().code(), Some(0));
                writeln!(stdin, "done").expect("the script listens");
            }
            Some(("ask", "crash")) => {
                drop(std::mem::take(&mut replacement));
                server = serve(driver, address);
                writeln!(stdin, "done").expect("the script listens");
            }
            _ => panic!("the script says what is not understood: {line}"),
        }
    }
    let status = child.0.wait().unwrap();
    let complaint = complaint.join().unwrap();
    assert!(status.success(), "{encoding} on {driver}: {complaint}");
    assert_eq!(steps, STEPS, "{encoding} on {driver}");
    drop(server);
}

#[test]
fn the_client_of_others_works_in_both_encodings() {
    let Some(node) = foreign::program("centrifuge_js", &["node"]) else {
        return;
    };
    let needed = ["centrifuge", "phoenix", "ws"];
    let Some(modules) = foreign::packages("centrifuge_js", "node_modules", &needed) else {
        return;
    };
    // Most of a case's time it waits.
    thread::scope(|scope| {
        for encoding in ["json", "protobuf"] {
            for driver in drivers() {
                let (node, modules) = (&node, &modules);
                scope.spawn(move || drive(node, modules, encoding, driver));
            }
        }
    });
}
