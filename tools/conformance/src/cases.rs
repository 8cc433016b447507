//! The cases that must be there: all of Autobahn's outside of compression.
//!
//! Groups 12 and 13 are about permessage-deflate, which corecast never agrees to.

use std::fmt;
use std::str::FromStr;

/// A group of cases, as its suite names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The first number of its cases.
    pub number: u32,
    /// Its subject.
    pub title: &'static str,
}

/// The groups in order. There is no group 8, and 11 was never filled.
pub const GROUPS: [Group; 9] = [
    group(1, "Framing"),
    group(2, "Pings and pongs"),
    group(3, "Reserved bits"),
    group(4, "Opcodes"),
    group(5, "Fragmentation"),
    group(6, "UTF-8"),
    group(7, "Close handshake"),
    group(9, "Limits and performance"),
    group(10, "Automatic fragmentation"),
];

const fn group(number: u32, title: &'static str) -> Group {
    Group { number, title }
}

/// Series of cases: the numbers before their last one, and how many there are.
/// They are numbered from 1 without a gap.
const SERIES: [(&[u32], u32); 44] = [
    (&[1, 1], 8),
    (&[1, 2], 8),
    (&[2], 11),
    (&[3], 7),
    (&[4, 1], 5),
    (&[4, 2], 5),
    (&[5], 20),
    (&[6, 1], 3),
    (&[6, 2], 4),
    (&[6, 3], 2),
    (&[6, 4], 4),
    (&[6, 5], 5),
    (&[6, 6], 11),
    (&[6, 7], 4),
    (&[6, 8], 2),
    (&[6, 9], 4),
    (&[6, 10], 3),
    (&[6, 11], 5),
    (&[6, 12], 8),
    (&[6, 13], 5),
    (&[6, 14], 10),
    (&[6, 15], 1),
    (&[6, 16], 3),
    (&[6, 17], 5),
    (&[6, 18], 5),
    (&[6, 19], 5),
    (&[6, 20], 7),
    (&[6, 21], 8),
    (&[6, 22], 34),
    (&[6, 23], 7),
    (&[7, 1], 6),
    (&[7, 3], 6),
    (&[7, 5], 1),
    (&[7, 7], 13),
    (&[7, 9], 9),
    (&[7, 13], 2),
    (&[9, 1], 6),
    (&[9, 2], 6),
    (&[9, 3], 9),
    (&[9, 4], 9),
    (&[9, 5], 6),
    (&[9, 6], 6),
    (&[9, 7], 6),
    (&[9, 8], 6),
];

/// The one case that is a series of its own.
const LAST: [u32; 3] = [10, 1, 1];

/// The groups of cases about compression, as the suites' patterns name them.
pub const EXCLUDED: [&str; 2] = ["12.*", "13.*"];

/// The number of a case: `6.4.1`. In order, 2.10 comes after 2.9.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId(Vec<u32>);

impl CaseId {
    /// The number of the group it belongs to.
    pub fn group(&self) -> u32 {
        self.0[0]
    }
}

/// All cases that must be in a report.
pub fn required() -> impl Iterator<Item = CaseId> {
    let series = SERIES.iter().flat_map(|(prefix, count)| {
        (1..=*count).map(move |last| CaseId([*prefix, &[last]].concat()))
    });
    series.chain([CaseId(LAST.to_vec())])
}

impl FromStr for CaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        match numbers {
            Ok(numbers) => Ok(CaseId(numbers)),
            Err(_) => Err(format!("'{text}' is not the number of a case, as in 6.4.1")),
        }
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_301_cases_each_once() {
        let cases: BTreeSet<CaseId> = required().collect();
        assert_eq!(cases.len(), 301);
        assert_eq!(required().count(), 301);
        let of = |group: u32| cases.iter().filter(|case| case.group() == group).count();
        let counts = GROUPS.map(|group| of(group.number));
        assert_eq!(counts, [16, 11, 7, 10, 20, 145, 37, 54, 1]);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let case = |text: &str| text.parse::<CaseId>().unwrap();
        assert!(case("2.9") < case("2.10"));
        assert!(case("9.8.6") < case("10.1.1"));
        assert_eq!(case("6.22.34").to_string(), "6.22.34");
        assert!("6.x.1".parse::<CaseId>().is_err());
        assert!("".parse::<CaseId>().is_err());
    }
}
