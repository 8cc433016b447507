//! The conditions that must hold after every attack, checked in one place.
//!
//! While an attack goes on, witnesses that were there before it hear numbered
//! publications, each of them, in order. After each round of it a new client is
//! served, the gauges and the descriptors of every thread are where they were,
//! and once all rounds are over, so is the memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client::{CLOSE, Client, FIN, PING, PONG, encode, request};
use super::{DEADLINE, Server, drivers, poll_until};

/// Two shards, to show that harm to one of them does not reach the other, and a path of
/// its own for the witnesses.
const OPTIONS: &[&str] = &["--shards", "2", "--route", "/witness=broadcast"];
/// Sessions that hear every publication; the first of them publishes.
const WITNESSES: usize = 4;
/// Rounds after the first, which only warms up.
const ROUNDS: usize = 2;
/// Further rounds for a server that still grows: on a busy machine a round may
/// hold more connections at once than all before it.
const MAX_ROUNDS: usize = 6;
/// The growth of a server's memory allowed in its last round. The allocator keeps a few
/// pages of each size for each shard, and the kernel chooses anew in each round which
/// shard gets which connection; a leak of 1 KiB in each of a few thousand cases would
/// be more, in every round.
const MAX_GROWTH: u64 = 2 << 20;
/// The memory it may need while it is attacked, beyond what it had before.
const MAX_PEAK: u64 = 64 << 20;

/// Attacks a fresh server on each driver, side by side, three times or more, and
/// checks after each round that nothing has come of it. The attack returns how
/// many cases it was; when it returns, its connections are closed.
pub fn withstand(kind: &str, options: &[&str], attack: impl Fn(&Server) -> usize + Sync) {
    thread::scope(|scope| {
        for driver in drivers() {
            scope.spawn(|| withstand_on(driver, kind, options, &attack));
        }
    });
}

fn withstand_on(driver: &str, kind: &str, options: &[&str], attack: &impl Fn(&Server) -> usize) {
    let server = Server::start(&[OPTIONS, &["--driver", driver], options].concat());
    let began = Instant::now();
    let watch = Watch::begin(&server);
    let mut cases = attack(&server);
    watch.settle(&server);
    let mut most = server.resident_bytes();
    let mut growth = 0;
    for round in 1.. {
        cases += attack(&server);
        watch.settle(&server);
        let resident = server.resident_bytes();
        growth = resident.saturating_sub(most);
        most = most.max(resident);
        if round >= ROUNDS && growth <= MAX_GROWTH {
            break;
        }
        assert!(round < MAX_ROUNDS, "{growth} bytes more in round {round}");
    }
    let before = watch.resident;
    let heard = watch.end();
    let peak = heard.peak.saturating_sub(before);
    assert!(peak <= MAX_PEAK, "the attack took {peak} bytes");
    report(&format!(
        "{kind} | {driver} | {cases} cases | {} ms | {} deliveries, 0 lost, slowest {} ms | \
         memory +{} KiB, at most +{} KiB | descriptors +0",
        began.elapsed().as_millis(),
        heard.deliveries,
        heard.slowest.as_millis(),
        growth >> 10,
        peak >> 10,
    ));
}

/// A newcomer is served: an echo, and a publication that comes back.
#[track_caller]
pub fn good_client(server: &Server) {
    let mut client = connect(server, "/echo");
    client.expect_echo("good");
    client.close();
    let mut client = connect(server, "/broadcast");
    client.send_text("to all");
    // Earlier publications may still be on their way from the other shard, also when this
    // one has come.
    while client.read_text() != "to all" {}
    client.send_close(1000);
    let answer = loop {
        let frame = client.frame();
        if frame.opcode == CLOSE {
            break frame;
        }
        assert_eq!(frame.text(), "to all");
    };
    assert_eq!(answer.close_code(), 1000);
    client.expect_end();
}

