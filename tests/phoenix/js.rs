//! Phoenix Channels as the clients of others see them: the npm package
//! `phoenix` from 1.2 to 1.8, with both serializers, on both drivers.
//!
//! How: `tests/clients/phoenix.mjs` drives a real server with one version of
//! the client, in Node over the package `ws`; where the server must fall silent,
//! restart or die, it asks for that here. All versions take the same steps, as
//! far as each can; which took which is printed as a table. Needs Node and what
//! `make test-clients` installs; without them it says so and passes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::support::{Server, corecast, drivers, foreign};

/// Names under which `make test-clients` installs the versions, and the
/// serializers each has.
const CLIENTS: &[(&str, &[&str])] = &[
    ("phoenix", &["2.0.0", "1.0.0"]),
    ("phoenix17", &["2.0.0", "1.0.0"]),
    ("phoenix16", &["2.0.0", "1.0.0"]),
    ("phoenix14", &["2.0.0", "1.0.0"]),
    ("phoenix13", &["2.0.0"]),
    ("phoenix12", &["1.0.0"]),
];

/// One client version with one serializer, against a server on one driver.
#[derive(Debug, Clone, Copy)]
struct Case {
    package: &'static str,
    vsn: &'static str,
    driver: &'static str,
}

/// The outcome of a case.
#[derive(Debug)]
struct Outcome {
    case: Case,
    version: String,
    /// Steps in their order, and whether this client can take them.
    steps: Vec<(String, bool)>,
    /// Why it ended early, or nothing.
    failure: String,
}

/// Each client with each serializer, the drivers in turn; the newest on both.
fn cases() -> Vec<Case> {
    let drivers = drivers();
    let mut cases = Vec::new();
    for &(package, serializers) in CLIENTS {
        for &vsn in serializers {
            let driver = drivers[cases.len() % drivers.len()];
            cases.push(Case {
                package,
                vsn,
                driver,
            });
        }
    }
    for &driver in drivers {
        for &vsn in CLIENTS[0].1 {
            let package = CLIENTS[0].0;
            let is_same = |case: &Case| case.package == package && case.vsn == vsn;
            if !cases
                .iter()
                .any(|case| is_same(case) && case.driver == driver)
            {
                cases.push(Case {
                    package,
                    vsn,
                    driver,
                });
            }
        }
    }
    cases
}

/// A server with the rules of `tests/clients/phoenix.toml`. Pings are on, but
/// must not keep a client alive that sends no heartbeats.
fn serve(driver: &str, listen: SocketAddr) -> Server {
    let mut command = corecast();
    command
        .args([
            "serve",
            "--shards",
            "2",
            "--driver",
            driver,
            "--admin",
            "127.0.0.1:0",
        ])
        .args(["--listen", &listen.to_string()])
        .args(["--idle-timeout", "8s", "--ping-interval", "1s"])
        .args(["--drain-timeout", "300ms"])
        .arg("--config")
        .arg(foreign::script("phoenix.toml"));
    Server::spawn(&mut command)
}

/// A client's script as it runs. Dropping it kills it.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn drive(case: Case, command: &mut Command) -> Outcome {
    let mut server = Some(serve(case.driver, ([127, 0, 0, 1], 0).into()));
    let (address, admin) = server.as_ref().map(|it| (it.address, it.admin)).unwrap();
    let mut child = command
        .args([case.package, case.vsn])
        .args([address.to_string(), admin.to_string()])
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

    let mut outcome = Outcome {
        case,
        version: String::new(),
        steps: Vec::new(),
        failure: String::new(),
    };
    for line in lines.map_while(Result::ok) {
        let (word, rest) = line.split_once(": ").unwrap_or((&line, ""));
        match word {
            "client" => rest.clone_into(&mut outcome.version),
            "works" => outcome.steps.push((rest.to_owned(), true)),
            "without" => {
                let (step, _) = rest.split_once(':').unwrap_or((rest, ""));
                outcome.steps.push((step.to_owned(), false));
            }
            "ask" => {
                obey(rest, &mut server, case.driver, address);
                writeln!(stdin, "done").expect("the script listens");
            }
            _ => panic!("the script says what nobody understands: {line}"),
        }
    }
    // It ends by itself, however long a step waits.
    if !child.0.wait().unwrap().success() {
        outcome.failure = complaint.join().unwrap();
        if outcome.failure.is_empty() {
            outcome.failure = "it says nothing".into();
        }
    }
    outcome
}

/// Does to the server what the script asks for.
fn obey(what: &str, server: &mut Option<Server>, driver: &str, address: SocketAddr) {
    let running = server.as_ref().expect("a server runs");
    match what {
        "pause" => running.signal(libc::SIGSTOP),
        "resume" => running.signal(libc::SIGCONT),
        "restart" => {
            running.signal(libc::SIGTERM);
            assert_eq!(running.exit_status().code(), Some(0));
            *server = Some(serve(driver, address));
        }
        "crash" => {
            *server = None;
            *server = Some(serve(driver, address));
        }
        _ => panic!("the script asks for what nobody can do: {what}"),
    }
}

/// Which client took which step.
fn table(outcomes: &[Outcome]) -> String {
    let mut order: Vec<&str> = Vec::new();
    for outcome in outcomes {
        for (step, _) in &outcome.steps {
            if !order.contains(&step.as_str()) {
                order.push(step);
            }
        }
    }
    let mut text = format!("\n{:24}", "phoenix.js");
    for outcome in outcomes {
        let _ = write!(text, " {:>7}", outcome.version);
    }
    let _ = write!(text, "\n{:24}", "serializer, driver");
    for Outcome { case, .. } in outcomes {
        let vsn = case.vsn.split('.').next().unwrap_or_default();
        let _ = write!(text, " {:>7}", format!("V{vsn} {}", &case.driver[..2]));
    }
    for step in order {
        let _ = write!(text, "\n{step:24}");
        for outcome in outcomes {
            let taken: BTreeMap<_, _> = outcome.steps.iter().cloned().collect();
            let mark = match taken.get(step) {
                Some(true) => "works",
                Some(false) => "-",
                None => "FAILS",
            };
            let _ = write!(text, " {mark:>7}");
        }
    }
    text
}

#[test]
fn every_version_of_the_client_works_as_far_as_it_goes() {
    let mut needed: Vec<_> = CLIENTS.iter().map(|(package, _)| *package).collect();
    needed.push("ws");
    let Some(node) = foreign::program("phoenix_js", &["node"]) else {
        return;
    };
    let Some(modules) = foreign::packages("phoenix_js", "node_modules", &needed) else {
        return;
    };

    // Most of a case's time it waits.
    let running: Vec<_> = cases()
        .into_iter()
        .map(|case| {
            let mut command = Command::new(&node);
            command.arg(foreign::script("phoenix.mjs")).arg(&modules);
            thread::spawn(move || drive(case, &mut command))
        })
        .collect();
    let outcomes: Vec<_> = running
        .into_iter()
        .map(|case| case.join().expect("a case can be run"))
        .collect();

    // Past the harness, which would swallow it.
    let _ = writeln!(std::io::stderr(), "{}", table(&outcomes));
    let failures: String = outcomes
        .iter()
        .filter(|outcome| !outcome.failure.is_empty())
        .map(|Outcome { case, failure, .. }| format!("{case:?}: {failure}\n"))
        .collect();
    assert!(failures.is_empty(), "{failures}");
}
