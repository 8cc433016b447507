//! Tables of descriptors: how many connections so many of them hold.
//!
//! `RLIMIT_NOFILE` bounds a table, and each thread of the load generator has
//! one of its own, as each shard of the server has, so that more threads hold
//! more connections.

use std::fs;
use std::path::Path;

use super::Root;

/// Descriptors of a table that are not connections: standard streams, rings,
/// the pages, and a few to spare. The threads' wake events come on top.
pub const OTHERS: u64 = 64;

/// The part of those that is really in use: standard streams, rings and timers,
/// without the spare ones. Counted in the generator's tables.
const IN_USE: u64 = 8;

/// More threads than these only take each other's time.
const MAX_THREADS: u64 = 4_096;

/// The fewest threads, but at least `least`, whose tables of `descriptors` hold
/// so many connections together; `None` if no number of them does.
pub fn threads_for(connections: u64, descriptors: u64, least: u64) -> Option<u64> {
    (least..=best(descriptors).max(least)).find(|threads| {
        let table = descriptors.saturating_sub(OTHERS + threads);
        threads * table >= connections
    })
}

/// The number of threads that hold the most. Beyond it more threads hold less,
/// because each thread's wake event is in every table.
pub fn best(descriptors: u64) -> u64 {
    (descriptors.saturating_sub(OTHERS) / 2).clamp(1, MAX_THREADS)
}

/// How many descriptors a table holds, by its directory: since Linux 6.2 the
/// directory's size. Older kernels say 0, and the table must be listed.
pub fn len(root: &Root, directory: impl AsRef<Path>) -> Option<u64> {
    let path = root.path(directory);
    match fs::metadata(&path).ok()?.len() {
        0 => Some(fs::read_dir(&path).ok()?.count() as u64),
        count => Some(count),
    }
}

/// How many connections the generator opens at most: with the number of threads
/// that hold the most, and nothing to spare.
pub fn most(descriptors: u64, least: u64) -> u64 {
    let threads = best(descriptors).max(least);
    threads.saturating_mul(descriptors.saturating_sub(IN_USE + threads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_follow_the_descriptors() {
        assert_eq!(threads_for(100, 20_000, 2), Some(2));
        assert_eq!(threads_for(39_000, 20_000, 2), Some(2));
        assert_eq!(threads_for(200_000, 20_000, 2), Some(11));
        let million = threads_for(1_000_000, 20_000, 2).unwrap();
        assert!(million.abs_diff(51) <= 1, "{million}");
    }

    #[test]
    fn this_process_has_its_standard_streams() {
        let root = Root::default();
        assert!(len(&root, "/proc/self/fd").is_some_and(|count| count >= 3));
        assert_eq!(len(&root, "/proc/4294967295/fd"), None);
    }

    #[test]
    fn beyond_some_number_more_threads_hold_less() {
        assert_eq!(threads_for(200, 100, 2), Some(7));
        assert_eq!((threads_for(400, 100, 2), best(100)), (None, 18));
        assert_eq!((threads_for(1, 10, 2), best(10)), (None, 1));
    }

    #[test]
    fn at_the_end_what_was_spared_is_used() {
        // As a run into it has shown: 18 threads with 74 connections each.
        assert_eq!(most(100, 2), 1_332);
        assert_eq!((most(10, 2), most(1, 2)), (0, 0));
        assert!(most(u64::MAX, 2) > 1 << 40);
    }
}
