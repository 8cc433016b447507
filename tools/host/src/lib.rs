//! # corecast-host
//!
//! The state of a Linux host: its limits, memory, groups and the kernel's counters.
//! The `corecast` program judges by it, and the load generator explains by it what
//! stopped a run. Nothing here serves, and nothing here depends on the server:
//! facts that only its code knows are handed in ([`Settings`], [`doctor::Told`]).
//!
//! readings of the host × [`doctor::Asked`] → [`doctor`] → the first wall;
//! [`budget`] × [`plan::Question`] → [`plan`] → the needs of a load. Beside them:
//! [`cpus`] (lists of cores) and [`number`] (numbers as people write and read them).
//!
//! # Invariants worth naming
//!
//! - Every reading is optional. A file that is missing, hidden or of an unknown
//!   form gives `None` or the reason, never zero, so that no judgement is built
//!   on it.
//! - Reading is apart from parsing: each file has a function on its text, and
//!   that one is tested.
//! - All files are read below a [`Root`], so that a test can bring its own host.

pub mod budget;
pub mod cgroup;
mod clock;
pub mod cpus;
pub mod doctor;
mod established;
mod files;
mod limits;
mod memory;
pub mod number;
pub mod plan;
mod root;
mod settings;
pub mod tables;
mod tcp;
pub mod text;

pub use cgroup::{Bound, Group};
pub use clock::{page_bytes, process_time};
pub use established::EstablishedTable;
pub use files::SYSCTL_FILES;
pub use limits::{Conntrack, Descriptors, Limits, PortRange, TcpMemory, open_files};
pub use memory::{Memory, Sockets};
pub use root::{Reading, Root, Unread, sysctl_path};
pub use settings::Settings;
pub use tcp::TcpCounters;
