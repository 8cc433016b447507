//! All checks together, and the first wall.

use serde::Serialize;

use super::check::{Check, Stops, Verdict};
use super::{Asked, Running};
use crate::number::grouped;

/// The result of an examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The load that was asked for.
    pub asked: Asked,
    /// The running server whose limits were read.
    pub running: Option<Running>,
    /// Whether it fits: nothing known is too low.
    pub fits: bool,
    /// The limit that stops the lowest number of connections.
    pub wall: Option<Wall>,
    /// The sentence to remember.
    pub sentence: String,
    /// Each limit.
    pub checks: Vec<Check>,
}

/// The limit that is reached first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wall {
    /// The limit by the kernel's name.
    pub limit: String,
    /// At about how many connections it stops.
    pub connections: u64,
}

impl Report {
    /// Draws the conclusion.
    pub fn new(asked: Asked, running: Option<Running>, checks: Vec<Check>) -> Report {
        let fits = checks.iter().all(|check| check.verdict != Verdict::TooLow);
        let wall = first_wall(&checks);
        let sentence = sentence(&asked, fits, wall.as_ref(), &checks);
        Report {
            asked,
            running,
            fits,
            wall,
            sentence,
            checks,
        }
    }
}

fn first_wall(checks: &[Check]) -> Option<Wall> {
    checks
        .iter()
        .filter_map(|check| match check.stops {
            Stops::Connections(connections) => Some(Wall {
                limit: check.limit.clone(),
                connections,
            }),
            Stops::Burst(_) | Stops::Nothing => None,
        })
        .min_by_key(|wall| wall.connections)
}

fn sentence(asked: &Asked, fits: bool, wall: Option<&Wall>, checks: &[Check]) -> String {
    let unknown = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Unknown);
    let unknown = match unknown.count() {
        0 => String::new(),
        1 => "; 1 limit could not be read".to_owned(),
        count => format!("; {count} limits could not be read"),
    };
    let (asked, fit, do_not) = match asked.connections {
        1 => ("1 connection".to_owned(), "fits", "does not fit"),
        many => (
            format!("{} connections", grouped(many)),
            "fit",
            "do not fit",
        ),
    };
    match (wall, fits) {
        (Some(wall), true) => format!(
            "{asked} {fit}; the first wall is {} at about {} connections{unknown}.",
            wall.limit,
            grouped(rough(wall.connections))
        ),
        (Some(wall), false) => format!(
            "{asked} {do_not}: the first wall is {} at about {} connections{unknown}.",
            wall.limit,
            grouped(rough(wall.connections))
        ),
        (None, true) => format!("{asked} {fit}, and no wall is known{unknown}."),
        (None, false) => format!("{asked} {do_not}{unknown}."),
    }
}

/// Three digits are as much as 'about' is worth.
fn rough(number: u64) -> u64 {
    let mut unit = 1;
    while number / unit >= 1_000 {
        unit *= 10;
    }
    number / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::asked;

    fn check(limit: &str, verdict: Verdict, stops: Stops) -> Check {
        Check::new("x", limit, "").verdict(verdict, "").stops(stops)
    }

    #[test]
    fn the_first_wall_is_the_least_number_of_connections() {
        let report = Report::new(
            asked(100_000),
            None,
            vec![
                check("a", Verdict::Slows, Stops::Burst(9)),
                check("b", Verdict::Fits, Stops::Connections(3_004_567)),
                check("c", Verdict::TooLow, Stops::Connections(39_876)),
                check("d", Verdict::Advice, Stops::Nothing),
            ],
        );
        assert!(!report.fits);
        assert_eq!(report.wall.as_ref().unwrap().connections, 39_876);
        assert_eq!(
            report.sentence,
            "100,000 connections do not fit: the first wall is c at about 39,800 connections."
        );
    }

    #[test]
    fn what_fits_has_a_wall_further_off_and_what_is_unknown_is_said() {
        let report = Report::new(
            asked(1_000),
            None,
            vec![
                check("a", Verdict::Slows, Stops::Burst(9)),
                check("b", Verdict::Fits, Stops::Connections(5_000)),
                check("c", Verdict::Unknown, Stops::Nothing),
            ],
        );
        assert!(report.fits);
        assert_eq!(
            report.sentence,
            "1,000 connections fit; the first wall is b at about 5,000 connections; \
             1 limit could not be read."
        );
        let nothing = Report::new(asked(1), None, Vec::new());
        assert_eq!(nothing.sentence, "1 connection fits, and no wall is known.");
    }

    #[test]
    fn three_digits_remain() {
        assert_eq!(rough(0), 0);
        assert_eq!(rough(999), 999);
        assert_eq!(rough(1_009), 1_000);
        assert_eq!(rough(4_987_654), 4_980_000);
    }
}
