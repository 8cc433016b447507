//! The command line, and the text of `--help` beyond the settings' own sentences.

use clap::CommandFactory;

use super::Typed;
use super::source::flags;

/// How `corecast serve --help` ends.
pub(super) const SERVE: &str = "\
Every option may also be given in the environment as CORECAST_ and its name in \
capitals (CORECAST_MAX_SESSIONS; lists with commas), or in the file of --config \
under its name with underscores (max_sessions = 1000000), routes as tables:

  [[routes]]
  path = \"/news\"
  handler = \"broadcast\"
  slow_consumer = \"drop\"
  publish = \"nobody\"

publish says which clients may: everyone, those with a token, or nobody. Settings of \
handlers are in the file only, and so are the tokens that are taken ([token]) and what \
clients may do in a topic, where the first pattern that matches counts:

  [[topics]]
  pattern = \"rooms:*\"
  join = \"everyone\"
  publish = \"everyone\"
  echo = true
  presence = true

A flag wins over the environment, the environment over the file. Sizes are bytes \
or have a unit (64KiB, 1MiB); times need one (500ms, 10s, 2m).";

/// The command line with a flag for every setting.
pub(super) fn command() -> clap::Command {
    Typed::command().mut_subcommand("serve", |serve| serve.args(flags()))
}
