//! What clients are told, whichever encoding they speak.

use super::code::Fault;
use super::presence::Member;
use super::subscriptions::Granted;

/// The reply to a command.
#[derive(Debug)]
pub(super) enum Reply<'a> {
    Fault(Fault),
    Connect {
        client: u128,
        /// Seconds until the token has to be refreshed, if it has to.
        ttl: Option<u32>,
        /// Seconds between the server's pings.
        ping: u32,
        /// The subscriptions that the token asks for.
        subs: &'a [Granted],
    },
    Subscribe {
        /// Seconds until the token has to be refreshed, if it has to.
        ttl: Option<u32>,
        /// The client has asked for what it missed; it gets nothing.
        was_recovering: bool,
    },
    Unsubscribe,
    Publish,
    Presence(&'a [&'a Member]),
    PresenceStats {
        clients: usize,
        users: usize,
    },
    Ping,
    Refresh {
        client: u128,
        ttl: Option<u32>,
    },
    SubRefresh {
        ttl: Option<u32>,
    },
}

/// Whether a member came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Movement {
    Join,
    Leave,
}

/// The name of the server in the reply to `connect`.
pub(super) const VERSION: &str = concat!("corecast ", env!("CARGO_PKG_VERSION"));

/// The text of a client's number: the form of a UUID, of the kind that is random.
pub(super) fn client_id(number: u128) -> String {
    let number = number & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let text = format!("{number:032x}");
    let (a, b, c, d, e) = (
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// The number of a client, from that text.
pub(super) fn client_number(id: &str) -> Option<u128> {
    u128::from_str_radix(&id.replace('-', ""), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{client_id, client_number};

    #[test]
    fn a_client_is_read_back() {
        let id = client_id(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(client_number(&id).map(client_id), Some(id));
        assert_eq!(client_number("x"), None);
    }

    #[test]
    fn a_client_has_a_uuid_of_version_4() {
        assert_eq!(client_id(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(client_id(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
