//! Which process on this host serves a target.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};

use corecast_host::Root;

/// The process that listens on one of `addresses`, if it runs on this host and
/// this process may see its descriptors. Never this process.
///
/// Of several processes that share the listener, it is the one with the lowest
/// id; a server in another network namespace is not found.
pub fn find_server(addresses: &[SocketAddr]) -> Option<u32> {
    let local: Vec<SocketAddr> = addresses
        .iter()
        .copied()
        .map(as_reached)
        .filter(|address| is_local(address.ip()))
        .collect();
    let listeners: Vec<Listener> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| File::open(path).ok())
        .flat_map(|file| listeners(BufReader::new(file)))
        .collect();
    let sockets = serving(&local, &listeners);
    if sockets.is_empty() {
        return None;
    }
    owner(&sockets)
}

/// Whether a process listens on a port of 127.0.0.1 or of any address. Unlike a
/// trial connection the kernel's table leaves no trace in the server; a sandbox
/// may hide it.
pub fn is_listening(port: u16) -> bool {
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match fs::read("/proc/net/tcp") {
        Ok(table) if !table.is_empty() => {
            let listeners = listeners(&table[..]);
            let mut listeners = listeners.iter();
            listeners.any(|listener| listener.address == target || listener.takes_any(&target))
        }
        _ => TcpStream::connect(target).is_ok(),
    }
}

/// Whether an address is one of this host's: it can be bound to.
pub fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

