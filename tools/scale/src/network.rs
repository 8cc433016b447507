//! A network of the runs' own, whose table of connections is as large as they need.
//!
//! The kernel finds the socket of each packet in a hash table, whose size is
//! fixed when the host starts: 262,144 buckets where it has 24 GB. Four million
//! sockets are sixteen in a bucket, each a miss of the cache on the way to the
//! next. A new network namespace may have a table of another size
//! (`net.ipv4.tcp_child_ehash_entries`, since Linux 6.1).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};

use corecast_host::{EstablishedTable, Root, sysctl_path};
use corecast_kit::{During, Error, Result, sys};

/// The settings that a new namespace should have from the host.
const INHERITED: [&str; 3] = [
    "net.core.somaxconn",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_congestion_control",
];

/// Moves this thread, and what it starts from now on, into a network whose table
/// has a bucket for both ends of each of so many connections, if the host's own
/// has fewer. Call it before any other thread is started. Reports its effect; if
/// it may not, it reports the cost of that, and nothing is changed.
///
/// # Errors
/// When the network was left and the new one could not be prepared, or the host's
/// setting for new ones not be restored.
pub fn with_room_for(connections: u64) -> Result<()> {
    let sockets = connections.saturating_mul(2);
    let needed = EstablishedTable::buckets_for(sockets);
    let Some(buckets) = buckets().filter(|buckets| *buckets < needed) else {
        return Ok(());
    };
    let per_bucket = sockets / buckets.max(1);
    match leave(needed) {
        Ok(prepared) => {
            prepared.during("preparing a network namespace")?;
            let has = self::buckets().unwrap_or(0);
            if has < needed {
                let text = format!("a new network has a table of {has} buckets and not {needed}");
                return Err(Error::Process(text));
            }
            eprintln!(
                "In a network of its own with {has} buckets for sockets; with the host's {buckets} there \
                 would be {per_bucket} sockets in each"
            );
        }
        Err(error) => eprintln!(
            "The kernel's table of connections has {buckets} buckets, so that {per_bucket} sockets will \
             share one and every packet costs more; as root this would run in a network with a larger \
             one ({error})"
        ),
    }
    Ok(())
}

fn buckets() -> Option<u64> {
    let table = EstablishedTable::read(&Root::default()).ok()?;
    Some(table.buckets)
}

/// Into a new network with so many buckets. Once there, the inner result says
/// whether it was prepared, and the setting of the old one restored.
fn leave(buckets: u64) -> io::Result<io::Result<()>> {
    let inherited: Vec<(String, String)> = INHERITED
        .into_iter()
        .map(sysctl_path)
        .filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
        .collect();
    let path = sysctl_path(EstablishedTable::SIZE_OF_NEW);
    let before = fs::read_to_string(&path)?;
    // The open file stays that of the old network.
    let mut setting = OpenOptions::new().write(true).open(path)?;
    set(&mut setting, &buckets.to_string())?;
    let left = sys::leave_network();
    let restored = set(&mut setting, before.trim());
    left?;
    Ok(prepare(&inherited).and(restored))
}

/// A setting is taken whole, in one write.
fn set(setting: &mut File, value: &str) -> io::Result<()> {
    setting.write_all(value.as_bytes())
}

fn prepare(inherited: &[(String, String)]) -> io::Result<()> {
    sys::switch_loopback_on()?;
    for (path, value) in inherited {
        fs::write(path, value.trim())?;
    }
    Ok(())
}
