//! Every limit and size in one place.
//!
//! None of them can be set from outside: a baseline that could be tuned per
//! run would be a different program in each report. There are two baselines,
//! the two styles.

use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Connections that may wait to be accepted; the kernel lowers it to
/// `net.core.somaxconn`.
pub const BACKLOG: u32 = 65_535;

/// Time to send a whole request head.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest request head.
pub const MAX_HEAD_BYTES: usize = 8 * 1024;

/// The largest message, and the largest frame.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The buffer that tungstenite allocates for each connection, clears and fills
/// with one read. The crate's documentation has the results of other sizes.
pub const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Collected bytes that leave without waiting for a flush.
pub const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// Publications that may wait for one subscriber.
pub const QUEUE_MESSAGES: usize = 1024;

/// How often a publisher that waits for room looks whether a subscriber has
/// stopped reading.
pub const STUCK_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Time to say goodbye to a peer that did something wrong.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long accepting pauses when descriptors or memory have run out.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How the server uses its library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Style {
    /// With buffers for many connections, and one flush for all that waits.
    #[default]
    Tuned,
    /// As the library's examples have it: its own buffers, each message flushed
    /// by itself.
    Plain,
}

/// tungstenite's share of the above.
pub fn web_socket(style: Style) -> WebSocketConfig {
    let own = WebSocketConfig::default();
    if style == Style::Plain {
        return own;
    }
    own.read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        // A feed waits while earlier bytes are stuck, so one message is the most
        // that comes on top; a pong and a close frame need the rest.
        .max_write_buffer_size(WRITE_BUFFER_BYTES + MAX_MESSAGE_BYTES + 1024)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}
