//! The listening sockets of a server: bound or inherited by the process, and
//! each accepted from by one shard.
//!
//! # Invariants worth naming
//!
//! - They are made before the shards' descriptor tables part. Each shard takes
//!   possession of the copies of its own and closes those of the others; the
//!   process keeps one of each for a hand-over.
//! - An inherited listener is accepted from as long as its server serves, even
//!   with fewer shards than listeners: closing one would lose what the kernel
//!   has put into its queue.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;

use crate::error::StartError;
use crate::link::ListenSocket;
use crate::sys;

/// The sockets of one address, in the order in which shards take them in turn.
#[derive(Debug)]
pub(crate) struct Listeners {
    sockets: Vec<Socket>,
    address: SocketAddr,
}

impl Listeners {
    /// Takes the inherited listeners if they are at the address, port 0 meaning
    /// theirs, and binds as many more as it takes for each shard to have one.
    pub(crate) fn open(
        address: SocketAddr,
        shards: usize,
        mut sockets: Vec<Socket>,
    ) -> Result<Self, StartError> {
        sockets.retain(|socket| stands_at(socket, address));
        let fail = |error| StartError::Listen { address, error };
        let first = match sockets.first() {
            Some(first) => first,
            // Holds the port from before the first shard listens until the last
            // one does, so that port 0 becomes the same port for all.
            None => {
                sockets.push(sys::bind_shared(address).map_err(fail)?);
                &sockets[0]
            }
        };
        let local = first.local_addr().map_err(fail)?.as_socket();
        let address = local.unwrap_or(address);
        while sockets.len() < shards {
            sockets.push(sys::bind_shared(address).map_err(fail)?);
        }
        Ok(Listeners { sockets, address })
    }

    /// The address, its port resolved.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Parts the calling shard's descriptor table from the process's, which also
    /// holds `private`, and takes the listeners that are the shard's.
    pub(crate) fn part(
        &self,
        shard: usize,
        shards: usize,
        private: &[BorrowedFd<'_>],
    ) -> io::Result<Vec<Socket>> {
        let mut mine = Vec::new();
        let mut others = private.to_vec();
        for (index, socket) in self.sockets.iter().enumerate() {
            let list = if index % shards == shard {
                &mut mine
            } else {
                &mut others
            };
            list.push(socket.as_fd());
        }
        // SAFETY: the process owns them, and a shard uses only what it is given here.
        let (sockets, parted) = unsafe { sys::part_with(&mine, &others) }?;
        if let Err(error) = parted {
            tracing::warn!(
                "shard {shard} shares its table of descriptors with the process: {error}"
            );
        }
        Ok(sockets.into_iter().map(Socket::from).collect())
    }

    /// How they look from outside.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            address: self.address,
            inodes: self.sockets.iter().flat_map(sys::inode).collect(),
        }
    }

    pub(crate) fn into_sockets(self) -> Vec<Socket> {
        self.sockets
    }
}

/// Makes a shard's listeners listen, and hands them to the runtime that this is
/// called in. `mark` is the core whose connections they are to have.
pub(crate) fn listen(
    sockets: Vec<Socket>,
    backlog: u32,
    mark: Option<usize>,
) -> io::Result<Vec<ListenSocket>> {
    sockets
        .into_iter()
        .map(|socket| {
            // Inherited ones keep the old mark otherwise.
            sys::prefer_core(&socket, mark)?;
            sys::listen(&socket, backlog)?;
            ListenSocket::new(socket)
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
pub(crate) struct Seen {
    address: SocketAddr,
    inodes: HashSet<u64>,
}

impl Seen {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether somebody else listens on the same address, so that the kernel
    /// gives it what comes when we are gone. Where the kernel's list cannot be
    /// read the answer is no.
    pub(crate) fn has_neighbour(&self) -> bool {
        let list = match self.address {
            SocketAddr::V4(_) => "/proc/thread-self/net/tcp",
            SocketAddr::V6(_) => "/proc/thread-self/net/tcp6",
        };
        let Ok(list) = File::open(list) else {
            return false;
        };
        let wanted = as_listed(self.address);
        // Listeners come first, so the millions behind them are not read.
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

    fn any_port() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn all_have_one_port_and_inherited_ones_come_first() {
        let first = Listeners::open(any_port(), 2, Vec::new()).unwrap();
        let address = first.address();
        let inherited: Vec<_> = first.into_sockets();
        let names: Vec<_> = inherited.iter().flat_map(sys::inode).collect();

        let more = Listeners::open(any_port(), 3, inherited).unwrap();
        assert_eq!(more.address(), address);
        let sockets = more.into_sockets();
        assert_eq!(sockets.len(), 3);
        assert_eq!(sys::inode(&sockets[1]).unwrap(), names[1]);

        let fewer = Listeners::open(address, 1, sockets).unwrap();
        assert_eq!(fewer.into_sockets().len(), 3, "none is closed");
    }

    #[test]
    fn listeners_of_another_address_are_not_taken() {
        let first = Listeners::open(any_port(), 1, Vec::new()).unwrap();
        let elsewhere = "127.0.0.2:0".parse().unwrap();
        let second = Listeners::open(elsewhere, 1, first.into_sockets()).unwrap();
        assert_eq!(second.address().ip(), elsewhere.ip());
    }

    #[test]
    fn a_neighbour_is_seen_once_it_listens() {
        let ours = Listeners::open(any_port(), 2, Vec::new()).unwrap();
        for socket in &ours.sockets {
            sys::listen(socket, 8).unwrap();
        }
        let seen = ours.seen();
        assert_eq!(seen.inodes.len(), 2);
        assert!(!seen.has_neighbour());

        let theirs = sys::bind_shared(ours.address()).unwrap();
        assert!(!seen.has_neighbour(), "it is only bound");
        sys::listen(&theirs, 8).unwrap();
        assert!(seen.has_neighbour());
        drop(theirs);
        assert!(!seen.has_neighbour());
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
