//! What `--help` says beyond the options' own sentences: defaults and ranges,
//! from the tables that the parser and the checks use.

use clap::CommandFactory;

use super::print::value_of;
use super::source::option_of;
use super::{ServeOptions, Typed};
use crate::config::Range;

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
handlers are in the file only, such as the tokens they take ([handlers.broadcast.token]) \
and what the topics of Phoenix clients may do, where the first pattern that matches \
counts:

  [[handlers.phoenix.topics]]
  pattern = \"rooms:*\"
  join = \"everyone\"
  publish = \"everyone\"
  echo = true
  presence = true

A flag wins over the environment, the environment over the file. Sizes are bytes \
or have a unit (64KiB, 1MiB); times need one (500ms, 10s, 2m).";

/// The command line with each option's default and range added to its help.
pub(super) fn command() -> clap::Command {
    let defaults = ServeOptions::default();
    Typed::command().mut_subcommand("serve", |serve| {
        serve.mut_args(|arg| match default_of(arg.get_id().as_str(), &defaults) {
            Some(default) => {
                let help = arg.get_help().cloned().unwrap_or_default();
                let range = Range::of(&option_of(arg.get_id().as_str()))
                    .map_or(String::new(), |range| format!("; {range}"));
                arg.help(format!("{help} [default: {default}{range}]"))
            }
            None => arg,
        })
    })
}

/// An option's default in words.
fn default_of(key: &str, defaults: &ServeOptions) -> Option<String> {
    Some(match key {
        "config" | "print_config" | "help" => return None,
        "shards" => "one per core of --cpus".to_owned(),
        "origin" => "*".to_owned(),
        "busy_poll" => "0".to_owned(),
        "trusted_proxy" => "none".to_owned(),
        "routes" => "none".to_owned(),
        "demo" => "true where there is no route and --listen is a loopback address".to_owned(),
        key => match value_of(key, defaults)? {
            toml::Value::String(text) => text,
            value => value.to_string(),
        },
    })
}
