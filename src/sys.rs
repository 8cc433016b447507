//! The system calls the server makes itself, each behind a safe function.
//!
//! `unsafe` of the product lives here and in [`crate::plane`]; everything above sees
//! a [`Socket`] or an [`EventFd`] and never a number. The calls are `rustix`'s, which
//! has them without `unsafe` and cheaper than libc (`docs/tried.md`); libc is
//! for what rustix has not.

mod descriptors;
mod event;
mod listener;
mod process;
mod readiness;
mod runtime_socket;
mod signals;
mod socket;

use std::io;

pub(crate) use descriptors::DescriptorTables;
pub use descriptors::{inode, leave_to_child, take_inherited, unshare_files};
pub use event::EventFd;
pub use listener::{
    accept, bind_shared, bind_shared_v6_only, is_v6_only_by_default, listen, listen_unix,
    prefer_core, shut_out, stop_listening,
};
pub use process::{raise_descriptor_limit, use_small_pages};
pub(crate) use readiness::is_readable;
pub use readiness::{takes_bytes, wait_until_readable};
pub(crate) use runtime_socket::{RuntimeSocket, take_back};
pub use signals::{Signal, StopSignals, ignore_stray_signals, send_signal};
pub use socket::{Socket, recv, send, shutdown_write};

/// Whether an error only says 'not now'.
pub fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
