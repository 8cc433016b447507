//! The uses of the kernel's memory: its object caches, from `/proc/slabinfo`,
//! which only root may read.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use corecast_host::page_bytes;
use serde::{Deserialize, Serialize};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Caches that take less of a connection are left out.
const LEAST_BYTES: f64 = 8.0;

/// One cache of the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cache {
    /// Its name. The kernel may keep objects of one size in one cache, under the
    /// name of whichever was there first.
    pub name: String,
    /// Bytes per connection, both ends.
    pub bytes: f64,
    /// Bytes of one object.
    pub object_bytes: u64,
    /// Objects per connection, both ends.
    pub objects: f64,
}

/// Objects, bytes of one, and bytes in all, by the cache's name.
type Caches = BTreeMap<String, (u64, u64, u64)>;

/// Does `work` and looks meanwhile. Returns the growth of the caches from
/// before to their fullest, for each of `connections`, the largest first;
/// nothing where they may not be looked at.
pub fn watch<T>(connections: u64, work: impl FnOnce() -> T) -> (T, Vec<Cache>) {
    let before = look();
    let over = AtomicBool::new(false);
    let (result, fullest) = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut fullest = Caches::new();
            while !over.load(Ordering::Relaxed) {
                let now = look();
                if total(&now) > total(&fullest) {
                    fullest = now;
                }
                thread::park_timeout(LOOK);
            }
            fullest
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        looking.thread().unpark();
        (result, looking.join().expect("looking does not panic"))
    });
    (result, difference(&before, &fullest, connections))
}

fn look() -> Caches {
    parse(
        &fs::read_to_string("/proc/slabinfo").unwrap_or_default(),
        page_bytes(),
    )
}

fn total(caches: &Caches) -> u64 {
    caches.values().map(|(_, _, bytes)| bytes).sum()
}

fn difference(before: &Caches, fullest: &Caches, connections: u64) -> Vec<Cache> {
    let per_connection = |more: u64| more as f64 / connections.max(1) as f64;
    let mut caches: Vec<Cache> = fullest
        .iter()
        .map(|(name, &(objects, object_bytes, bytes))| {
            let (objects_before, _, bytes_before) = before.get(name).copied().unwrap_or_default();
            Cache {
                name: name.clone(),
                bytes: per_connection(bytes.saturating_sub(bytes_before)),
                object_bytes,
                objects: per_connection(objects.saturating_sub(objects_before)),
            }
        })
        .filter(|cache| cache.bytes >= LEAST_BYTES)
        .collect();
    caches.sort_by(|one, other| other.bytes.total_cmp(&one.bytes));
    caches
}

/// Name, active objects, all objects, their size, objects and pages of a slab; the
/// number of slabs is the last but one.
fn parse(text: &str, page_bytes: u64) -> Caches {
    let cache = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |place: usize| words.get(place)?.parse::<u64>().ok();
        let slabs = number(words.len().checked_sub(2)?)?;
        let bytes = slabs * number(5)? * page_bytes;
        Some((words[0].to_owned(), (number(1)?, number(3)?, bytes)))
    };
    text.lines().filter_map(cache).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "slabinfo - version: 2.1\n\
        # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : …\n\
        TCP  1000 1040 2432 13 8 : tunables 0 0 0 : slabdata 80 80 0\n\
        filp 500 512 256 16 1 : tunables 0 0 0 : slabdata 32 32 0\n";

    #[test]
    fn the_kernels_table_is_read() {
        let caches = parse(TEXT, 4_096);
        assert_eq!(caches.len(), 2);
        assert_eq!(caches["TCP"], (1_000, 2_432, 80 * 8 * 4_096));
        assert_eq!(parse("", 4_096), Caches::new());
    }

    #[test]
    fn what_grew_is_told_for_each_connection() {
        let before = Caches::from([
            ("TCP".into(), (0, 2_432, 0)),
            ("filp".into(), (9, 256, 9_999)),
        ]);
        let fullest = Caches::from([
            ("TCP".into(), (1_000, 2_432, 2_600_000)),
            ("filp".into(), (9, 256, 9_999)),
        ]);
        let caches = difference(&before, &fullest, 500);
        let [cache] = &caches[..] else {
            panic!("{caches:?}");
        };
        assert_eq!(
            (cache.name.as_str(), cache.bytes, cache.objects),
            ("TCP", 5_200.0, 2.0)
        );
    }

    #[test]
    fn the_work_is_done_also_where_nothing_may_be_seen() {
        assert_eq!(watch(10, || 7).0, 7);
    }
}
