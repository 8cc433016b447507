//! The series of several machines as one.
//!
//! Each machine's series is first laid out anew on intervals that all have in
//! common, then the intervals are added up.

use std::collections::BTreeMap;

use super::{Run, seen};
use crate::outcome::{Percentiles, Sample};

/// Intervals are at least this long, in seconds.
const SHORTEST: f64 = 1.0;
/// There are no more intervals than this; a longer run has longer ones.
const MOST: f64 = 100_000.0;
/// An end that is past a border by less is on it: times are rounded.
const TOLERANCE: f64 = 1e-6;

/// The intervals that all machines have in common.
#[derive(Debug, Clone, Copy)]
struct Grid {
    width: f64,
    count: usize,
    end: f64,
}

impl Grid {
    fn of(runs: &[Run]) -> Option<Grid> {
        let mut end: f64 = 0.0;
        let mut width = SHORTEST;
        for run in runs {
            let series = &run.outcome.series;
            let last = series.last().map_or(0.0, |sample| run.offset + sample.at);
            end = end.max(last);
            // The usual length: the last interval of a run is cut short, and
            // one may have been late.
            let mut lengths: Vec<_> = series.iter().map(|sample| sample.seconds).collect();
            lengths.sort_by(f64::total_cmp);
            width = width.max(lengths.get(lengths.len() / 2).copied().unwrap_or(0.0));
        }
        width = width.max(end / MOST);
        let count = (end / width - TOLERANCE).ceil().max(0.0) as usize;
        (count > 0).then_some(Grid { width, count, end })
    }

    /// The interval in which a moment lies; one on a border belongs to the
    /// interval that ends there.
    fn index(&self, at: f64) -> usize {
        let index = (at / self.width - TOLERANCE).ceil() - 1.0;
        // A negative number becomes zero.
        (index as usize).min(self.count - 1)
    }

    fn range(&self, index: usize) -> (f64, f64) {
        let start = index as f64 * self.width;
        let end = match index + 1 == self.count {
            true => self.end,
            false => start + self.width,
        };
        (start, end)
    }
}

/// The sum of the runs' series.
pub(super) fn join(runs: &[Run]) -> Vec<Sample> {
    let Some(grid) = Grid::of(runs) else {
        return Vec::new();
    };
    let laid_out: Vec<Vec<Sample>> = runs.iter().map(|run| lay_out(run, grid)).collect();
    (0..grid.count)
        .map(|index| {
            let samples: Vec<_> = laid_out.iter().map(|series| &series[index]).collect();
            add_up(runs, &samples)
        })
        .collect()
}

/// One run's series on the grid. Counts are divided among the intervals that a
/// sample reaches into, so that none is lost; the level at the end of an
/// interval is the one seen last, and nothing once the run is over.
fn lay_out(run: &Run, grid: Grid) -> Vec<Sample> {
    let mut series: Vec<Sample> = (0..grid.count)
        .map(|index| {
            let (start, end) = grid.range(index);
            Sample {
                at: end,
                seconds: end - start,
                ..Sample::default()
            }
        })
        .collect();
    let mut held: Option<&Sample> = None;
    let mut next = 0;
    for sample in &run.outcome.series {
        let end = run.offset + sample.at;
        let start = end - sample.seconds;
        let (first, last) = (grid.index(start.max(0.0)), grid.index(end));
        // Until this sample ends, the level last seen is that of the sample before.
        for interval in series.iter_mut().take(last).skip(next) {
            hold(interval, held);
        }
        next = next.max(last);
        held = Some(sample);
        let mut done = 0.0;
        for (index, interval) in series.iter_mut().enumerate().take(last + 1).skip(first) {
            let border = grid.range(index).1;
            let share = if index == last || sample.seconds <= 0.0 {
                1.0
            } else {
                ((border - start) / sample.seconds).clamp(done, 1.0)
            };
            add_part(interval, sample, done, share);
            done = share;
        }
    }
    if let Some(interval) = series.get_mut(next) {
        hold(interval, held);
    }
    series
}

