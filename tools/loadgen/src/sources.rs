//! The addresses connections come from.
//!
//! A TCP connection is told apart by two addresses and two ports, so one source
//! address has about 28,000 connections to one server before its ephemeral
//! ports are used up, whatever the server could hold. More connections need
//! more source addresses, and on loopback there are 16 million for the asking.
//!
//! # Invariants worth naming
//!
//! - A list that was written is used as it was written: every address of it has
//!   been bound once before the run begins, none is added, none left out.
//! - `auto` never uses more than half the ports of a pair of addresses. The
//!   kernel looks for a free port by trying, and beyond half it tries long.

mod parse;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

pub use parse::SourcesParseError;

/// The most addresses one run may come from.
pub const MAX_SOURCES: usize = 65_536;

/// The source addresses of connections, as they were written. They are read
/// with [`FromStr`](std::str::FromStr):
///
/// | written | means |
/// |---|---|
/// | `auto` | as many loopback addresses as the run needs, or the kernel's choice |
/// | `10.0.0.5,10.0.0.6` | these |
/// | `127.0.0.2-127.0.0.60` | the first, the last and all between |
/// | `127.1.0.0/24` | a network without its first and last address |
/// | `fd00::5`, `fd00::1-fd00::f`, `fd00::/120` | the same for IPv6; of a network only the first is left out |
///
/// All but `auto` may be mixed with commas; an address that is named twice is
/// used once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sources {
    /// As many as the run needs.
    #[default]
    Auto,
    /// These, in the order written; at least one.
    Listed(Vec<IpAddr>),
}

impl Sources {
    /// The addresses a run comes from; none when the kernel is to choose.
    ///
    /// `auto` yields addresses only when all `targets` are IPv4 loopback ones
    /// and one source does not do: from 127.0.0.2 up, as many as keep every
    /// pair of a source and a target at half of `ports_per_source` or below,
    /// when `connections` are spread over the pairs evenly. That presumes that
    /// a port is chosen when a connection is made, not when its socket is
    /// bound (`IP_BIND_ADDRESS_NO_PORT`), for only then can two targets share it.
    ///
    /// A list is checked by binding a socket to each of its addresses.
    ///
    /// # Errors
    ///
    /// A listed address that is not of this host or not of a target's family;
    /// for `auto`, a run that would need more than [`MAX_SOURCES`].
    pub fn resolve(
        &self,
        targets: &[SocketAddr],
        connections: u64,
        ports_per_source: u64,
    ) -> Result<Vec<IpAddr>, SourcesError> {
        match self {
            Sources::Auto => loopback(targets, connections, ports_per_source),
            Sources::Listed(addresses) => {
                for &address in addresses {
                    check_family(address, targets)?;
                    check_local(address)?;
                }
                Ok(addresses.clone())
            }
        }
    }
}

impl fmt::Display for Sources {
    /// For people: a long list by its ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sources::Auto => f.write_str("auto"),
            Sources::Listed(addresses) => match addresses.as_slice() {
                [first, .., last] if addresses.len() > 4 => {
                    write!(f, "{first} to {last}, {} addresses", addresses.len())
                }
                addresses => {
                    for (index, address) in addresses.iter().enumerate() {
                        let comma = if index == 0 { "" } else { "," };
                        write!(f, "{comma}{address}")?;
                    }
                    Ok(())
                }
            },
        }
    }
}

/// Connections that one source address makes to one target without haste.
///
/// A quarter of its ports: Linux takes ports of one parity first, and once half
/// of the range is taken, every connection begins with a search through all of
/// those. At 90 % of the half, connecting already took most of a generator's
/// time.
pub fn comfortable(ports_per_source: u64) -> u64 {
    (ports_per_source / 4).max(1)
}

fn loopback(
    targets: &[SocketAddr],
    connections: u64,
    ports_per_source: u64,
) -> Result<Vec<IpAddr>, SourcesError> {
    let is_v4_loopback = |target: &SocketAddr| target.is_ipv4() && target.ip().is_loopback();
    let mut servers = targets.to_vec();
    servers.sort_unstable();
    servers.dedup();
    if servers.is_empty() || !servers.iter().all(is_v4_loopback) {
        return Ok(Vec::new());
    }
    let per_pair = comfortable(ports_per_source);
    let needed = connections.div_ceil(per_pair.saturating_mul(servers.len() as u64));
    if needed <= 1 {
        return Ok(Vec::new());
    }
    if needed > MAX_SOURCES as u64 {
        return Err(SourcesError::TooManyNeeded {
            connections,
            needed,
        });
    }
    let is_target = |address: IpAddr| servers.iter().any(|server| server.ip() == address);
    let first = u32::from(Ipv4Addr::new(127, 0, 0, 2));
    Ok((first..)
        .map(Ipv4Addr::from)
        // Nothing on loopback forbids these two, but firewalls and people's
        // habits do.
        .filter(|address| !matches!(address.octets()[3], 0 | 255))
        .map(IpAddr::V4)
        .filter(|&address| !is_target(address))
        .take(needed as usize)
        .collect())
}

fn check_family(source: IpAddr, targets: &[SocketAddr]) -> Result<(), SourcesError> {
    let other = |target: &&SocketAddr| target.is_ipv4() != source.is_ipv4();
    match targets.iter().find(other) {
        None => Ok(()),
        Some(&target) => Err(SourcesError::Family { source, target }),
    }
}

/// Binds a socket to the address: the only question whose answer is the
/// kernel's own.
fn check_local(source: IpAddr) -> Result<(), SourcesError> {
    let address = SocketAddr::new(source, 0);
    let bound = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .and_then(|socket| socket.bind(&address.into()));
    match bound {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {
            Err(SourcesError::NotLocal { source })
        }
        Err(cause) => Err(SourcesError::Os { source, cause }),
    }
}

/// Why a run cannot come from these addresses.
#[derive(Debug)]
pub enum SourcesError {
    /// An address that this host does not have.
    NotLocal {
        /// The address.
        source: IpAddr,
    },
    /// An address that cannot reach a target, being of the other family.
    Family {
        /// The address.
        source: IpAddr,
        /// The target.
        target: SocketAddr,
    },
    /// `auto` would need more than [`MAX_SOURCES`].
    TooManyNeeded {
        /// Connections asked for.
        connections: u64,
        /// Addresses they need.
        needed: u64,
    },
    /// An address could not be bound for another reason.
    Os {
        /// The address.
        source: IpAddr,
        /// The error of the system.
        cause: io::Error,
    },
}

impl fmt::Display for SourcesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourcesError::NotLocal { source } => {
                let bits = if source.is_ipv4() { 32 } else { 128 };
                write!(
                    f,
                    "the source address {source} is not of this host; add it with \
                     'ip address add {source}/{bits} dev DEVICE' (see 'ip address'), or leave it out"
                )
            }
            SourcesError::Family { source, target } => write!(
                f,
                "no connection can go from the source address {source} to {target}: one is IPv4, \
                 the other IPv6; write source addresses of the target's family"
            ),
            SourcesError::TooManyNeeded {
                connections,
                needed,
            } => write!(
                f,
                "{connections} connections need {needed} source addresses, more than \
                 {MAX_SOURCES}; widen net.ipv4.ip_local_port_range, or give more targets"
            ),
            SourcesError::Os { source, cause } => {
                write!(f, "the source address {source} cannot be used: {cause}")
            }
        }
    }
}

impl std::error::Error for SourcesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SourcesError::Os { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
