//! The listening sockets of a server: bound or inherited by the process, and
//! each accepted from by one shard.
//!
//! # Invariants worth naming
//!
//! - They are made before the shards' descriptor tables part. A shard with a table
//!   of its own takes possession of the copies of its listeners and closes those of
//!   the others; one that shares the process's gets duplicates. The process keeps
//!   one of each for a hand-over.
//! - An inherited listener is accepted from as long as its server serves, even
//!   with fewer shards than listeners: closing one would lose what the kernel
//!   has put into its queue.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::config::Endpoint;
use crate::error::StartError;
use crate::link::ListenSocket;
use crate::sys::{self, DescriptorTables};
use crate::unix_listener::{self, SocketFile};

/// How long the kernel may list the sockets of a process that has ended.
const LAST_OF_THE_KILLED: Duration = Duration::from_secs(5);

/// The listening sockets of a server's endpoints.
#[derive(Debug)]
pub(crate) struct Listeners {
    endpoints: Vec<Bound>,
    /// After the endpoints, in their places.
    unix: Vec<(Socket, SocketFile)>,
}

/// The sockets of one endpoint, in the order in which shards take them, one after
/// the other.
#[derive(Debug)]
struct Bound {
    /// Its port is resolved.
    endpoint: Endpoint,
    sockets: Vec<Socket>,
}

/// A listening socket of a shard.
#[derive(Debug)]
pub(crate) struct ShardListener {
    socket: Socket,
    /// The place of its endpoint among those of the server.
    place: usize,
    /// Nothing for a Unix socket.
    address: Option<SocketAddr>,
}

impl Listeners {
    /// Takes the inherited listeners that are at one of the endpoints, port 0 meaning
    /// theirs, and binds as many more as it takes for each shard to have one of each
    /// endpoint.
    pub(crate) fn open(
        endpoints: &[Endpoint],
        unix: &[String],
        shards: usize,
        mut inherited: Vec<Socket>,
    ) -> Result<Self, StartError> {
        let open = |path: &String| {
            unix_listener::open(path, &mut inherited).map_err(|error| StartError::ListenUnix {
                path: path.clone(),
                error,
            })
        };
        let unix = unix.iter().map(open).collect::<Result<_, _>>()?;
        let mut taken: Vec<Vec<Socket>> = endpoints.iter().map(|_| Vec::new()).collect();
        // Those with a port first, or one without would take what is another's.
        for any_port in [false, true] {
            for (endpoint, taken) in endpoints.iter().zip(&mut taken) {
                if (endpoint.address.port() == 0) == any_port {
                    *taken = take_standing_at(endpoint.address, &mut inherited);
                }
            }
        }
        let bound = endpoints.iter().zip(taken).map(|(endpoint, taken)| {
            let only_v6 = endpoint.is_beside_ipv4(endpoints);
            let mut bound = Bound::open(*endpoint, only_v6, shards, taken)?;
            // The kernel prefers them to the endpoint's own, and has connections in their
            // queues.
            let covered = inherited.extract_if(.., |socket| covers(*endpoint, only_v6, socket));
            bound.sockets.extend(covered);
            Ok(bound)
        });
        let endpoints = bound.collect::<Result<_, StartError>>()?;
        Ok(Listeners { endpoints, unix })
    }

