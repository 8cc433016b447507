//! The behaviour of a run's connections, one file per scenario.

mod broadcast;
mod churn;
mod echo;
mod flood;
mod idle;
mod rooms;
mod schedule;
mod scripted;

pub use broadcast::{Broadcast, BroadcastPlan};
pub use churn::Churn;
pub use echo::{Echo, Load};
pub use flood::Flood;
pub use idle::Idle;
pub use rooms::{Rooms, RoomsPlan};
pub use scripted::{Crowd, Scripted, User};
