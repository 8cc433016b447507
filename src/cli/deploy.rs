//! `corecast print`: the files of a deployment, for hosts without a checkout. They are
//! those of this repository, as they were when the program was built.

use std::str::FromStr;

use clap::{Args, Subcommand};
use corecast_host::SYSCTL_FILES;

const UNIT: &str = include_str!("../../tools/deploy/corecast.service");
const SECCOMP: &str = include_str!("../../tools/deploy/seccomp-io-uring.json");

/// What was typed.
#[derive(Debug, Args)]
pub(super) struct PrintArgs {
    #[command(subcommand)]
    what: Printed,
}

#[derive(Debug, Subcommand)]
enum Printed {
    /// The unit for systemd: /etc/systemd/system/corecast.service
    Unit,
    /// The kernel settings for a million connections: /etc/sysctl.d/60-corecast.conf
    Sysctl {
        /// One part of them, by its file's name or a word of it, such as ports
        part: Option<Part>,
    },
    /// The seccomp profile for containers, which lets io_uring through
    Seccomp,
}

/// One of the files in `sysctl/`.
#[derive(Debug, Clone, Copy)]
struct Part {
    text: &'static str,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = |name: &'static str| {
            let name = name.strip_suffix(".conf").unwrap_or(name);
            name.rsplit('-').next().unwrap_or(name)
        };
        let found = SYSCTL_FILES
            .iter()
            .find(|(name, _)| *name == text || word(name) == text);
        found.map(|(_, text)| Part { text }).ok_or_else(|| {
            let words: Vec<_> = SYSCTL_FILES.iter().map(|(name, _)| word(name)).collect();
            format!("'{text}' is no part of them; use {}", words.join(", "))
        })
    }
}

impl PrintArgs {
    /// The file's text.
    pub(super) fn text(&self) -> String {
        match &self.what {
            Printed::Unit => UNIT.to_owned(),
            Printed::Seccomp => SECCOMP.to_owned(),
            Printed::Sysctl { part: Some(part) } => part.text.to_owned(),
            Printed::Sysctl { part: None } => {
                let files = SYSCTL_FILES.iter().map(|(_, text)| *text);
                files.collect::<Vec<_>>().join("\n")
            }
        }
    }
}
