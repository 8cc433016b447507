//! Addresses of this host for servers that a tool starts.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};

use crate::{During, Result};

/// Whether a listener on 127.0.0.1 can be reached from there.
///
/// # Errors
/// The operating system's, if not: there is no such address, or the loopback
/// device is down.
pub fn try_loopback() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    TcpStream::connect(listener.local_addr()?).map(drop)
}

/// A loopback address with a port on which no process listens now.
///
/// # Errors
/// If this network has no 127.0.0.1, or no free port.
pub fn free_address() -> Result<SocketAddrV4> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .during("looking for a free port on 127.0.0.1")?
        .port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}