    /// The endpoints, their ports resolved.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.endpoints.iter().map(|bound| bound.endpoint).collect()
    }

    /// Takes the listeners that are the calling shard's: in a descriptor table of
    /// its own, if `tables` says so, which then has no copies of the others nor of
    /// `private`.
    pub(crate) fn take(
        &self,
        shard: usize,
        shards: usize,
        private: &[BorrowedFd<'_>],
        tables: DescriptorTables,
    ) -> io::Result<Vec<ShardListener>> {
        let mut mine = Vec::new();
        let mut places = Vec::new();
        let mut others = private.to_vec();
        for (place, bound) in self.endpoints.iter().enumerate() {
            for (index, socket) in bound.sockets.iter().enumerate() {
                if index % shards == shard {
                    mine.push(socket.as_fd());
                    places.push((place, Some(bound.endpoint.address)));
                } else {
                    others.push(socket.as_fd());
                }
            }
        }
        for (index, (socket, _)) in self.unix.iter().enumerate() {
            mine.push(socket.as_fd());
            places.push((self.endpoints.len() + index, None));
        }
        // The process owns them, and a shard uses only what it is given here.
        let parted = tables.part(&mine, &others).unwrap_or_else(|error| {
            tracing::warn!(
                "shard {shard} shares its table of descriptors with the process: {error}"
            );
            None
        });
        let duplicate = || mine.iter().map(BorrowedFd::try_clone_to_owned).collect();
        let sockets = parted.map_or_else(duplicate, Ok)?;
        let listeners = sockets.into_iter().zip(places);
        Ok(listeners
            .map(|(socket, (place, address))| ShardListener {
                socket: socket.into(),
                place,
                address,
            })
            .collect())
    }

    /// How they look from outside.
    pub(crate) fn seen(&self) -> Seen {
        let seen = |bound: &Bound| SeenEndpoint {
            address: bound.endpoint.address,
            inodes: bound.sockets.iter().flat_map(sys::inode).collect(),
        };
        Seen(self.endpoints.iter().map(seen).collect())
    }

    /// The sockets, and the files of those that have one.
    pub(crate) fn into_sockets(self) -> (Vec<Socket>, Vec<SocketFile>) {
        let endpoints = self.endpoints.into_iter();
        let (unix, mut files): (Vec<_>, Vec<_>) = self.unix.into_iter().unzip();
        files.iter_mut().for_each(SocketFile::claim);
        let sockets = endpoints.flat_map(|bound| bound.sockets).chain(unix);
        (sockets.collect(), files)
    }
}

impl Bound {
    fn open(
        mut endpoint: Endpoint,
        only_v6: bool,
        shards: usize,
        mut sockets: Vec<Socket>,
    ) -> Result<Self, StartError> {
        let address = endpoint.address;
        let fail = |error| StartError::Listen { address, error };
        // A socket that an old process has bound for IPv6 alone is still accepted from,
        // but it is no listener for IPv4.
        let leaves_ipv4 =
            |socket: &&Socket| address.is_ipv6() && !only_v6 && socket.only_v6().unwrap_or(false);
        let partial = match sockets.iter().any(|socket| leaves_ipv4(&socket)) {
            // On a host that makes all sockets so, no other can be had.
            true if !sys::is_v6_only_by_default() => sockets.iter().filter(leaves_ipv4).count(),
            _ => 0,
        };
        let bind = match only_v6 {
            true => sys::bind_shared_v6_only,
            false => sys::bind_shared,
        };
        // The first holds the port from before the first shard listens until the last
        // one does, so that port 0 becomes the same port for all.
        while sockets.len() < shards + partial {
            if let Some(first) = sockets.first() {
                let local = first.local_addr().map_err(fail)?.as_socket();
                endpoint.address = local.unwrap_or(address);
            }
            sockets.push(bind(endpoint.address).map_err(fail)?);
        }
        let local = sockets[0].local_addr().map_err(fail)?.as_socket();
        endpoint.address = local.unwrap_or(address);
        Ok(Bound { endpoint, sockets })
    }
}

/// Takes the inherited listeners at an address out of all of them: where its port is
/// 0, those with the port of the first.
fn take_standing_at(mut address: SocketAddr, inherited: &mut Vec<Socket>) -> Vec<Socket> {
    let first = inherited.iter().find(|socket| stands_at(socket, address));
    if let Some(local) = first.and_then(|first| first.local_addr().ok()?.as_socket()) {
        address.set_port(local.port());
    }
    let all = std::mem::take(inherited);
    let (taken, left) = all
        .into_iter()
        .partition(|socket| stands_at(socket, address));
    *inherited = left;
    taken
}

