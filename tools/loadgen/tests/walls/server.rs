//! Servers that set a limit, or break a rule on purpose.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use corecast::cli::{self, Command};
use corecast::config::{Config, RouteSetting};
use corecast::server::{RunningServer, Server};
use corecast::upgrade::accept_key;
use corecast::ws::{Decoder, Event, Input, Role, Rules, encode_frame};
use socket2::{Domain, SockRef, Socket, Type};

/// The words of a server process before its address.
pub const LISTENING: &str = "listening on ";

/// How long a server without descriptors waits before it accepts again.
const WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(20);

/// A corecast in this process. Dropping it stops it.
pub struct Corecast(Option<RunningServer>);

impl Corecast {
    pub fn start(change: impl FnOnce(Config) -> Config) -> Corecast {
        let config = Config::new()
            .listen([SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()])
            .shards(1)
            .drain_timeout(Duration::ZERO)
            .routes(RouteSetting::demo());
        let server = Server::new(change(config)).unwrap().start().unwrap();
        Corecast(Some(server))
    }

    pub fn url(&self, path: &str) -> String {
        let server = self.0.as_ref().unwrap();
        format!("ws://{}{path}", server.local_addr())
    }
}

impl Drop for Corecast {
    fn drop(&mut self) {
        if let Some(server) = self.0.take() {
            server.handle().drain();
            server.handle().hurry();
            server.wait();
        }
    }
}

/// Serves as `role` says, until the process is killed: `corecast OPTIONS`,
/// `echo MICROSECONDS` of work for each message, or `sink`.
pub fn serve(role: &str) {
    let words: Vec<&str> = role.split_whitespace().collect();
    match words.as_slice() {
        ["corecast", options @ ..] => serve_corecast(options),
        ["echo", micros] => {
            let work = Duration::from_micros(micros.parse().unwrap());
            serve_each(announced(), move |_, stream| {
                drop(echo(stream, || spin(work)))
            });
        }
        ["sink"] => serve_each(announced(), |_, stream| drop(discard(stream))),
        _ => panic!("no such server: {role}"),
    }
}

fn serve_corecast(options: &[&str]) {
    let words = [
        "corecast",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
    ];
    let words = words.iter().chain(options);
    let Ok(Command::Serve(options)) = cli::try_parse_from(words, &|_| None) else {
        panic!("these are no options: {options:?}");
    };
    // As the program does it.
    // SAFETY: the built-in handlers use no descriptors.
    let server = unsafe {
        Server::new(options.config)
            .unwrap()
            .with_a_descriptor_table_per_shard()
    };
    let server = server.start().unwrap();
    println!("{LISTENING}{}", server.local_addr());
    server.wait();
}

fn announced() -> TcpListener {
    let listener = listen(1_024);
    println!("{LISTENING}{}", listener.local_addr().unwrap());
    listener
}

/// A listener whose accept queue is this long; the kernel adds one.
pub fn listen(backlog: i32) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any_port = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    socket.bind(&any_port.into()).unwrap();
    socket.listen(backlog).unwrap();
    socket.into()
}

/// The URL of a listener.
pub fn url(listener: &TcpListener) -> String {
    let port = listener.local_addr().unwrap().port();
    format!("ws://127.0.0.1:{port}/")
}

/// Serves in this process, as long as it lives: `behave` gets each connection
/// and its number. Number 0 is the one with which the generator tries the
/// server before a run. Returns the server's URL.
pub fn behaving(behave: impl Fn(u64, TcpStream) + Send + Sync + 'static) -> String {
    let listener = listen(1_024);
    let url = url(&listener);
    thread::spawn(move || serve_each(listener, behave));
    url
}

/// As [`behaving`], with a good server for the generator's first try.
pub fn misbehaving(behave: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    behaving(move |number, stream| match number {
        0 => drop(discard(stream)),
        _ => behave(stream),
    })
}

fn serve_each(listener: TcpListener, behave: impl Fn(u64, TcpStream) + Send + Sync + 'static) {
    let behave = Arc::new(behave);
    let mut number = 0;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let behave = Arc::clone(&behave);
                thread::spawn(move || behave(number, stream));
                number += 1;
            }
            Err(_) => thread::sleep(WITHOUT_DESCRIPTORS),
        }
    }
}

/// Reads a request and returns its key.
fn read_request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let key = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    Ok(key.map(|(_, key)| key.into()).unwrap_or_default())
}

/// Answers an opening handshake as it should be.
pub fn shake_hands(stream: &mut TcpStream) -> io::Result<()> {
    let accept = accept_key(&read_request(stream)?);
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        String::from_utf8_lossy(&accept)
    )
}

/// Answers an opening handshake with these bytes, and ends the connection.
pub fn answer(mut stream: TcpStream, bytes: &[u8]) {
    if read_request(&mut stream).is_ok() {
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        // A close before all is read would be a reset.
        let _ = io::copy(&mut stream, &mut io::sink());
    }
}

/// Ends a connection by a reset.
pub fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// Sends nothing for longer than any test waits.
pub fn keep_silent(stream: TcpStream) {
    thread::sleep(Duration::from_secs(10));
    drop(stream);
}

/// A good handshake; then everything is read and nothing is understood.
pub fn discard(mut stream: TcpStream) -> io::Result<()> {
    shake_hands(&mut stream)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = stream.read(&mut buffer)?;
        // A short read with a close frame in it; its payload is masked.
        if read == 0 || read < 64 && buffer[0] & 0x0f == 0x08 {
            return Ok(());
        }
    }
}

/// A good handshake; then every message comes back, after `work`.
pub fn echo(mut stream: TcpStream, work: impl Fn()) -> io::Result<()> {
    shake_hands(&mut stream)?;
    let rules = Rules {
        role: Role::Server,
        max_frame_bytes: 1 << 20,
        max_message_bytes: 1 << 20,
    };
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 1 << 16];
    let mut out = Vec::new();
    loop {
        let read = stream.read(&mut buffer)?;
        let mut input = Input::new(&mut buffer[..read]);
        while let Ok(Some(event)) = decoder.next(&mut input, &rules) {
            match event {
                Event::Message(message) => {
                    work();
                    encode_frame(&mut out, message.opcode(), message.as_bytes());
                    stream.write_all(&out)?;
                    out.clear();
                }
                Event::Close(_) => return Ok(()),
                _ => {}
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// Takes processor time.
fn spin(work: Duration) {
    let until = Instant::now() + work;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}
