//! The progress display of a run: bars on a terminal, lines elsewhere.
//!
//! Everything goes to stderr, so that stdout is left to the result.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::outcome::{Outcome, per_second};
use crate::report::{grouped, rate};

/// The shortest time between two lines that are not overwritten.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Steps of a bar that measures time: a tenth of a second each.
const STEPS_PER_SECOND: f64 = 10.0;

/// The facts about a run that are known before it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressPlan {
    /// The kind of run, in a few words: `echo against ws://host/`.
    pub title: String,
    /// Connections that are to be opened.
    pub connections: u64,
    /// The time to be measured, where the run ends by time.
    pub measured: Option<Duration>,
    /// The messages to be sent, where the run ends by their number.
    pub messages: Option<u64>,
    /// Show nothing.
    pub quiet: bool,
}

/// Shows how far a run is. All methods may be called from any thread, and none
/// fails: a run does not end because its progress cannot be shown.
#[derive(Debug)]
pub struct Progress(View);

#[derive(Debug)]
enum View {
    Quiet,
    Bars(Bars),
    Lines(Mutex<Lines<io::Stderr>>),
}

impl Progress {
    /// Begins to show a run: with bars when stderr is a terminal, with plain
    /// lines otherwise, not at all when the plan is quiet.
    pub fn new(plan: &ProgressPlan) -> Progress {
        Progress(if plan.quiet {
            View::Quiet
        } else if io::stderr().is_terminal() {
            View::Bars(Bars::new(plan))
        } else {
            View::Lines(Mutex::new(Lines::new(plan, io::stderr())))
        })
    }

    /// The run has come to this phase: `connecting`, `measuring`, …
    pub fn phase(&self, name: &str) {
        match &self.0 {
            View::Quiet => {}
            View::Bars(bars) => bars.phase(name),
            View::Lines(lines) => locked(lines).phase(name),
        }
    }

    /// Shows the results so far. To be called a few times a second.
    pub fn update(&self, outcome: &Outcome) {
        match &self.0 {
            View::Quiet => {}
            View::Bars(bars) => bars.update(outcome),
            View::Lines(lines) => locked(lines).update(outcome, Instant::now()),
        }
    }

    /// The run is over: the bars make room for its result.
    pub fn finish(&self) {
        if let View::Bars(bars) = &self.0 {
            bars.finish();
        }
    }
}

/// A panic while a line was written leaves nothing behind that could not be used.
fn locked<T>(lines: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bars on a terminal.
#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    heading: ProgressBar,
    title: String,
    connections: ProgressBar,
    measured: Option<Measured>,
    rates: ProgressBar,
}

/// The bar of the quantity that ends the run.
#[derive(Debug)]
enum Measured {
    Time(ProgressBar),
    Messages(ProgressBar),
}

impl Measured {
    fn bar(&self) -> &ProgressBar {
        match self {
            Measured::Time(bar) | Measured::Messages(bar) => bar,
        }
    }
}

impl Bars {
    fn new(plan: &ProgressPlan) -> Bars {
        let all = MultiProgress::new();
        let line = |length, template: &str| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let style = style.progress_chars("━╸ ");
            all.add(ProgressBar::new(length).with_style(style))
        };
        const BAR: &str = "{prefix:12} {wide_bar} {msg}";
        let heading = line(0, "{spinner} {msg}");
        // A spinner that moves while nothing else does shows that the run is alive.
        heading.enable_steady_tick(Duration::from_millis(250));
        let connections = line(plan.connections, BAR).with_prefix("connections");
        let measured = match (plan.messages, plan.measured) {
            (Some(messages), _) => Some(Measured::Messages(
                line(messages, BAR).with_prefix("messages"),
            )),
            (None, Some(time)) => {
                let steps = (time.as_secs_f64() * STEPS_PER_SECOND) as u64;
                Some(Measured::Time(line(steps, BAR).with_prefix("measured")))
            }
            (None, None) => None,
        };
        let rates = line(0, "{msg}");
        heading.set_message(plan.title.clone());
        Bars {
            all,
            heading,
            title: plan.title.clone(),
            connections,
            measured,
            rates,
        }
    }

    fn phase(&self, name: &str) {
        self.heading.set_message(format!("{}: {name}", self.title));
    }

    fn update(&self, outcome: &Outcome) {
        let connections = &outcome.connections;
        self.connections
            .set_position(connections.opened + connections.failures());
        self.connections.set_message(format!(
            "{} of {}",
            grouped(connections.opened),
            grouped(connections.asked)
        ));
        match &self.measured {
            Some(Measured::Time(bar)) => {
                bar.set_position((outcome.messages.seconds * STEPS_PER_SECOND) as u64);
                let length = bar.length().unwrap_or(0) as f64 / STEPS_PER_SECOND;
                bar.set_message(format!("{:.0} of {length:.0} s", outcome.messages.seconds));
            }
            Some(Measured::Messages(bar)) => {
                bar.set_position(outcome.messages.sent);
                bar.set_message(format!(
                    "{} of {}",
                    grouped(outcome.messages.sent),
                    grouped(bar.length().unwrap_or(0))
                ));
            }
            None => {}
        }
        self.rates.set_message(rates(outcome));
    }

    fn finish(&self) {
        let measured = self.measured.as_ref().map(Measured::bar);
        for bar in [&self.heading, &self.connections, &self.rates]
            .into_iter()
            .chain(measured)
        {
            bar.finish_and_clear();
        }
        // Nothing can be done about a terminal that is gone.
        let _ = self.all.clear();
    }
}