/// Whether an inherited listener is at one of the addresses that an endpoint stands for:
/// every address of the host.
fn covers(endpoint: Endpoint, only_v6: bool, socket: &Socket) -> bool {
    let local = socket.local_addr().ok().and_then(|local| local.as_socket());
    local.is_some_and(|local| {
        let address = endpoint.address;
        let has_ipv4 = address.is_ipv6() && !only_v6 && !sys::is_v6_only_by_default();
        address.ip().is_unspecified()
            && address.port() == local.port()
            && (address.is_ipv4() == local.is_ipv4() || has_ipv4)
    })
}

/// Makes a shard's listeners listen, and hands them to the runtime that this is
/// called in. `mark` is the core whose connections they are to have.
pub(crate) fn listen(
    listeners: Vec<ShardListener>,
    backlog: u32,
    mark: Option<usize>,
) -> Result<Vec<ListenSocket>, StartError> {
    let listen = |socket: Socket, place, is_unix| {
        if is_unix {
            sys::listen_unix(&socket, backlog)?;
            return ListenSocket::new(socket, place);
        }
        // Inherited ones keep the old mark otherwise.
        sys::prefer_core(&socket, mark)?;
        sys::listen(&socket, backlog)?;
        ListenSocket::new(socket, place)
    };
    listeners
        .into_iter()
        .map(|listener| {
            let address = listener.address;
            let path = unix_listener::path_of(&listener.socket).unwrap_or_default();
            listen(listener.socket, listener.place, address.is_none()).map_err(
                |error| match address {
                    Some(address) => StartError::Listen { address, error },
                    None => StartError::ListenUnix {
                        path: path.display().to_string(),
                        error,
                    },
                },
            )
        })
        .collect()
}

/// Whether an inherited listener is the one that a setting asks for.
pub(crate) fn stands_at(socket: &Socket, address: SocketAddr) -> bool {
    let local = socket.local_addr().ok().and_then(|local| local.as_socket());
    local.is_some_and(|local| {
        local.ip() == address.ip() && (address.port() == 0 || local.port() == address.port())
    })
}

/// A server's listeners as the kernel lists them.
#[derive(Debug)]
pub(crate) struct Seen(Vec<SeenEndpoint>);

#[derive(Debug)]
struct SeenEndpoint {
    address: SocketAddr,
    inodes: HashSet<u64>,
}

impl Seen {
    /// Whether another server listens on the address of each endpoint, in their order.
    pub(crate) fn have_neighbours(&self) -> impl Iterator<Item = bool> {
        self.0.iter().map(SeenEndpoint::has_neighbour)
    }
}

