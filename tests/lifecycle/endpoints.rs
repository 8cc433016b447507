//! A server listens on several addresses, IPv4 and IPv6, and is at each what it is
//! at one: sessions of all meet in a topic, a hand-over passes all on, a neighbour
//! counts where it listens, and an address that cannot be had is named.
//!
//! How: servers on addresses of 127.0.0.0/8 and on ::1, with ports that are claimed
//! before. Where the host has no IPv6 the tests take a second IPv4 address.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::support::client::{Client, request, text};
use crate::support::processes::{Ended, is_served};
use crate::support::{DEADLINE, Server, corecast, drivers, run, skip, wait_until};

/// An address whose port is ours although nothing listens there.
struct Claim {
    _socket: socket2::Socket,
    address: SocketAddr,
}

fn claim(ip: &str) -> Claim {
    let address = SocketAddr::new(ip.parse().unwrap(), 0);
    let socket = corecast::sys::bind_shared(address).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    Claim {
        _socket: socket,
        address,
    }
}

/// Whether this host has IPv6.
fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        skip("endpoints on ::1", "this host has no IPv6");
    }
    has
}

/// One address of IPv4 and one of IPv6, if there is any.
fn two() -> [Claim; 2] {
    let second = if has_ipv6() { "::1" } else { "127.0.0.2" };
    [claim("127.0.0.1"), claim(second)]
}

/// Addresses as one value of `--listen`.
fn list(claims: &[Claim]) -> String {
    let addresses = claims.iter().map(|claim| claim.address.to_string());
    addresses.collect::<Vec<_>>().join(",")
}

/// A command for a server that listens where it is told by other means.
fn serve(driver: &str) -> Command {
    serve_and_drain(driver, "0s")
}

fn serve_and_drain(driver: &str, drain_timeout: &str) -> Command {
    let mut command = corecast();
    command
        .args(["serve", "--demo", "--admin", "127.0.0.1:0", "--shards", "2"])
        .args(["--driver", driver, "--drain-timeout", drain_timeout]);
    command
}

/// A session in the topic of `/broadcast`. A subscriber that has heard itself, so it is
/// in the topic. Messages that others sent just before may still be on their way from
/// their shard and come first.
fn join(address: SocketAddr, name: &str) -> Client {
    let mut client = Client::connect(address, "/broadcast");
    client.send_text(name);
    while client.read_text() != name {}
    client
}

#[test]
fn sessions_of_all_endpoints_meet() {
    for driver in drivers() {
        let claims = two();
        let server = Server::spawn(serve(driver).args(["--listen", &list(&claims)]));
        let [first, second] = claims.each_ref().map(|claim| claim.address);
        for address in [first, second] {
            let line = format!("listening on ws://{address}");
            assert!(server.log().contains(&line), "{}", server.log());
            for _ in 0..20 {
                is_served(address);
            }
        }
        let stats = server.stats();
        assert_eq!(stats["listen"], first.to_string());
        let endpoints = [first, second].map(|address| address.to_string());
        assert_eq!(stats["endpoints"], serde_json::json!(endpoints));

        let mut one = join(first, "the first");
        let mut other = join(second, "the other");
        assert_eq!(one.read_text(), "the other", "it has joined");
        one.send_text("from the first endpoint");
        assert_eq!(other.read_text(), "from the first endpoint");
        assert_eq!(
            one.read_text(),
            "from the first endpoint",
            "it is there too"
        );
        one.close();
        other.close();

        server.signal(libc::SIGTERM);
        assert_eq!(server.exit_status().code(), Some(0));
        for address in [first, second] {
            TcpStream::connect(address).expect_err("nothing listens any more");
        }
    }
}

#[test]
fn a_hand_over_passes_on_every_endpoint() {
    for driver in drivers() {
        let claims = two();
        let third = claim("127.0.0.3");
        let [first, second] = claims.each_ref().map(|claim| claim.address);
        let file = tempfile::NamedTempFile::new().unwrap();
        let listen = |addresses: &[SocketAddr]| {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            fs::write(file.path(), format!("listen = {addresses:?}\n")).unwrap();
        };
        listen(&[first, second]);
        let server = Server::spawn(serve(driver).arg("--config").arg(file.path()));
        let mut ended = Ended::default();
        server.signal(libc::SIGUSR2);
        for _ in 0..50 {
            is_served(first);
            is_served(second);
        }
        ended.after(&server, 1);
        assert_eq!(server.exit_status().code(), Some(0));
        for _ in 0..50 {
            is_served(first);
            is_served(second);
        }

        // The next one has another list: one stays, one goes, one comes.
        listen(&[third.address, second]);
        // SAFETY: kill takes no pointers.
        unsafe { libc::kill(ended.0[0], libc::SIGUSR2) };
        ended.after(&server, 2);
        for _ in 0..50 {
            is_served(second);
        }
        is_served(third.address);
        wait_until("the address that is no longer listed is closed", || {
            TcpStream::connect(first).is_err()
        });
    }
}

