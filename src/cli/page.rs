//! `docs/options.md`, written from the rows.

use std::fmt::Write;

use super::ServeOptions;
use super::settings::{Row, option_of};
use crate::config::setting::Reload;

/// How the page begins.
const TOP: &str = "\
# Options of `corecast serve`

<!-- Written from src/config/table.rs by `make options`; a test compares the two. -->

Each option is a flag, a variable and a key of the TOML file that `--config FILE` or \
`CORECAST_CONFIG` names. All three are called alike: `--max-sessions`, `CORECAST_MAX_SESSIONS` \
and `max_sessions`. A flag wins over a variable, a variable over the file, the file over the \
default. `corecast serve --print-config` prints what comes of them, each with its source, as a \
file that resolves to the same settings; it refuses what `corecast serve` would refuse.

A value is written alike in all three, and in the options of the tools beside the server:

| a value is | written | note |
|---|---|---|
| a number | `5000`, `5_000`, `50k`, `1.5M` | `k` is 1,000 and `M` 1,000,000 |
| a size | `65536`, `64KiB`, `1MiB`, `64kB` | bytes without a unit; `KiB` is 1,024 and `kB` 1,000. `64K` is refused, because it is read as either |
| a time | `500ms`, `10s`, `1m 30s` | a unit is needed, except for `0` |
| a list | with commas, or as an array in the file | flags may be repeated instead |

**SIGHUP** tells whether a running server takes another value when it reads its configuration \
again: *applies*, or only after a *restart* or a \
[hand-over](deployment.md#signals). The log names each key that has changed.
";

/// How the page ends.
const BOTTOM: &str = "
## Tables

`--route PATH=HANDLER` (`CORECAST_ROUTE`) adds, changes or takes away a path, as \
[Routes](serving.md#routes) says; in the file it is a list of tables, `[[routes]]`, with the keys \
`path`, `handler`, `slow_consumer` and `publish`. Routes need a restart.

The tables of handlers' settings, `[handlers.NAME]`, and the rights of clients, `[token]` and \
`[[topics]]`, are in the file only. SIGHUP applies the rights and the tables of `phoenix` and \
`centrifuge` for every join or command from then on, and reads all keys for tokens again; \
[Topics and their rules](protocols.md#topics-and-their-rules), \
[Phoenix Channels](protocols.md#phoenix-channels) and \
[The Centrifuge protocol](protocols.md#the-centrifuge-protocol) show them.
";

/// The whole page.
pub(super) fn page() -> String {
    let defaults = ServeOptions::default();
    let mut text = TOP.to_owned();
    let mut heading = "";
    for row in Row::all() {
        let about = row.about();
        if about.group != heading {
            heading = about.group;
            let _ = write!(
                text,
                "\n## {heading}\n\n| option | default | allowed | SIGHUP | what it is |\n\
                 |---|---|---|---|---|\n"
            );
        }
        let default = about
            .default
            .map_or_else(|| row.show_plain(&defaults), str::to_owned);
        let _ = writeln!(
            text,
            "| `--{}` | {} | {} | {} | {} |",
            option_of(about.key),
            default.replace('*', "`*`"),
            row.allowed(),
            match about.reload {
                Reload::Live => "applies",
                Reload::Restart => "restart",
            },
            about.sentences(),
        );
    }
    text.push_str(BOTTOM);
    text
}

#[cfg(test)]
mod tests {
    /// Without the control plane, `--admin` has another default.
    #[cfg(feature = "control")]
    #[test]
    fn the_page_in_the_documentation_is_current() {
        let written = include_str!("../../docs/options.md");
        let page = super::page();
        let differs = page.lines().zip(written.lines()).find(|(a, b)| a != b);
        assert!(
            page == written,
            "docs/options.md is stale; write it again with 'make options'; first: {differs:#?}"
        );
    }
}