/// Opens a session, again if our own request came too late: some of these
/// servers give little time for it, and the machine may be busy.
fn connect(server: &Server, path: &str) -> Client {
    loop {
        let mut client = Client::open(server.address);
        client.send(request(path).as_bytes());
        match client.try_response_head() {
            Some(head) if head.starts_with("HTTP/1.1 101 ") => return client,
            Some(head) => assert!(head.starts_with("HTTP/1.1 408 "), "refused: {head}"),
            // Its time was over before anything of it was read.
            None => {}
        }
    }
}

/// Leaves a line that can be collected from the log of `make test`; the harness
/// would swallow a `println`.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "\nHOSTILE: {line}");
}

/// The resources that the server holds without an attack, and the witnesses that watch
/// it.
struct Watch {
    descriptors: BTreeMap<String, usize>,
    resident: u64,
    stop: Arc<AtomicBool>,
    witnesses: JoinHandle<Heard>,
}

/// The report of the witnesses in the end.
struct Heard {
    deliveries: usize,
    slowest: Duration,
    /// The most memory the server had meanwhile.
    peak: u64,
}

impl Watch {
    fn begin(server: &Server) -> Watch {
        let clients: Vec<Client> = (0..WITNESSES)
            .map(|_| connect(server, "/witness"))
            .collect();
        server.wait_for("sessions", WITNESSES as u64);
        server.wait_for("handshakes", 0);
        let resident = server.resident_bytes();
        let mut descriptors = descriptors(server);
        // The control plane lets go of its last connection a moment later.
        loop {
            thread::sleep(Duration::from_millis(20));
            let again = self::descriptors(server);
            if again == descriptors {
                break;
            }
            descriptors = again;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, pid) = (Arc::clone(&stop), server.pid());
        let witnesses = thread::spawn(move || bear_witness(clients, pid, &stopped));
        Watch {
            descriptors,
            resident,
            stop,
            witnesses,
        }
    }

    /// Everything is as it was before, but for the memory.
    fn settle(&self, server: &Server) {
        good_client(server);
        server.wait_for("handshakes", 0);
        server.wait_for("sessions", WITNESSES as u64);
        let mut now = BTreeMap::new();
        let returned = poll_until(DEADLINE, || {
            now = descriptors(server);
            now == self.descriptors
        });
        assert!(returned, "descriptors: {:?}, now {now:?}", self.descriptors);
        assert!(!server.log().contains("panicked"), "a panic");
        assert!(!self.witnesses.is_finished(), "a witness lost something");
    }

    fn end(self) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        self.witnesses.join().expect("the witnesses lost nothing")
    }
}

/// Publishes numbers and hears each of them, until told to stop.
fn bear_witness(mut clients: Vec<Client>, pid: u32, stop: &AtomicBool) -> Heard {
    let mut heard = Heard {
        deliveries: 0,
        slowest: Duration::ZERO,
        peak: 0,
    };
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (began, text) = (Instant::now(), number.to_string());
        clients[0].send_text(&text);
        for client in &mut clients {
            let mut frame = client.frame();
            while frame.opcode == PING {
                client.send(&encode(FIN | PONG, true, &frame.payload));
                frame = client.frame();
            }
            assert_eq!(frame.text(), text, "a witness lost something");
            heard.deliveries += 1;
        }
        heard.slowest = heard.slowest.max(began.elapsed());
        heard.peak = heard.peak.max(resident(pid));
        thread::sleep(Duration::from_millis(5));
    }
    for client in clients {
        client.close();
    }
    heard
}

/// Resident memory of a process without asking it for anything.
fn resident(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0u64) * 4096
}

/// The number of open descriptors in the table of each thread: shards have
/// tables of their own.
fn descriptors(server: &Server) -> BTreeMap<String, usize> {
    let tasks = format!("/proc/{}/task", server.pid());
    let threads = fs::read_dir(tasks).expect("the server lives");
    threads
        .filter_map(|thread| {
            let path = thread.ok()?.path();
            let name = fs::read_to_string(path.join("comm")).ok()?;
            let count = fs::read_dir(path.join("fd")).ok()?.count();
            let number = path.file_name()?.to_string_lossy().into_owned();
            Some((format!("{} {number}", name.trim()), count))
        })
        .collect()
}
