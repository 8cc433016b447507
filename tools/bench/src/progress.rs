//! How far a run is: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::results::Reading;

/// Shows how far a run is. It never ticks by itself: the load's core has better
/// things to do while a window is open.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of so many measurements.
    pub fn new(measurements: usize) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(measurements as u64);
            let template = "{bar:30} {pos}/{len} {elapsed} (about {eta} left) {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Progress { bar }
    }

    /// This is being measured now.
    pub fn begin(&self, work: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(work.to_owned());
            bar.tick();
        }
    }

    /// This was measured.
    pub fn end(&self, work: &str, reading: &Reading, unit: &str) {
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => self.say(&format!("{work}: {}", summary(reading, unit))),
        }
    }

    /// This could not be measured.
    pub fn fail(&self, failure: &str) {
        self.say(&format!("FAILED {failure}"));
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => note(line),
        }
    }

    /// The run is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        // Lets the terminal settle before the report goes to another stream.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Writes a line to standard error. A full or closed one is no reason to end a
/// run whose report goes to files.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn summary(reading: &Reading, unit: &str) -> String {
    match reading {
        Reading::Timed(sample) => {
            let rate = format!("{:.0} {unit}/s", sample.rate());
            match sample.latency {
                Some(latency) => format!("{rate}, 99 % within {:.0} µs", latency.p99),
                None => rate,
            }
        }
        Reading::Idle(idle) => format!(
            "{:.0} B resident, {:.0} B kernel per session",
            idle.resident_bytes, idle.kernel_bytes
        ),
    }
}
