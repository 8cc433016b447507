//! The settings that the server passes to `corecast-host`, which does not know it.

use corecast_host::{Reading, Root, Settings, Unread};

use crate::config::Config;
use crate::plane::uring;

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let endpoints = config.listen.iter().map(|endpoint| endpoint.address);
        let addresses = endpoints.chain(config.admin);
        Settings {
            backlog: config.backlog.into(),
            ports: addresses.map(|address| address.port()).collect(),
            max_sessions: config.max_sessions as u64,
            max_sessions_per_shard: config.max_sessions_per_shard as u64,
            max_connections_per_source: config.max_connections_per_source as u64,
            max_message_bytes: config.max_message_bytes as u64,
            max_pending_bytes: config.max_pending_bytes as u64,
            ping_interval: config.ping_interval,
        }
    }
}

/// Sets up a ring with all a shard needs, enters it and throws it away; not where
/// `root` only stands for a host.
pub(super) fn ring(root: &Root) -> Reading<Result<(), String>> {
    match root.is_real() {
        true => Ok(uring::probe().map_err(|error| error.to_string())),
        false => Err(Unread::new("no ring was tried")),
    }
}

#[cfg(test)]
mod tests {
    use corecast_host::budget::wire::header_bytes;
    use corecast_host::plan::Question;

    use super::*;
    use crate::ws::{FrameHeader, OpCode};

    /// The plan counts headers without the codec.
    #[test]
    fn the_plan_counts_the_header_that_the_codec_writes() {
        for payload in [0, 125, 126, 65_535, 65_536, 1 << 30] {
            for from_client in [false, true] {
                let header = FrameHeader {
                    fin: true,
                    opcode: OpCode::Binary,
                    mask: from_client.then_some([0; 4]),
                    payload_len: payload,
                };
                let written = header.encode().1 as u64;
                assert_eq!(header_bytes(payload, from_client), written, "{payload}");
            }
        }
    }

    #[test]
    fn a_plan_begins_with_the_servers_defaults() {
        let defaults = Settings::from(&Config::of_program());
        assert_eq!(Question::new(1).ping_interval, Some(defaults.ping_interval));
        assert!(defaults.max_sessions_per_shard >= 1_000_000);
        assert!(defaults.ports.contains(&8080));
    }

    #[test]
    fn no_ring_is_tried_for_a_host_that_is_a_directory() {
        let error = ring(&Root::at("/nonexistent")).unwrap_err();
        assert_eq!(error.to_string(), "no ring was tried");
    }
}
