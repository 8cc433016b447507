//! One limit of the host, compared with the load that is asked for.

use crate::number::grouped;
use std::fmt;

use serde::Serialize;

use crate::{Unread, files, sysctl_path};

/// The verdict on a limit for the load that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The load that was asked for fits.
    Fits,
    /// The load that was asked for does not fit.
    TooLow,
    /// It fits, but there will be waiting or retrying.
    Slows,
    /// Nothing depends on it now; it is better otherwise.
    Advice,
    /// It could not be read.
    Unknown,
}

impl Verdict {
    /// The words of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fits => "fits",
            Verdict::TooLow => "TOO LOW",
            Verdict::Slows => "slows",
            Verdict::Advice => "advice",
            Verdict::Unknown => "unknown",
        }
    }
}

/// A value as the table and the JSON show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// A value that is no single number.
    Words(String),
}

impl Amount {
    /// Words, from whatever can be shown.
    pub fn words(words: impl fmt::Display) -> Amount {
        Amount::Words(words.to_string())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Count(u64::MAX) => f.write_str("unlimited"),
            Amount::Count(count) => f.write_str(&grouped(*count)),
            Amount::Bytes(bytes) => write!(f, "{}", bytesize::ByteSize(*bytes)),
            Amount::Words(words) => f.write_str(words),
        }
    }
}

/// The effect of a limit, and the number at which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "what", content = "at", rename_all = "lowercase")]
pub enum Stops {
    /// No more connections than these can be open together.
    Connections(u64),
    /// No more than these can come, wait or go at once.
    Burst(u64),
    /// Nothing.
    Nothing,
}

/// How a limit is put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The command that does it now, until the next start.
    pub now: Option<String>,
    /// The setting that does it for good.
    pub for_good: Option<ForGood>,
}

/// A line of a file that is read at each start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForGood {
    /// The file: of this repository, or of the host.
    pub file: String,
    /// Its line.
    pub line: String,
}

/// Keys of descriptors and files.
pub const FILES_CONF: &str = "/etc/sysctl.d/10-corecast-files.conf";
/// Keys of listening.
pub const LISTEN_CONF: &str = "/etc/sysctl.d/20-corecast-listen.conf";
/// Keys of memory.
pub const MEMORY_CONF: &str = "/etc/sysctl.d/30-corecast-memory.conf";
/// Keys of ports.
pub const PORTS_CONF: &str = "/etc/sysctl.d/40-corecast-ports.conf";
/// Keys of the firewall's table.
pub const CONNTRACK_CONF: &str = "/etc/sysctl.d/50-corecast-conntrack.conf";
/// The systemd unit.
pub const UNIT: &str = "/etc/systemd/system/corecast.service";

/// One limit, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its subject: `descriptors`, `listen`, `ports` …
    pub concern: &'static str,
    /// The limit by the kernel's name.
    pub limit: String,
    /// The place where it is set.
    #[serde(rename = "where")]
    pub place: String,
    /// Its value now; nothing when it is unknown.
    pub value: Option<Amount>,
    /// The value needed for the load that was asked for, if it is a value.
    pub needed: Option<Amount>,
    /// How it stands.
    pub verdict: Verdict,
    /// The consequence, in a sentence; for an unknown one the reason.
    pub why: String,
    /// How it is put right, when it should be.
    pub fix: Option<Fix>,
    /// Its effect, whatever is asked.
    pub stops: Stops,
}

impl Check {
    /// A limit that is set in `place`; the methods below add everything else.
    pub fn new(concern: &'static str, limit: impl Into<String>, place: impl Into<String>) -> Check {
        Check {
            concern,
            limit: limit.into(),
            place: place.into(),
            value: None,
            needed: None,
            verdict: Verdict::Fits,
            why: String::new(),
            fix: None,
            stops: Stops::Nothing,
        }
    }

    /// A kernel parameter by its name with dots.
    pub fn sysctl(concern: &'static str, name: &str) -> Check {
        Check::new(concern, name, sysctl_path(name))
    }

    /// Its value now.
    pub fn value(mut self, value: Amount) -> Check {
        self.value = Some(value);
        self
    }

    /// The value needed.
    pub fn needed(mut self, needed: Amount) -> Check {
        self.needed = Some(needed);
        self
    }

    /// How it stands, and why.
    pub fn verdict(mut self, verdict: Verdict, why: impl Into<String>) -> Check {
        self.verdict = verdict;
        self.why = why.into();
        self
    }

    /// It could not be read.
    pub fn unknown(self, reason: &Unread) -> Check {
        self.verdict(Verdict::Unknown, reason.to_string())
    }

    /// Its effect.
    pub fn stops(mut self, stops: Stops) -> Check {
        self.stops = stops;
        self
    }

    /// Whether it should be changed.
    pub fn wants_a_fix(&self) -> bool {
        matches!(
            self.verdict,
            Verdict::TooLow | Verdict::Slows | Verdict::Advice
        )
    }

    /// The command that puts it right now.
    pub fn now(self, command: impl Into<String>) -> Check {
        self.with_fix(|fix| fix.now = Some(command.into()))
    }

    /// The line of a file that puts it right for good.
    pub fn for_good(self, file: impl Into<String>, line: impl Into<String>) -> Check {
        let (file, line) = (file.into(), line.into());
        self.with_fix(|fix| fix.for_good = Some(ForGood { file, line }))
    }

    /// Both, for a kernel parameter.
    pub fn set(self, file: &str, value: impl fmt::Display) -> Check {
        let value = value.to_string();
        let quoted = if value.contains(' ') {
            format!("'{}={value}'", self.limit)
        } else {
            format!("{}={value}", self.limit)
        };
        // A person who installs the file has its value, and should find the same here.
        let installed = files::value_of(&self.limit).filter(|have| files::suffices(have, &value));
        let line = format!("{} = {}", self.limit, installed.unwrap_or(&value));
        self.now(format!("sysctl -w {quoted}")).for_good(file, line)
    }

    /// Only a limit that should be changed has a fix; one that fits has none.
    fn with_fix(mut self, change: impl FnOnce(&mut Fix)) -> Check {
        if self.wants_a_fix() {
            change(self.fix.get_or_insert(Fix {
                now: None,
                for_good: None,
            }));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_unlimited() {
        assert_eq!(Amount::Count(u64::MAX).to_string(), "unlimited");
        assert_eq!(Amount::Count(1_000).to_string(), "1,000");
    }

    #[test]
    fn a_fix_is_a_command_and_a_line_and_only_for_what_wants_one() {
        let check = |verdict| {
            Check::sysctl("files", "a.b")
                .verdict(verdict, "")
                .set("f", "1 2")
        };
        let fix = check(Verdict::TooLow).fix.unwrap();
        assert_eq!(fix.now.as_deref(), Some("sysctl -w 'a.b=1 2'"));
        assert_eq!(fix.for_good.unwrap().line, "a.b = 1 2");
        assert_eq!(check(Verdict::Fits).fix, None);
        assert_eq!(check(Verdict::Unknown).fix, None);
    }

    #[test]
    fn json_says_numbers_as_numbers() {
        let check = Check::sysctl("files", "fs.nr_open")
            .value(Amount::Count(5))
            .stops(Stops::Connections(7));
        let json = serde_json::to_value(check).unwrap();
        assert_eq!(json["value"], 5);
        assert_eq!(json["where"], "/proc/sys/fs/nr_open");
        assert_eq!(json["verdict"], "fits");
        assert_eq!(json["stops"]["what"], "connections");
        assert_eq!(json["stops"]["at"], 7);
    }
}
