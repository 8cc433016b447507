//! Steering: which shard's listener a new connection is given to.
//!
//! By itself the kernel deals connections out to the listeners of a port by a hash of
//! their addresses. A listener with `SO_INCOMING_CPU` is preferred for what its core
//! received, and stays so whichever others join or leave the port: the mark belongs to
//! the socket, not to a place in the group.
//!
//! Linux has the option since 4.4, ignored it on shared ports from 4.6 on, and
//! heeds it again since 6.2; distributions have put that into older kernels.
//! A version says little, so the kernel is tried.
//!
//! # Invariants worth naming
//!
//! - The sockets of the trial are closed before [`resolve`] returns, so no
//!   shard's descriptor table gets a copy.
//! - A connection that no marked listener fits is dealt out by the hash; none
//!   is refused for want of a shard on its core.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::config::Steer;
use crate::{cpus, sys};

/// Listeners of the trial, one of them marked. A kernel that deals by the hash
/// finds it all of [`EVIDENCE`] times once in 16 million trials.
const LISTENERS: usize = 8;
/// Connections that must have reached the marked listener.
const EVIDENCE: usize = 8;
/// Connections made at most. Where loopback packets are spread over cores (RPS), those
/// that another core received are no evidence.
const ATTEMPTS: usize = 64 * EVIDENCE;
/// Time one connection of the trial may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// How connections will be steered: as wanted, or by the hash where the kernel
/// does not do it, which is said in the log.
pub(crate) fn resolve(wanted: Steer) -> Steer {
    if wanted == Steer::Hash {
        return Steer::Hash;
    }
    // On a thread of its own, as the caller's must not be pinned.
    let trial = thread::spawn(is_heeded).join();
    match trial.unwrap_or_else(|_| Err(io::Error::other("the trial has failed"))) {
        Ok(true) => Steer::Cpu,
        Ok(false) => {
            tracing::warn!(
                "this kernel ignores SO_INCOMING_CPU on a shared port: connections are dealt out \
                 by the hash, as with --steer hash; Linux 6.2 has it, and 5.15 and 6.1 in their \
                 later releases"
            );
            Steer::Hash
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            tracing::warn!(
                "this kernel has no SO_INCOMING_CPU: connections are dealt out by the hash"
            );
            Steer::Hash
        }
        Err(error) => {
            tracing::warn!(
                "whether this kernel steers connections to the cores that received them could \
                 not be tried on {}: {error}; corecast_accepted_on_own_core_total will tell",
                Ipv4Addr::LOCALHOST
            );
            Steer::Cpu
        }
    }
}

/// Whether the kernel gives connections to the listener that is marked with the
/// core that received them.
fn is_heeded() -> io::Result<bool> {
    let core = *cpus::usable()
        .first()
        .ok_or_else(|| io::Error::other("no core is known"))?;
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Err(io::Error::other("the trial could not be pinned to a core"));
    }
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut listeners = Vec::new();
    for place in 0..LISTENERS {
        // In the middle, so that neither the first nor the last is it.
        let mark = (place == LISTENERS / 2).then_some(core);
        let listener = listen(address, EVIDENCE as u32, mark)?;
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    let mut evidence = 0;
    for _ in 0..ATTEMPTS {
        let client = TcpStream::connect_timeout(&address, PATIENCE)?;
        // Nothing of the trial is to wait in TIME_WAIT.
        SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
        let (place, received_on) = accept_from_any(&listeners)?;
        if received_on != Some(core) {
            continue;
        }
        if place != LISTENERS / 2 {
            return Ok(false);
        }
        evidence += 1;
        if evidence == EVIDENCE {
            return Ok(true);
        }
    }
    Err(io::Error::other("its packets arrive on other cores"))
}

/// A listener on a port that is shared, marked as a shard's would be.
fn listen(address: SocketAddr, backlog: u32, mark: Option<usize>) -> io::Result<TcpListener> {
    let socket = sys::bind_shared(address)?;
    sys::prefer_core(&socket, mark)?;
    sys::listen(&socket, backlog)?;
    Ok(socket.into())
}

/// Takes the one connection that is on its way: the listener it came to and
/// the core that received it.
fn accept_from_any(listeners: &[TcpListener]) -> io::Result<(usize, Option<usize>)> {
    sys::wait_until_readable(listeners, PATIENCE)?;
    for (place, listener) in listeners.iter().enumerate() {
        match sys::accept(listener) {
            Ok((socket, _)) => return Ok((place, socket.incoming_cpu())),
            Err(error) if sys::is_temporary(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As for a listener that comes from a server which steered.
    #[test]
    fn a_mark_can_be_taken_off() {
        let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let core = cpus::usable()[0];
        let listeners = [Some(core), None, None, None].map(|mark| {
            let listener = listen(address, 100, mark).unwrap();
            address = listener.local_addr().unwrap();
            listener
        });
        sys::prefer_core(&listeners[0], None).unwrap();
        let from_core = thread::spawn(move || {
            assert!(core_affinity::set_for_current(core_affinity::CoreId {
                id: core
            }));
            let mut places = [0; 4];
            for _ in 0..100 {
                let _client = TcpStream::connect(address).unwrap();
                places[accept_from_any(&listeners).unwrap().0] += 1;
            }
            places
        });
        let places = from_core.join().unwrap();
        assert!(places.iter().all(|n| *n > 0), "{places:?}");
    }
}
