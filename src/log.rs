//! The log of the running server, on standard error.
//!
//! Standard output stays free for what a person asked for, such as
//! `--print-config`.
//!
//! # Invariants worth naming
//!
//! - The log never blocks its writers and never makes them fail. A line that standard
//!   error does not take at once is lost: its reader may have stopped reading, its disk
//!   may be full, and shards must go on.
//! - The next line that gets through says how many were lost.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::choice::choice;
use crate::sys;

/// Lines that were lost since one last got through.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Sets the level of this process's log, once it is this one.
static LEVEL: OnceLock<SetLevel> = OnceLock::new();

/// A hold on the level of a log.
type SetLevel = reload::Handle<LevelFilter, Registry>;

choice! {
    /// The form of the log (`--log`).
    LogFormat, "a log format", {
        /// Lines for people: coloured on a terminal, plain anywhere else.
        #[default]
        Auto => "auto",
        /// Lines for people, coloured wherever they go.
        Human => "human",
        /// One JSON object a line.
        Json => "json",
    }
}

/// Sends this process's log to standard error, from `level` up.
///
/// A program that embeds the library and has a subscriber of its own keeps it:
/// only the first initialisation of a process counts.
pub fn init(format: LogFormat, level: LevelFilter) {
    let colours = match format {
        LogFormat::Auto => io::stderr().is_terminal() && !colours_refused(),
        LogFormat::Human => !colours_refused(),
        LogFormat::Json => false,
    };
    let (subscriber, set_level) =
        subscriber(format, level, colours, move || StandardError { format });
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = LEVEL.set(set_level);
    }
}

/// Changes the level from which this process's log is written. Returns `false`
/// where the process has another log.
pub fn set_level(level: LevelFilter) -> bool {
    LEVEL
        .get()
        .is_some_and(|set_level| set_level.reload(level).is_ok())
}

/// Whether the person asked all programs for plain text (<https://no-color.org>).
fn colours_refused() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn subscriber<W>(
    format: LogFormat,
    level: LevelFilter,
    colours: bool,
    writer: W,
) -> (Box<dyn Subscriber + Send + Sync>, SetLevel)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (level, set_level) = reload::Layer::new(level);
    let lines = fmt::layer()
        .with_ansi(colours)
        // It would tell on standard error, and panic when that fails.
        .log_internal_errors(false)
        .with_writer(writer);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Auto | LogFormat::Human => lines.boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(level).with(lines);
    (Box::new(subscriber), set_level)
}

/// Standard error without waiting. It takes one whole line per write.
struct StandardError {
    format: LogFormat,
}

impl Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Held from the look to the write, so that no other thread of ours
        // takes the room in between.
        let mut stderr = io::stderr().lock();
        let lost = LOST.load(Ordering::Relaxed);
        let told = lost == 0 || (sys::takes_bytes(&stderr) && tell(&mut stderr, self.format, lost));
        if told {
            LOST.fetch_sub(lost, Ordering::Relaxed);
        }
        if !(told && sys::takes_bytes(&stderr) && stderr.write_all(line).is_ok()) {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says how many lines were lost, in the log's own form. Returns whether it could.
fn tell(stderr: &mut impl Write, format: LogFormat, lost: u64) -> bool {
    let what = "lines were lost because standard error did not take them";
    let line = match format {
        LogFormat::Json => format!("{{\"level\":\"WARN\",\"message\":\"{lost} {what}\"}}\n"),
        LogFormat::Auto | LogFormat::Human => format!("WARN corecast: {lost} {what}\n"),
    };
    stderr.write_all(line.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer that keeps what it is given.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of two events in a format, seen from `info`.
    fn logged(format: LogFormat, colours: bool) -> String {
        let page = Page::default();
        let writer = page.clone();
        let writer = move || writer.clone();
        let (subscriber, _) = subscriber(format, LevelFilter::INFO, colours, writer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(shard = 3, "started");
            tracing::debug!("too quiet to be heard");
        });
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn people_read_lines() {
        let text = logged(LogFormat::Auto, false);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("INFO") && text.contains("started shard=3"),
            "{text}"
        );
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(logged(LogFormat::Human, true).contains('\x1b'));
    }

    #[test]
    fn machines_read_json() {
        let text = logged(LogFormat::Json, false);
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["message"], "started");
        assert_eq!(event["shard"], 3);
        assert_eq!(event["level"], "INFO");
    }

    #[test]
    fn the_level_can_be_changed() {
        let page = Page::default();
        let kept = page.clone();
        let writer = move || kept.clone();
        let (subscriber, set_level) = subscriber(LogFormat::Auto, LevelFilter::INFO, false, writer);
        let say = |level| {
            set_level.reload(level).unwrap();
            tracing::info!("a line of {level}");
            tracing::debug!("a detail of {level}");
        };
        tracing::subscriber::with_default(subscriber, || {
            say(LevelFilter::ERROR);
            say(LevelFilter::DEBUG);
            say(LevelFilter::INFO);
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].ends_with("a line of debug"), "{text}");
        assert!(lines[1].ends_with("a detail of debug"), "{text}");
        assert!(lines[2].ends_with("a line of info"), "{text}");
    }

    #[test]
    fn every_format_is_read_as_it_is_written() {
        for format in [LogFormat::Auto, LogFormat::Human, LogFormat::Json] {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("xml".parse::<LogFormat>().is_err());
    }
}
