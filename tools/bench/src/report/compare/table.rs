//! A comparison as text.

use std::fmt;

use corecast_kit::units::{micros, significant};

use super::{Change, Comparison, Judgement, Quantity};
use crate::report::facts::{NONE, bytes, ratio, spread, thousands};
use crate::report::grid::{Column, Grid};
use crate::results::Spread;

/// The widest line.
const WIDTH: u16 = 140;

/// All changes of one contestant in one scenario.
struct Row<'a> {
    changes: Vec<&'a Change>,
}

impl Comparison {
    /// The comparison for a terminal: every figure of the new run divided by that
    /// of the old, then the changes for the better or the worse.
    pub fn table(&self) -> String {
        self.to_string()
    }

    /// The scenarios, each with its contestants.
    fn sections(&self) -> Vec<(String, Vec<Row<'_>>)> {
        let mut sections: Vec<(String, Vec<Row<'_>>)> = Vec::new();
        for change in &self.changes {
            match sections.last_mut() {
                Some((contest, _)) if *contest == change.contest => {}
                _ => sections.push((change.contest.clone(), Vec::new())),
            }
            let Some((_, rows)) = sections.last_mut() else {
                continue;
            };
            match rows.last_mut() {
                Some(row) if row.changes[0].contestant == change.contestant => {
                    row.changes.push(change);
                }
                _ => rows.push(Row {
                    changes: vec![change],
                }),
            }
        }
        sections
    }
}

impl Row<'_> {
    fn ratio(&self, quantity: Quantity) -> String {
        let mut changes = self.changes.iter();
        let change = changes.find(|change| change.quantity == quantity);
        change.map_or(String::new(), |change| match change.ratio() {
            times if times.is_finite() => ratio(times),
            _ => NONE.into(),
        })
    }

    fn verdict(&self) -> String {
        let judgements = || self.changes.iter().filter_map(|change| change.judgement);
        let has = |judgement| judgements().any(|other| other == judgement);
        let words = [
            (Judgement::Regressed, "REGRESSED"),
            (Judgement::Improved, "improved"),
            (Judgement::Unclear, "unclear"),
            (Judgement::Same, "same"),
        ];
        // A clear judgement says more than an unclear one, and either more than
        // none.
        let clear = words[..2].iter().filter(|(judgement, _)| has(*judgement));
        let clear: Vec<_> = clear.map(|(_, word)| *word).collect();
        if !clear.is_empty() {
            return clear.join(", ");
        }
        let other = words[2..].iter().find(|(judgement, _)| has(*judgement));
        other.map_or(String::new(), |(_, word)| (*word).into())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [
            Column::words("new ÷ old", |row: &Row| row.changes[0].contestant.clone()),
            Column::figures("rate", |row| row.ratio(Quantity::Rate)),
            Column::figures("rate ÷ floor", |row| row.ratio(Quantity::RateToFloor)),
            Column::figures("CPU each", |row| row.ratio(Quantity::CpuTime)),
            Column::figures("CPU ÷ floor", |row| row.ratio(Quantity::CpuToFloor)),
            Column::figures("p50", |row| row.ratio(Quantity::MedianLatency)),
            Column::figures("p99", |row| row.ratio(Quantity::TailLatency)),
            Column::figures("memory", |row| row.ratio(Quantity::Memory)),
            Column::words("verdict", Row::verdict),
        ];
        let grid = Grid::new(&columns, self.sections());
        if grid.sections.is_empty() {
            writeln!(f, "The two runs have no figure in common.")?;
        } else {
            writeln!(
                f,
                "{}\nOnly the server is judged: by figures relative to the floor where there is \
                 one.\nunclear: moved by more than 5 %, but the rounds of the two runs overlap.",
                grid.text(WIDTH)
            )?;
        }
        for unmatched in &self.unmatched {
            writeln!(f, "{unmatched}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "WARNING: {warning}")?;
        }
        for change in self.improvements() {
            writeln!(f, "improved: {change}")?;
        }
        for change in self.regressions() {
            writeln!(f, "REGRESSED: {change}")?;
        }
        let (better, worse) = (self.improvements().count(), self.regressions().count());
        writeln!(f, "{better} improved, {worse} regressed")
    }
}

impl fmt::Display for Change {
    /// `echo, corecast: rate ÷ floor 0.94 (0.92 to 0.96) → 0.82 (0.80 to 0.83), × 0.87`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |figure: Spread| match self.quantity {
            Quantity::Rate => format!("{} k/s", spread(figure, thousands)),
            Quantity::RateToFloor | Quantity::CpuToFloor => spread(figure, ratio),
            Quantity::CpuTime => format!("{} µs", spread(figure, significant)),
            Quantity::MedianLatency | Quantity::TailLatency => {
                spread(figure, |time| micros(time.round() as u64))
            }
            Quantity::Memory => format!("{} B", spread(figure, bytes)),
        };
        write!(
            f,
            "{}, {}: {} {} → {}",
            self.contest,
            self.contestant,
            self.quantity,
            shown(self.old),
            shown(self.new)
        )?;
        match self.ratio() {
            times if times.is_finite() => write!(f, ", × {}", ratio(times)),
            _ => Ok(()),
        }
    }
}