/// A connection to the unspecified address arrives at the loopback one.
fn as_reached(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listener {
    address: SocketAddr,
    inode: u64,
}

impl Listener {
    /// Whether it takes connections to `target` only because it takes those to
    /// any address; one of IPv6 takes those of IPv4 as well.
    fn takes_any(&self, target: &SocketAddr) -> bool {
        self.address.port() == target.port()
            && self.address.ip().is_unspecified()
            && (self.address.is_ipv6() || target.is_ipv4())
    }
}

/// The inodes of the sockets that serve the first target which any serve. The
/// kernel prefers a listener on the very address to one on any address.
fn serving(targets: &[SocketAddr], listeners: &[Listener]) -> HashSet<u64> {
    let inodes = |wanted: &dyn Fn(&Listener) -> bool| -> HashSet<u64> {
        let wanted = listeners.iter().filter(|listener| wanted(listener));
        wanted.map(|listener| listener.inode).collect()
    };
    targets
        .iter()
        .flat_map(|target| {
            [
                inodes(&|listener| listener.address == *target),
                inodes(&|listener| listener.takes_any(target)),
            ]
        })
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// The listening sockets in `/proc/net/tcp` or `tcp6`. The kernel lists them
/// first, so that the lines of a million connections need not be read.
fn listeners(file: impl BufRead) -> Vec<Listener> {
    file.lines()
        .skip(1)
        .map_while(|line| listener(&line.ok()?))
        .collect()
}

/// A line `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout
/// inode …` in state 0A, listening.
fn listener(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
    if *fields.get(3)? != "0A" {
        return None;
    }
    let (ip, port) = fields[1].split_once(':')?;
    Some(Listener {
        address: SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?),
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// An address is one or four words of 32 bits, each as this processor stores it.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| -> Option<[u8; 4]> {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?);
            }
            // A listener for IPv4 in a socket of IPv6.
            Some(IpAddr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// The process that holds one of these sockets. Processes' own tables and
/// those of shards come first, because most threads share their process's
/// table, and looking into each again takes long.
fn owner(sockets: &HashSet<u64>) -> Option<u32> {
    let own = std::process::id();
    let mut processes: Vec<u32> = numbers(Path::new("/proc"))
        .filter(|pid| *pid != own)
        .collect();
    processes.sort_unstable();
    let tables = |wanted: fn(&Path) -> bool| {
        processes.iter().find(|pid| {
            let tasks = PathBuf::from(format!("/proc/{pid}/task"));
            numbers(&tasks)
                .map(|tid| tasks.join(tid.to_string()))
                .filter(|task| wanted(task))
                .any(|task| holds(&task.join("fd"), sockets))
        })
    };
    let first = processes
        .iter()
        .find(|pid| holds(Path::new(&format!("/proc/{pid}/fd")), sockets))
        .or_else(|| tables(is_shard))
        .or_else(|| tables(|task| !is_shard(task)));
    first.copied()
}

/// The entries of a directory that are numbers: processes, threads.
fn numbers(directory: &Path) -> impl Iterator<Item = u32> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_shard(task: &Path) -> bool {
    Root::default()
        .read(task.join("comm"))
        .is_some_and(|name| name.starts_with("shard-"))
}

/// Whether a table of descriptors holds one of these sockets.
fn holds(table: &Path, sockets: &HashSet<u64>) -> bool {
    let Ok(entries) = fs::read_dir(table) else {
        return false;
    };
    entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| inode(link.to_str()?))
        .any(|inode| sockets.contains(&inode))
}

/// A descriptor of a socket is a link to `socket:[INODE]`.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn listener_at(address: &str, inode: u64) -> Listener {
        let address = address.parse().unwrap();
        Listener { address, inode }
    }

    fn found(target: &str, listeners: &[Listener]) -> Vec<u64> {
        let mut found: Vec<_> = serving(&[target.parse().unwrap()], listeners)
            .into_iter()
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_come_first_and_connections_end_them() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 652 1 0 100 0 0 10 0\n\
                   1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 653 1 0 100 0 0 10 0\n\
                   2: 0100007F:1F92 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 654 1 0 100 0 0 10 0\n\
                   3: 0100007F:1F93 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 655 1 0 100 0 0 10 0\n";
        let wanted = [
            listener_at("127.0.0.1:8080", 652),
            listener_at("0.0.0.0:8081", 653),
        ];
        assert_eq!(listeners(tcp.as_bytes()), wanted);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_are_words_of_the_processor() {
        let parse = |hex| address(hex).map(|ip| ip.to_string());
        assert_eq!(parse("0101A8C0").as_deref(), Some("192.168.1.1"));
        assert_eq!(
            parse("00000000000000000000000001000000").as_deref(),
            Some("::1")
        );
        assert_eq!(
            parse("B80D0120000000000000000001000000").as_deref(),
            Some("2001:db8::1")
        );
        assert_eq!(
            parse("0000000000000000FFFF00000100007F").as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(parse("0101"), None);
    }

    #[test]
    fn the_very_address_is_preferred_to_any_address() {
        let any = listener_at("0.0.0.0:80", 1);
        let any6 = listener_at("[::]:80", 2);
        let one = listener_at("127.0.0.1:80", 3);
        let twin = listener_at("127.0.0.1:80", 4);
        let other = listener_at("127.0.0.1:81", 5);
        assert_eq!(found("127.0.0.1:80", &[any, one, other, twin]), [3, 4]);
        assert_eq!(found("127.0.0.2:80", &[any, one, any6]), [1, 2]);
        assert_eq!(found("[::1]:80", &[any, any6]), [2]);
        assert!(found("[::1]:80", &[any, one]).is_empty());
        assert!(found("127.0.0.1:82", &[any, one]).is_empty());
    }

    #[test]
    fn links_to_sockets_have_an_inode() {
        assert_eq!(inode("socket:[12345]"), Some(12_345));
        assert_eq!(inode("pipe:[12345]"), None);
        assert_eq!(inode("anon_inode:[eventfd]"), None);
    }

    #[test]
    fn addresses_of_this_host_can_be_bound_to() {
        assert!(is_local(Ipv4Addr::new(127, 1, 2, 3).into()));
        // 192.0.2.0/24 is for documents and on no host.
        assert!(!is_local(Ipv4Addr::new(192, 0, 2, 1).into()));
    }

    #[test]
    fn this_process_is_never_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(find_server(&[address]), None);
        assert!(is_listening(address.port()));
        drop(listener);
        assert!(!is_listening(address.port()));
    }
}