/// Adds the events in a sample between two points of it, each from 0 to 1.
fn add_part(interval: &mut Sample, sample: &Sample, from: f64, to: f64) {
    // Rounding the ends, not the parts, lets the parts add up to the whole.
    let part =
        |count: u64| (count as f64 * to).round() as u64 - (count as f64 * from).round() as u64;
    interval.opened += part(sample.opened);
    interval.failed += part(sample.failed);
    interval.sent += part(sample.sent);
    interval.received += part(sample.received);
    interval.sent_bytes += part(sample.sent_bytes);
    interval.received_bytes += part(sample.received_bytes);
    for (name, percentiles) in &sample.latencies {
        let count = part(percentiles.count);
        if count > 0 {
            let here = Percentiles {
                count,
                ..*percentiles
            };
            let joined = interval.latencies.entry(name.clone()).or_default();
            *joined = joined.max_of_each(&here);
        }
    }
    if interval.seconds <= 0.0 {
        return;
    }
    let weight = sample.seconds * (to - from) / interval.seconds;
    interval.client_cpu += sample.client_cpu * weight;
    if let Some(cpu) = sample.server_cpu {
        *interval.server_cpu.get_or_insert(0.0) += cpu * weight;
    }
    if interval.cores.len() < sample.cores.len() {
        interval.cores.resize(sample.cores.len(), 0.0);
    }
    for (core, busy) in interval.cores.iter_mut().zip(&sample.cores) {
        *core += busy * weight;
    }
}

fn hold(interval: &mut Sample, held: Option<&Sample>) {
    let Some(held) = held else { return };
    interval.users = held.users;
    interval.connected = held.connected;
    interval.client_memory_bytes = held.client_memory_bytes;
    interval.server_memory_bytes = held.server_memory_bytes;
    interval.kernel_memory_bytes = held.kernel_memory_bytes;
    interval.server_descriptors = held.server_descriptors;
    interval.server_sessions = held.server_sessions;
}

/// The same interval of all runs as one.
fn add_up(runs: &[Run], samples: &[&Sample]) -> Sample {
    let sum = |of: fn(&Sample) -> u64| samples.iter().map(|sample| of(sample)).sum();
    let of_servers = |of: fn(&Sample) -> Option<f64>| {
        let figures = runs.iter().zip(samples);
        seen(figures.map(|(run, sample)| (run.server.as_str(), of(sample))))
    };
    let count_of_servers =
        |of: fn(&Sample) -> Option<f64>| of_servers(of).map(|figure| figure as u64);
    let kernels = runs.iter().zip(samples).map(|(run, sample)| {
        let bytes = sample.kernel_memory_bytes;
        (run.kernel.as_str(), bytes.map(|bytes| bytes as f64))
    });
    let mut latencies: BTreeMap<String, Percentiles> = BTreeMap::new();
    for (name, percentiles) in samples.iter().flat_map(|sample| &sample.latencies) {
        let joined = latencies.entry(name.clone()).or_default();
        *joined = joined.max_of_each(percentiles);
    }
    Sample {
        at: samples[0].at,
        seconds: samples[0].seconds,
        users: sum(|sample| sample.users),
        connected: sum(|sample| sample.connected),
        opened: sum(|sample| sample.opened),
        failed: sum(|sample| sample.failed),
        sent: sum(|sample| sample.sent),
        received: sum(|sample| sample.received),
        sent_bytes: sum(|sample| sample.sent_bytes),
        received_bytes: sum(|sample| sample.received_bytes),
        latencies,
        client_cpu: samples.iter().map(|sample| sample.client_cpu).sum(),
        server_cpu: of_servers(|sample| sample.server_cpu),
        cores: cores(runs, samples),
        client_memory_bytes: sum(|sample| sample.client_memory_bytes),
        server_memory_bytes: count_of_servers(|sample| float(sample.server_memory_bytes)),
        kernel_memory_bytes: seen(kernels).map(|figure| figure as u64),
        server_descriptors: count_of_servers(|sample| float(sample.server_descriptors)),
        server_sessions: count_of_servers(|sample| float(sample.server_sessions)),
    }
}

/// Exact for every count and every memory there is: up to 2^53.
fn float(figure: Option<u64>) -> Option<f64> {
    figure.map(|figure| figure as f64)
}

/// The cores of all hosts, one host after the other; of two runs on one host
/// those of the first. A core keeps its place when its run is over.
fn cores(runs: &[Run], samples: &[&Sample]) -> Vec<f64> {
    let mut cores = Vec::new();
    for (index, (run, sample)) in runs.iter().zip(samples).enumerate() {
        if runs[..index]
            .iter()
            .any(|before| before.kernel == run.kernel)
        {
            continue;
        }
        let series = &run.outcome.series;
        let count = series.iter().map(|sample| sample.cores.len()).max();
        let busy = sample.cores.iter().copied().chain(std::iter::repeat(0.0));
        cores.extend(busy.take(count.unwrap_or(0)));
    }
    cores
}