/// Lines for a file, a pipe or the log of a build.
#[derive(Debug)]
struct Lines<W> {
    writer: W,
    phase: String,
    written: Option<Instant>,
}

impl<W: Write> Lines<W> {
    fn new(plan: &ProgressPlan, writer: W) -> Lines<W> {
        let mut lines = Lines {
            writer,
            phase: String::new(),
            written: None,
        };
        lines.write(&plan.title);
        lines
    }

    /// Each phase is announced once, however often it is named.
    fn phase(&mut self, name: &str) {
        if self.phase != name {
            name.clone_into(&mut self.phase);
            self.write(name);
            self.written = None;
        }
    }

    fn update(&mut self, outcome: &Outcome, now: Instant) {
        // The first figures of a phase would be those of the one before.
        let since = *self.written.get_or_insert(now);
        if now.saturating_duration_since(since) < LINE_INTERVAL {
            return;
        }
        self.written = Some(now);
        let connections = &outcome.connections;
        let phase = match self.phase.as_str() {
            "" => String::new(),
            name => format!("{name}: "),
        };
        self.write(&format!(
            "{phase}{:.0} s, {} of {} opened, {}",
            outcome.seconds,
            grouped(connections.opened),
            grouped(connections.asked),
            rates(outcome)
        ));
    }

    fn write(&mut self, line: &str) {
        // A run does not end because its progress cannot be written.
        let _ = writeln!(self.writer, "{line}");
    }
}

/// The rates of the last interval that was measured, and the number of failures.
fn rates(outcome: &Outcome) -> String {
    let mut words = Vec::new();
    if let Some(sample) = outcome.series.last() {
        for (count, what) in [
            (sample.opened, "opened/s"),
            (sample.sent, "sent/s"),
            (sample.received, "received/s"),
        ] {
            if count > 0 {
                words.push(format!(
                    "{} {what}",
                    rate(per_second(count, sample.seconds))
                ));
            }
        }
        words.insert(0, format!("{} open", grouped(sample.connected)));
    }
    let connections = &outcome.connections;
    words.push(format!("{} failed", grouped(connections.failures())));
    words.push(format!("{} lost", grouped(connections.losses())));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{empty_outcome, sample_outcome};

    fn plan() -> ProgressPlan {
        ProgressPlan {
            title: "echo against ws://127.0.0.1:8080/echo".into(),
            connections: 20_000,
            measured: Some(Duration::from_secs(100)),
            ..ProgressPlan::default()
        }
    }

    #[test]
    fn plain_lines_come_with_each_phase_and_every_few_seconds() {
        let mut lines = Lines::new(&plan(), Vec::new());
        let (outcome, start) = (sample_outcome(), Instant::now());
        lines.phase("connecting");
        lines.phase("connecting");
        lines.phase("measuring");
        for quarter in 0..=48 {
            lines.update(&outcome, start + quarter * Duration::from_millis(250));
        }
        lines.phase("closing");
        let text = String::from_utf8(lines.writer).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 6, "{text}");
        assert_eq!(lines[1], "connecting");
        assert!(
            lines[3].starts_with("measuring: 120 s, 19,960 of 20,000 opened, 19,960 open, "),
            "{text}"
        );
        assert!(
            lines[3].ends_with("received/s, 40 failed, 2 lost"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn nothing_is_measured_yet() {
        assert_eq!(rates(&empty_outcome()), "0 failed, 0 lost");
    }

    #[test]
    fn bars_follow_the_outcome() {
        let bars = Bars::new(&plan());
        bars.phase("measuring");
        bars.update(&sample_outcome());
        assert_eq!(bars.connections.position(), 20_000);
        assert_eq!(bars.connections.message(), "19,960 of 20,000");
        let measured = bars.measured.as_ref().unwrap().bar();
        assert_eq!(measured.message(), "100 of 100 s");
        assert!(bars.rates.message().contains("sent/s"));
        bars.finish();
        assert!(bars.rates.is_finished());
    }

    #[test]
    fn a_number_of_messages_has_the_bar_of_time() {
        let bars = Bars::new(&ProgressPlan {
            messages: Some(50_000_000),
            ..plan()
        });
        bars.update(&sample_outcome());
        assert!(matches!(bars.measured, Some(Measured::Messages(_))));
        bars.finish();
    }

    #[test]
    fn quiet_shows_nothing_and_takes_everything() {
        let progress = Progress::new(&ProgressPlan {
            quiet: true,
            ..plan()
        });
        progress.phase("measuring");
        progress.update(&sample_outcome());
        progress.finish();
        assert!(matches!(progress.0, View::Quiet));
    }
}
