//! The order and the times of the users' arrivals, in the form that the engine
//! needs.

use std::sync::Arc;

use crate::engine::{Pace, PlannedTimes};
use crate::script::Script;

/// A script's users for the engine. The rest of a
/// [`Plan`](crate::engine::Plan) for a script is: `opens_first` is `false`, as
/// everybody begins on arrival; `measured` is the script's `duration`, and there
/// is no warm-up; and answers have the same time at the end as during the run,
/// so `patience` is the timeout.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// How many come in all. How many of them are there at one time depends on
    /// the server, so addresses and descriptors have to suffice for all.
    pub users: u64,
    /// When they come.
    pub pace: Pace,
}

impl Crowd {
    /// The users of a script, which come at the same times again with the same
    /// seed. They are counted one by one; those who would come after the
    /// script's end are not. There are at most one more than a `u32` counts,
    /// which is all the engine can tell apart.
    pub fn of(script: &Arc<Script>, seed: u64) -> Crowd {
        let users = times(script, seed).take(u32::MAX as usize + 1).count();
        let script = Arc::clone(script);
        Crowd {
            users: users as u64,
            pace: Pace::Planned(PlannedTimes::new(move || times(&script, seed))),
        }
    }
}

fn times(script: &Script, seed: u64) -> impl Iterator<Item = u64> + use<> {
    let end = script.duration.map(|time| time.as_nanos() as u64);
    script
        .arrivals(seed)
        .take_while(move |&at| end.is_none_or(|end| at < end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(head: &str) -> u64 {
        let text = format!(
            "name = 'x'\n{head}\n[[phase]]\nduration = '10s'\narrival_rate = 10\narrival = 'even'\n\
             [[phase]]\nduration = '5s'\narrival_rate = 100\n[[session]]\n"
        );
        let script = Arc::new(Script::from_toml(&text, "test.toml").unwrap());
        let crowd = Crowd::of(&script, 3);
        assert_eq!(crowd.users, Crowd::of(&script, 3).users);
        crowd.users
    }

    #[test]
    fn who_would_come_after_the_end_does_not_count() {
        assert_eq!(users("duration = '10s'"), 100);
        assert_eq!(users("duration = '1s'"), 10);
        assert!((500..700).contains(&users("")));
    }
}
