//! Publications a second through the HTTP API: `cargo bench --bench api`.
//!
//! The shard has a core of its own, the API and the load share another, so the figure is
//! that of both together. Each answer is read and each publication counted: a figure is
//! only printed when the shard has taken in as many as were answered, and the
//! subscriber, where there is one, has got as many.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use corecast::config::{Config, RouteSetting};
use corecast::server::{RunningServer, Server};

/// A publication as a busy site's backend makes it.
const DATA_BYTES: usize = 200;
/// The path's topic is called so.
const TOPIC: &str = "corecast:broadcast:/broadcast";

/// A way to publish.
struct Way {
    name: &'static str,
    connections: usize,
    /// Requests that are sent on a connection before its answers are read.
    pipelined: usize,
    /// Publications in a request; several are a batch.
    publications: usize,
    has_subscriber: bool,
}

const WAYS: &[Way] = &[
    Way {
        name: "POST /topics, 1 connection",
        connections: 1,
        pipelined: 1,
        publications: 1,
        has_subscriber: false,
    },
    Way {
        name: "POST /topics, 64 connections",
        connections: 64,
        pipelined: 1,
        publications: 1,
        has_subscriber: false,
    },
    Way {
        name: "POST /topics, 16 pipelined",
        connections: 4,
        pipelined: 16,
        publications: 1,
        has_subscriber: false,
    },
    Way {
        name: "batches of 100",
        connections: 8,
        pipelined: 1,
        publications: 100,
        has_subscriber: false,
    },
    Way {
        name: "POST /topics, 64 connections, 1 subscriber",
        connections: 64,
        pipelined: 1,
        publications: 1,
        has_subscriber: true,
    },
    Way {
        name: "batches of 100, 1 subscriber",
        connections: 8,
        pipelined: 1,
        publications: 100,
        has_subscriber: true,
    },
];

fn main() {
    let is_short = !std::env::args().any(|argument| argument == "--bench");
    let time = Duration::from_millis(if is_short { 50 } else { 3_000 });
    for way in WAYS {
        let server = start();
        let rate = way.run(&server, time);
        println!("{:<46} {:>10.0} publications/s", way.name, rate);
        server.handle().hurry();
        server.handle().drain();
        server.wait();
    }
}

/// A server whose shard is on the last core, and whose other threads are on the first.
fn start() -> RunningServer {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config::new()
        .listen([any_port.into()])
        .api(any_port)
        .api_insecure(true)
        .shards(1)
        .routes([RouteSetting::new("/broadcast", "broadcast")]);
    if let Some(last) = cores.last() {
        config = config.cpus([last.id]);
    }
    let server = Server::new(config).unwrap().start().unwrap();
    if cores.len() > 1 {
        pin_others_to(cores[0].id);
    }
    server
}

/// Pins all threads that are no shard's.
fn pin_others_to(core: usize) {
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let id = task.file_name().to_string_lossy().parse();
        let (false, Ok(id)) = (name.starts_with("shard-"), id) else {
            continue;
        };
        // SAFETY: a set is plain bits, and the kernel only reads it.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(core, &mut set);
            libc::sched_setaffinity(id, size_of::<libc::cpu_set_t>(), &set);
        }
    }
}

impl Way {
    /// Publishes for some time, and returns how many a second.
    fn run(&self, server: &RunningServer, time: Duration) -> f64 {
        let mut subscriber = self.has_subscriber.then(|| Subscriber::connect(server));
        let address = server.api_addr().unwrap();
        let request = self.request();
        let together = request.repeat(self.pipelined);
        let mut connections: Vec<_> = (0..self.connections)
            .map(|_| Connection::open(address))
            .collect();
        let answer = connections[0].learn(&request, self.publications);
        let mut published = self.publications as u64;
        let begin = Instant::now();
        while begin.elapsed() < time {
            for connection in &mut connections {
                connection.stream.write_all(&together).unwrap();
            }
            for connection in &mut connections {
                for _ in 0..self.pipelined {
                    connection.expect(&answer);
                }
            }
            published += (self.connections * self.pipelined * self.publications) as u64;
        }
        let rate = published as f64 / begin.elapsed().as_secs_f64();
        let taken = || server.metrics()[0].outside_publications.value();
        let until = Instant::now() + Duration::from_secs(20);
        while taken() != published && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(taken(), published, "the shard takes in what was answered");
        if let Some(subscriber) = &mut subscriber {
            subscriber.expect(published);
        }
        rate
    }

    fn request(&self) -> Vec<u8> {
        let data = format!("\"{}\"", "x".repeat(DATA_BYTES - 2));
        let (target, body) = match self.publications {
            1 => (format!("/topics/{TOPIC}"), data),
            several => {
                let command = format!(r#"{{"publish":{{"channel":"{TOPIC}","data":{data}}}}}"#);
                let commands = vec![command; several].join(",");
                (
                    "/api/batch".to_owned(),
                    format!(r#"{{"commands":[{commands}]}}"#),
                )
            }
        };
        format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            stream,
            answer: Vec::new(),
        }
    }

    /// Makes one request, and returns its answer up to the date, and its length.
    fn learn(&mut self, request: &[u8], publications: usize) -> (Vec<u8>, usize) {
        self.stream.write_all(request).unwrap();
        let mut answer = vec![0; 64 * 1024];
        let (mut filled, mut length) = (0, None);
        while length.is_none_or(|length| filled < length) {
            filled += self.stream.read(&mut answer[filled..]).unwrap();
            let text = String::from_utf8_lossy(&answer[..filled]);
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let (_, rest) = head.split_once("content-length: ").expect("a length");
                let body: usize = rest.split("\r\n").next().unwrap().parse().unwrap();
                length = Some(head.len() + 4 + body);
            }
        }
        let text = String::from_utf8_lossy(&answer[..filled]).into_owned();
        assert!(!text.contains("error"), "{text}");
        let replies = text.matches("publish\":{}").count();
        assert!(publications == 1 || replies == publications, "{text}");
        let head = text.split("date:").next().unwrap();
        (head.as_bytes().to_vec(), filled)
    }

    fn expect(&mut self, (head, length): &(Vec<u8>, usize)) {
        self.answer.resize(*length, 0);
        self.stream.read_exact(&mut self.answer).unwrap();
        let text = || String::from_utf8_lossy(&self.answer).into_owned();
        assert!(self.answer.starts_with(head), "{}", text());
    }
}

/// A client of the path, which counts what it gets on a thread of its own.
struct Subscriber {
    counts: thread::JoinHandle<u64>,
    stream: TcpStream,
}

impl Subscriber {
    fn connect(server: &RunningServer) -> Self {
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        let request = "GET /broadcast HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        let mut reads = stream.try_clone().unwrap();
        let counts = thread::spawn(move || {
            // A frame of 200 bytes has a header of four.
            let (mut bytes, mut buffer) = (0, vec![0; 1 << 20]);
            while let Ok(read @ 1..) = reads.read(&mut buffer) {
                bytes += read as u64;
            }
            bytes / (DATA_BYTES as u64 + 4)
        });
        Subscriber { counts, stream }
    }

    /// It must have got as many publications in the end.
    fn expect(&mut self, published: u64) {
        thread::sleep(Duration::from_millis(500));
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
        let counts = std::mem::replace(&mut self.counts, thread::spawn(|| 0));
        assert_eq!(
            counts.join().unwrap(),
            published,
            "the subscriber gets them all"
        );
    }
}
