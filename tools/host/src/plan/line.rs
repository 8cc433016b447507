//! A line of the budget, and the unit of its number.

use serde::Serialize;

use super::words;

/// A resource, and the needs of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// The resource.
    pub title: &'static str,
    /// The needs, one a line.
    pub lines: Vec<Line>,
}

/// One figure, its arithmetic, and the sources of its constants.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// A name that does not change, for programs.
    pub name: &'static str,
    /// Its title, for people.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// How it was computed.
    pub arithmetic: String,
    /// The sources of the constants in it.
    pub origins: Vec<&'static str>,
}

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things, such as descriptors or addresses.
    Count,
    /// Things per second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Bits per second.
    BitsPerSecond,
    /// Processor cores, full ones.
    Cores,
    /// Seconds.
    Seconds,
}

impl Line {
    /// A line whose constants come from nowhere else.
    pub fn new(
        name: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: Unit,
        arithmetic: impl Into<String>,
    ) -> Line {
        Line {
            name,
            what: what.into(),
            value,
            unit,
            arithmetic: arithmetic.into(),
            origins: Vec::new(),
        }
    }

    /// The same with the origin of a constant in it.
    pub fn from(mut self, origin: &'static str) -> Line {
        self.origins.push(origin);
        self
    }

    /// The figure and its unit in words.
    pub fn shown(&self) -> String {
        match self.unit {
            Unit::Count => words::count(self.value),
            Unit::PerSecond => format!("{}/s", words::figure(self.value)),
            Unit::Bytes => words::bytes(self.value),
            Unit::BitsPerSecond => words::bits_per_second(self.value),
            Unit::Cores => words::figure(self.value),
            Unit::Seconds => words::time(self.value),
        }
    }
}
