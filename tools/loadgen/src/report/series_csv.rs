//! The time series as CSV.

use std::collections::BTreeSet;
use std::io;

use crate::outcome::{Outcome, Percentiles, Sample};

/// The columns of every file, in front of the cores and the latencies.
const COLUMNS: [&str; 17] = [
    "at_seconds",
    "interval_seconds",
    "users",
    "connected",
    "opened_per_second",
    "failed_per_second",
    "sent_per_second",
    "received_per_second",
    "sent_bytes_per_second",
    "received_bytes_per_second",
    "client_cpu_cores",
    "server_cpu_cores",
    "client_memory_bytes",
    "server_memory_bytes",
    "kernel_memory_bytes",
    "server_descriptors",
    "server_sessions",
];

/// The columns of one latency, after its name.
const LATENCY_COLUMNS: [&str; 9] = [
    "count",
    "mean_us",
    "min_us",
    "p50_us",
    "p90_us",
    "p99_us",
    "p99_9_us",
    "p99_99_us",
    "max_us",
];

/// Writes the time series, one line for each interval. A column's name carries
/// its unit; a figure that is not known is left empty. Each latency that
/// occurs anywhere in the series has its columns, such as `echo_p99_us`.
///
/// # Errors
///
/// `writer` fails.
pub fn write_csv(outcome: &Outcome, writer: impl io::Write) -> Result<(), csv::Error> {
    let names: BTreeSet<&str> = outcome
        .series
        .iter()
        .flat_map(|sample| sample.latencies.keys())
        .map(String::as_str)
        .collect();
    let cores = outcome.series.iter().map(|sample| sample.cores.len()).max();
    let cores = cores.unwrap_or(0);

    let mut writer = csv::Writer::from_writer(writer);
    let core_columns = (0..cores).map(|core| format!("core_{core}_busy_share"));
    let latency_columns = names.iter().flat_map(|name| {
        let name = snake_case(name);
        LATENCY_COLUMNS.map(|column| format!("{name}_{column}"))
    });
    writer.write_record(
        COLUMNS
            .into_iter()
            .map(str::to_owned)
            .chain(core_columns)
            .chain(latency_columns),
    )?;
    for sample in &outcome.series {
        let core_fields = (0..cores).map(|core| optional(sample.cores.get(core).map(decimal)));
        let latency_fields = names
            .iter()
            .flat_map(|name| latency_fields(sample.latencies.get(*name)));
        writer.write_record(
            fields(sample)
                .into_iter()
                .chain(core_fields)
                .chain(latency_fields),
        )?;
    }
    writer.flush()?;
    Ok(())
}

fn fields(sample: &Sample) -> [String; COLUMNS.len()] {
    let per_second = |count| decimal(&crate::outcome::per_second(count, sample.seconds));
    let whole = |count: Option<u64>| optional(count);
    [
        decimal(&sample.at),
        decimal(&sample.seconds),
        sample.users.to_string(),
        sample.connected.to_string(),
        per_second(sample.opened),
        per_second(sample.failed),
        per_second(sample.sent),
        per_second(sample.received),
        per_second(sample.sent_bytes),
        per_second(sample.received_bytes),
        decimal(&sample.client_cpu),
        optional(sample.server_cpu.as_ref().map(decimal)),
        sample.client_memory_bytes.to_string(),
        whole(sample.server_memory_bytes),
        whole(sample.kernel_memory_bytes),
        whole(sample.server_descriptors),
        whole(sample.server_sessions),
    ]
}

fn latency_fields(percentiles: Option<&Percentiles>) -> [String; LATENCY_COLUMNS.len()] {
    // Nothing was timed: no figure, rather than one of zero microseconds.
    let Some(p) = percentiles.filter(|p| p.count > 0) else {
        return Default::default();
    };
    [
        p.count.to_string(),
        decimal(&p.mean),
        p.min.to_string(),
        p.p50.to_string(),
        p.p90.to_string(),
        p.p99.to_string(),
        p.p99_9.to_string(),
        p.p99_99.to_string(),
        p.max.to_string(),
    ]
}

fn decimal(figure: &f64) -> String {
    format!("{figure:.3}")
}

fn optional(figure: Option<impl ToString>) -> String {
    figure.map_or_else(String::new, |figure| figure.to_string())
}

fn snake_case(name: &str) -> String {
    name.chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{empty_outcome, sample_outcome};

    fn lines(outcome: &Outcome) -> Vec<std::collections::HashMap<String, String>> {
        let mut text = Vec::new();
        write_csv(outcome, &mut text).unwrap();
        csv::Reader::from_reader(text.as_slice())
            .deserialize()
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn every_sample_is_a_line_that_parses_back() {
        let outcome = sample_outcome();
        let lines = lines(&outcome);
        assert_eq!(lines.len(), outcome.series.len());
        let (line, sample) = (&lines[50], &outcome.series[50]);
        let figure = |column: &str| line[column].parse::<f64>().unwrap();
        assert_eq!(figure("at_seconds"), sample.at);
        assert_eq!(figure("connected"), sample.connected as f64);
        let sent = sample.sent as f64 / sample.seconds;
        assert!((figure("sent_per_second") - sent).abs() < 0.001);
        let p99 = sample.latencies["echo"].p99;
        assert_eq!(figure("echo_p99_us"), p99 as f64);
        assert!((figure("core_1_busy_share") - sample.cores[1]).abs() < 0.001);
    }

    #[test]
    fn what_is_not_known_is_empty() {
        let mut outcome = sample_outcome();
        outcome.series[50].server_cpu = None;
        outcome.series[50].latencies.clear();
        let lines = lines(&outcome);
        for column in ["server_cpu_cores", "echo_p99_us", "echo_count"] {
            assert_eq!(lines[50][column], "", "{column}");
            assert_ne!(lines[51][column], "", "{column}");
        }
    }

    #[test]
    fn without_samples_there_is_only_the_heading() {
        let mut text = Vec::new();
        write_csv(&empty_outcome(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("at_seconds,interval_seconds,users,connected,"));
        assert_eq!(text.lines().count(), 1);
    }
}