#[test]
fn a_neighbour_counts_where_it_listens() {
    for driver in drivers() {
        let claims = two();
        let [shared, own] = claims.each_ref().map(|claim| claim.address);
        let mut command = serve_and_drain(driver, "5s");
        let old = Server::spawn(command.args(["--listen", &list(&claims)]));
        let mut at_shared = Client::open(shared);
        let mut at_own = Client::open(own);
        old.wait_for("accepted", 2);
        let mut beside = serve(driver);
        beside.args(["--listen", &shared.to_string()]);
        let (code, _, said) = run(&mut beside);
        assert_eq!(code, 1, "{said}");
        let words = format!("another server listens on {shared} already");
        assert!(
            said.contains(&words) && said.contains("--share-port"),
            "{said}"
        );
        let _new = Server::spawn(beside.arg("--share-port"));
        old.signal(libc::SIGTERM);
        wait_until("it drains", || old.stats()["phase"] == "draining");

        // A connection to the address that another server has becomes a session.
        at_shared.send(&[request("/echo").into_bytes(), text("served")].concat());
        let head = at_shared.response_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        at_own.send(request("/echo").as_bytes());
        let head = at_own.response_head();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    }
}

/// A failed start leaves none of the others behind.
#[test]
fn the_one_that_cannot_be_bound_is_named() {
    let claims = two();
    let holder = TcpListener::bind("127.0.0.4:0").unwrap();
    let held = holder.local_addr().unwrap().to_string();
    for driver in drivers() {
        // Another program has the one, and this host has not the other.
        for (address, remedy) in [(&held[..], "ss -ltnp"), ("192.0.2.1:8080", "ip address")] {
            let addresses = format!("{},{address}", list(&claims));
            let (code, _, said) = run(serve(driver).args(["--listen", &addresses]));
            assert_eq!(code, 1, "{said}");
            let words = format!("cannot listen on {address}: ");
            assert!(said.contains(&words) && said.contains(remedy), "{said}");
            assert!(!said.contains("listening on"), "{said}");
        }
    }
}

#[test]
fn an_address_that_is_given_twice_is_refused() {
    for twice in ["127.0.0.1:8080,[::1]:8080,127.0.0.1:8080", "[::]:0,[::]:0"] {
        let (code, _, said) = run(corecast().args(["serve", "--listen", twice]));
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("--listen: "), "{said}");
        assert!(said.contains(" is given twice"), "{said}");
    }
}

#[test]
fn all_of_ipv6_beside_all_of_ipv4_on_one_port() {
    if !has_ipv6() {
        return;
    }
    for driver in drivers() {
        let claim = claim("0.0.0.0");
        let port = claim.address.port();
        let both = format!("[::]:{port},0.0.0.0:{port}");
        let server = Server::spawn(serve(driver).args(["--listen", &both]));
        let mut ended = Ended::default();
        let each_serves = || {
            for _ in 0..20 {
                is_served(SocketAddr::new("::1".parse().unwrap(), port));
                is_served(SocketAddr::new("127.0.0.1".parse().unwrap(), port));
            }
        };
        each_serves();
        server.signal(libc::SIGUSR2);
        ended.after(&server, 1);
        each_serves();
    }
}

#[test]
fn they_can_be_written_in_any_way_and_are_printed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let print = |command: &mut Command| {
        let (code, said, error) = run(command.arg("--print-config"));
        assert_eq!(code, 0, "{error}");
        let line = said.lines().find(|line| line.starts_with("listen = "));
        line.unwrap().split(" #").next().unwrap().trim().to_owned()
    };
    let from_file = |line: &str| {
        fs::write(file.path(), line).unwrap();
        print(corecast().args(["serve", "--config"]).arg(file.path()))
    };
    let one = r#"listen = "[::1]:81""#;
    let two = r#"listen = ["127.0.0.1:81", "[::1]:81"]"#;

    assert_eq!(print(corecast().args(["serve", "--listen=[::1]:81"])), one);
    assert_eq!(from_file(one), one);
    assert_eq!(from_file(r#"listen = ["[::1]:81"]"#), one);

    let flags = ["serve", "--listen=127.0.0.1:81", "--listen", "[::1]:81"];
    assert_eq!(print(corecast().args(flags)), two);
    let variable = ("CORECAST_LISTEN", "127.0.0.1:81, [::1]:81");
    assert_eq!(
        print(corecast().arg("serve").env(variable.0, variable.1)),
        two
    );
    assert_eq!(from_file(two), two);
    assert_eq!(from_file(r#"listen = "127.0.0.1:81, [::1]:81""#), two);

    fs::write(file.path(), "listen = [\"127.0.0.1:81\", \"here\"]\n").unwrap();
    let (code, _, said) = run(corecast().args(["serve", "--config"]).arg(file.path()));
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains(":1: listen: 'here' is not an address"),
        "{said}"
    );
    fs::write(file.path(), "listen = []\n").unwrap();
    let (code, _, said) = run(corecast().args(["serve", "--config"]).arg(file.path()));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("listen: "), "{said}");
}

#[test]
fn a_service_manager_hears_of_each() {
    let claims = two();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = serve("epoll");
    command.args(["--listen", &list(&claims)]);
    let _server = Server::spawn(command.env("NOTIFY_SOCKET", &path));
    let mut message = [0; 4_096];
    let len = manager.recv(&mut message).unwrap();
    let said = String::from_utf8_lossy(&message[..len]);
    let [first, second] = claims.each_ref().map(|claim| claim.address);
    let status = format!("STATUS=listening on ws://{first}, ws://{second}");
    assert!(said.lines().any(|line| line == status), "{said}");
}