impl Seen {
    /// Checks that no other server listens on the address of an endpoint. One that was
    /// killed a moment ago is waited for: io_uring lets go of its sockets only after
    /// the process has ended.
    ///
    /// # Errors
    /// The first address on which one does.
    pub(crate) fn refuse_neighbours(&self, endpoints: &[Endpoint]) -> Result<(), StartError> {
        let until = Instant::now() + LAST_OF_THE_KILLED;
        let shared = || {
            let mut endpoints = endpoints.iter().zip(self.have_neighbours());
            endpoints.find_map(|(endpoint, is_shared)| is_shared.then_some(endpoint.address))
        };
        let mut is_told = false;
        while let Some(address) = shared() {
            if Instant::now() >= until {
                return Err(StartError::Shared { address });
            }
            if !std::mem::replace(&mut is_told, true) {
                tracing::info!(
                    "another server listens on {address}; waiting {LAST_OF_THE_KILLED:?} for it \
                     to end"
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl SeenEndpoint {
    /// Whether another server listens on the same address, so that the kernel gives it
    /// the connections that arrive when we are gone. Where the kernel's list cannot be
    /// read the answer is no.
    fn has_neighbour(&self) -> bool {
        let list = match self.address {
            SocketAddr::V4(_) => "/proc/thread-self/net/tcp",
            SocketAddr::V6(_) => "/proc/thread-self/net/tcp6",
        };
        let Ok(list) = File::open(list) else {
            return false;
        };
        let wanted = as_listed(self.address);
        // Listeners come first, so the millions of lines after them are not read.
        BufReader::new(list)
            .lines()
            .skip(1)
            .map_while(Result::ok)
            .map_while(|line| listener_of(&line))
            .any(|(address, inode)| address == wanted && !self.inodes.contains(&inode))
    }
}

/// An address in the form of `/proc/net/tcp`: words of the host's byte order.
fn as_listed(address: SocketAddr) -> String {
    let word = |octets: &[u8]| {
        let octets = octets.try_into().expect("four octets");
        format!("{:08X}", u32::from_ne_bytes(octets))
    };
    let ip = match address {
        SocketAddr::V4(address) => word(&address.ip().octets()),
        SocketAddr::V6(address) => {
            let octets = Ipv6Addr::octets(address.ip());
            octets.chunks(4).map(word).collect()
        }
    };
    format!("{ip}:{:04X}", address.port())
}

/// Address and inode of a line about a listener; nothing for any other.
fn listener_of(line: &str) -> Option<(String, u64)> {
    let fields: Vec<_> = line.split_ascii_whitespace().take(10).collect();
    let [_, address, _, state, .., inode] = fields[..] else {
        return None;
    };
    (state == "0A").then_some((address.to_owned(), inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(addresses: &[&str]) -> Vec<Endpoint> {
        addresses.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn any_port() -> Vec<Endpoint> {
        endpoints(&["127.0.0.1:0"])
    }

    fn open(endpoints: &[Endpoint], shards: usize, inherited: Vec<Socket>) -> Listeners {
        Listeners::open(endpoints, &[], shards, inherited).unwrap()
    }

    #[test]
    fn all_have_one_port_and_inherited_ones_come_first() {
        let first = open(&any_port(), 2, Vec::new());
        let resolved = first.endpoints();
        let inherited: Vec<_> = first.into_sockets().0;
        let names: Vec<_> = inherited.iter().flat_map(sys::inode).collect();

        let more = open(&any_port(), 3, inherited);
        assert_eq!(more.endpoints(), resolved);
        let sockets = more.into_sockets().0;
        assert_eq!(sockets.len(), 3);
        assert_eq!(sys::inode(&sockets[1]).unwrap(), names[1]);

        let fewer = open(&resolved, 1, sockets);
        assert_eq!(fewer.into_sockets().0.len(), 3, "none is closed");
    }

    #[test]
    fn an_endpoint_of_every_address_takes_those_of_single_addresses() {
        let first = open(&endpoints(&["127.0.0.1:0", "127.0.0.2:0"]), 2, Vec::new());
        let (one, other) = (first.endpoints()[0], first.endpoints()[1]);
        let port = one.address.port();
        let names =
            |sockets: &[Socket]| -> Vec<_> { sockets.iter().flat_map(sys::inode).collect() };
        let inherited = first.into_sockets().0;
        let kept = names(&inherited[..2]);

        let every = endpoints(&[&format!("0.0.0.0:{port}")]);
        let second = open(&every, 2, inherited);
        assert_eq!(second.endpoints(), every);
        let sockets = second.into_sockets().0;
        assert_eq!(sockets.len(), 4, "two of its own, and not those of {other}");
        assert_eq!(names(&sockets[2..]), kept);

        // Again, and back.
        let third = open(&every, 2, sockets);
        assert_eq!(third.endpoints(), every);
        let sockets = third.into_sockets().0;
        assert_eq!(sockets.len(), 4, "they do not grow");
        let back = open(&[one], 2, sockets).into_sockets().0;
        assert_eq!(names(&back), kept);
    }

    #[test]
    fn listeners_of_another_address_are_not_taken() {
        let first = open(&any_port(), 1, Vec::new());
        let elsewhere = endpoints(&["127.0.0.2:0"]);
        let second = open(&elsewhere, 1, first.into_sockets().0);
        assert_eq!(
            second.endpoints()[0].address.ip(),
            elsewhere[0].address.ip()
        );
    }

    #[test]
    fn each_endpoint_takes_its_own_of_the_inherited_ones() {
        let first = open(&endpoints(&["127.0.0.1:0", "127.0.0.2:0"]), 2, Vec::new());
        let resolved = first.endpoints();
        let mut sockets = first.into_sockets().0;
        let names: Vec<_> = sockets.iter().flat_map(sys::inode).collect();
        sockets.reverse();
        let second = open(&resolved, 2, sockets);
        let mine = |place: usize| -> Vec<_> {
            let sockets = &second.endpoints[place].sockets;
            sockets.iter().flat_map(sys::inode).collect()
        };
        assert_eq!(mine(0), [names[1], names[0]]);
        assert_eq!(mine(1), [names[3], names[2]]);

        // Port 0 of the same address takes what is left, wherever it stands.
        let any = any_port()[0];
        let third = open(&[any, resolved[0]], 2, second.into_sockets().0);
        let [any, known] = third.endpoints()[..] else {
            panic!("there are two");
        };
        assert_eq!(known, resolved[0]);
        assert_ne!(any.address.port(), known.address.port());
        assert_eq!(third.into_sockets().0.len(), 4);
    }

    #[test]
    fn ipv6_leaves_ipv4_to_an_endpoint_of_its_own() {
        let any = open(&endpoints(&["[::]:0"]), 1, Vec::new());
        let port = any.endpoints()[0].address.port();
        drop(any);
        let both = endpoints(&[&format!("[::]:{port}"), &format!("0.0.0.0:{port}")]);
        let first = open(&both, 2, Vec::new());
        for (bound, only_v6) in first.endpoints.iter().zip([Some(true), None]) {
            for socket in &bound.sockets {
                assert!(only_v6.is_none_or(|only| socket.only_v6().unwrap() == only));
                sys::listen(socket, 8).unwrap();
            }
        }
        if sys::is_v6_only_by_default() {
            return;
        }
        // Alone again it must serve IPv4 too, and queued connections are kept.
        let second = open(&both[..1], 2, first.into_sockets().0);
        let sockets = second.into_sockets().0;
        let kinds: Vec<_> = sockets.iter().map(|s| s.only_v6().ok()).collect();
        let [only, dual, ipv4] = [Some(true), Some(false), None];
        assert_eq!(kinds, [only, only, dual, dual, ipv4, ipv4]);
        let third = open(&both[..1], 2, sockets);
        assert_eq!(third.into_sockets().0.len(), 6, "they do not grow");
    }

    #[test]
    fn a_neighbour_is_seen_where_it_listens() {
        let ours = open(&endpoints(&["127.0.0.1:0", "[::1]:0"]), 2, Vec::new());
        for bound in &ours.endpoints {
            for socket in &bound.sockets {
                sys::listen(socket, 8).unwrap();
            }
        }
        let seen = ours.seen();
        let neighbours = || seen.have_neighbours().collect::<Vec<_>>();
        assert_eq!(seen.0[0].inodes.len(), 2);
        assert_eq!(neighbours(), [false, false]);

        for (place, expected) in [[true, false], [false, true]].into_iter().enumerate() {
            let address = ours.endpoints()[place].address;
            let theirs = sys::bind_shared(address).unwrap();
            assert_eq!(neighbours(), [false, false], "it is only bound");
            sys::listen(&theirs, 8).unwrap();
            assert_eq!(neighbours(), expected);
            drop(theirs);
            assert_eq!(neighbours(), [false, false]);
        }
    }

    #[test]
    fn addresses_are_written_as_the_kernel_does() {
        assert_eq!(
            as_listed("127.0.0.1:8080".parse().unwrap()),
            if cfg!(target_endian = "little") {
                "0100007F:1F90"
            } else {
                "7F000001:1F90"
            }
        );
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20891 1 x";
        assert_eq!(listener_of(line), Some(("0100007F:1F90".to_owned(), 20891)));
        assert_eq!(listener_of(&line.replace(" 0A ", " 01 ")), None);
    }
}
