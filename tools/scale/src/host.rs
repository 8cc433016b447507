//! The limits that the host must allow, and the shards that a number of
//! connections needs.

use std::fs;

use corecast_kit::{During, Error, Result, sys};

/// Descriptors of a shard's table that are no connections, besides the wake
/// events of all shards.
const OTHERS: u64 = 100;
/// The kernel deals connections out to listeners by a hash, so that some get
/// more than their share: by less than this many standard deviations.
const DEVIATIONS: f64 = 5.0;
/// Files of the host that are open besides.
const OTHER_FILES: u64 = 50_000;
const FILE_MAX: &str = "/proc/sys/fs/file-max";

/// The fewest shards whose tables of `descriptors` hold so many connections.
///
/// # Errors
/// When no number of shards does.
pub fn shards_for(connections: u64, descriptors: u64, least: u64) -> Result<u64> {
    let fits = |shards: &u64| {
        let share = connections as f64 / *shards as f64;
        let room = descriptors.saturating_sub(OTHERS + shards) as f64;
        share + DEVIATIONS * share.sqrt() <= room
    };
    (least..=descriptors).find(fits).ok_or_else(|| {
        Error::Usage(format!(
            "{connections} connections do not fit into tables of {descriptors} descriptors; \
             raise the limit with ulimit -n"
        ))
    })
}

/// The host's limit of open files (`fs.file-max`), raised while this lives.
pub struct FileMax {
    before: Option<u64>,
}

impl FileMax {
    /// Makes room for both ends of so many connections.
    ///
    /// # Errors
    /// When it must be raised and this process may not.
    pub fn raise(connections: u64) -> Result<FileMax> {
        let text = fs::read_to_string(FILE_MAX).during(format!("reading {FILE_MAX}"))?;
        let before: u64 = text.trim().parse().unwrap_or(u64::MAX);
        let needed = connections * 2 + OTHER_FILES;
        if before >= needed {
            return Ok(FileMax { before: None });
        }
        fs::write(FILE_MAX, needed.to_string()).map_err(|error| {
            Error::Usage(format!(
                "both ends of {connections} connections are {needed} open files, this host allows \
                 {before}, and raising it failed ({error}); as root: sysctl -w fs.file-max={needed}"
            ))
        })?;
        eprintln!(
            "fs.file-max: {before} -> {needed} while this runs; if it is killed, \
             'sysctl -w fs.file-max={before}' puts it back"
        );
        Ok(FileMax {
            before: Some(before),
        })
    }
}

impl Drop for FileMax {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // It could be written before; if not now, it is only larger than it was.
            let _ = fs::write(FILE_MAX, before.to_string());
        }
    }
}

/// Descriptors a table of this process and its children may hold.
///
/// # Errors
/// When the kernel does not say.
pub fn descriptors() -> Result<u64> {
    sys::raise_open_files().during("raising the limit of open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_leave_room_for_those_that_get_more() {
        assert_eq!(shards_for(1_000, 20_000, 2).unwrap(), 2);
        let million = shards_for(1_000_000, 20_000, 2).unwrap();
        assert!((51..=54).contains(&million), "{million}");
        assert!(shards_for(1_000_000, 500, 2).is_err());
    }
}
