//! Descriptors: per table, which is per shard, and on the host.

use super::words::count;
use super::{Line, Question, Section, Unit};
use crate::doctor::checks::descriptors::{descriptors_for, others};

const OWN: &str =
    "/proc/PID/task/TID/fd of a running server: 11, one to spare, and one for each shard";
const SPREAD: &str = "the kernel deals connections out by a hash: a share of n is within n ± 4·√n but \
                      for one time in 16,000";
const TABLES: &str = "each shard has a descriptor table of its own (unshare(2), CLONE_FILES), and \
                      RLIMIT_NOFILE bounds a table";

pub(super) fn section(question: &Question, cores: u64) -> Section {
    let (connections, shards) = (question.connections as f64, cores as f64);
    let own = others(cores) as f64;
    let share = question.connections.div_ceil(cores) as f64;
    let table = descriptors_for(question.connections, cores) as f64;
    let spread = match table - share - own {
        0.0 => String::new(),
        spread => format!(" + 4·√ = {}", count(spread)),
    };
    Section {
        title: "Descriptors",
        lines: vec![
            Line::new(
                "shards",
                "shards, each with a table",
                shards,
                Unit::Count,
                "one per core",
            )
            .from(TABLES),
            Line::new(
                "descriptors_per_table",
                "in a table: RLIMIT_NOFILE, LimitNOFILE=",
                table,
                Unit::Count,
                format!(
                    "{} / {} = {}{spread} + {} own",
                    count(connections),
                    count(shards),
                    count(share),
                    count(own)
                ),
            )
            .from(SPREAD)
            .from(OWN),
            Line::new(
                "open_files",
                "on the host: fs.file-max",
                connections + own * shards,
                Unit::Count,
                format!(
                    "{} + {} × {} own",
                    count(connections),
                    count(shards),
                    count(own)
                ),
            )
            .from(OWN),
            Line::new(
                "open_files_both_ends",
                "with the clients on the same host",
                2.0 * connections + own * shards,
                Unit::Count,
                format!("and {} more", count(connections)),
            ),
        ],
    }
}
