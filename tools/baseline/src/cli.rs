//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Parser;

use crate::config::Style;

/// The conventional WebSocket server that corecast is measured against.
///
/// Paths: /echo, /broadcast, /ws and /ws/{user_id}; /healthz and /stats over
/// plain HTTP on the same port.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Where to listen; port 0 lets the kernel choose
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Worker threads of the runtime [default: the cores this process may use]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// How the WebSocket library is used
    #[arg(long, value_enum, default_value_t)]
    pub style: Style,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Options;

    #[test]
    fn the_definition_is_consistent() {
        Options::command().debug_assert();
    }
}
