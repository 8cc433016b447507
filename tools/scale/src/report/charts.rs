//! Charts: of one run, and of how its figures grow.

use corecast_kit::chart::{Chart, charts, growth};
use corecast_kit::outcome::Outcome;

use crate::contestant::Contestant;
use crate::hold::Held;
use crate::reading::{Reading, Summary, sizes};

/// The charts of a run that show how it went at this size.
const OF_A_RUN: [&str; 5] = ["openings", "messages", "cpu", "memory", "server"];

/// The charts of one run.
pub fn of_run(outcome: &Outcome) -> Vec<Chart> {
    let mut charts = charts(outcome);
    charts.retain(|chart| OF_A_RUN.contains(&chart.id.as_str()));
    charts
}

/// How figures grow with the number of connections.
pub fn of_growth(readings: &[Reading], helds: &[Held]) -> Vec<Chart> {
    let line = |contestant, figure: fn(&Summary) -> f64| -> Vec<(f64, f64)> {
        sizes(readings)
            .into_iter()
            .filter_map(|size| {
                let summary = Summary::of(readings, contestant, size)?;
                Some((size as f64, figure(&summary)))
            })
            .collect()
    };
    let held = |figure: fn(&Held) -> f64| -> Vec<(f64, f64)> {
        let points = helds.iter();
        points
            .map(|held| (held.reading.connections as f64, figure(held)))
            .collect()
    };
    use Contestant::{Floor, Server};
    let charts = [
        growth(
            ["user-memory", "User memory of a connection"],
            ["connections", "bytes"],
            &[
                ("server", line(Server, |s| s.server_bytes)),
                ("load", line(Server, |s| s.load_bytes)),
            ],
        ),
        growth(
            ["kernel-memory", "Kernel memory of a connection, both ends"],
            ["connections", "bytes"],
            &[
                ("corecast", line(Server, |s| s.kernel_bytes)),
                ("floor", line(Floor, |s| s.kernel_bytes)),
            ],
        ),
        growth(
            ["delivery", "Processor time of the server for each delivery"],
            ["connections", "microseconds"],
            &[
                ("corecast", line(Server, |s| s.server_micros)),
                ("floor", line(Floor, |s| s.server_micros)),
            ],
        ),
        growth(
            ["idle", "Processor time with heartbeats alone"],
            ["connections", "full cores"],
            &[
                ("server", held(|held| held.idle_server_cores)),
                ("load", held(|held| held.idle_load_cores)),
            ],
        ),
    ];
    charts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{held, reading};

    #[test]
    fn what_was_measured_is_drawn() {
        let readings = [
            reading(Contestant::Server, 10_000, 4.0),
            reading(Contestant::Server, 1_000_000, 8.0),
        ];
        let ids = |charts: Vec<Chart>| charts.into_iter().map(|chart| chart.id).collect::<Vec<_>>();
        assert_eq!(
            ids(of_growth(&readings, &[held(10_000), held(1_000_000)])),
            ["user-memory", "kernel-memory", "delivery", "idle"]
        );
        assert_eq!(ids(of_growth(&[], &[])), [""; 0]);
    }
}
