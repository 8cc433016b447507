//! When the tokens of sessions run out.
//!
//! # Invariants worth naming
//!
//! - A session has one entry at most, at the first of its deadlines, however many of its
//!   tokens run out.

use std::collections::BTreeSet;

/// The sessions of a shard whose tokens run out, by when that is.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(u32, u64)>);

/// The first deadline of a session, in seconds since the Unix epoch; 0 for none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline(u32);

impl Deadlines {
    /// Moves the deadline of a session; 0 for none.
    pub(super) fn set(&mut self, session: u64, deadline: &mut Deadline, at: u32) {
        if deadline.0 == at {
            return;
        }
        if deadline.0 != 0 {
            self.0.remove(&(deadline.0, session));
        }
        deadline.0 = at;
        if at != 0 {
            self.0.insert((at, session));
        }
    }

    /// The sessions whose deadline has passed. They keep it until it is moved.
    pub(super) fn passed(&self, now: u64) -> impl Iterator<Item = u64> {
        let passed = self.0.iter();
        passed
            .take_while(move |(at, _)| u64::from(*at) <= now)
            .map(|(_, session)| *session)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Those that have passed are those whose last deadline has, each once.
        #[test]
        fn the_last_deadline_counts(
            operations in proptest::collection::vec((0u64..8, 0u32..20), 0..100),
            now in 0u64..20,
        ) {
            let mut deadlines = Deadlines::default();
            let mut own = [Deadline::default(); 8];
            let mut oracle = BTreeMap::new();
            for (session, at) in operations {
                deadlines.set(session, &mut own[session as usize], at);
                match at {
                    0 => oracle.remove(&session),
                    at => oracle.insert(session, at),
                };
                prop_assert_eq!(deadlines.len(), oracle.len());
            }
            let mut passed: Vec<_> = deadlines.passed(now).collect();
            passed.sort_unstable();
            let due = oracle.iter().filter(|(_, at)| u64::from(**at) <= now);
            prop_assert_eq!(passed, due.map(|(session, _)| *session).collect::<Vec<_>>());
        }
    }
}
