//! A shard as what its thread's loop turns.

use std::io;
use std::time::Duration;

use super::core::Core;
use crate::plane::Plane;
use crate::runtime::run::Turn;

impl Turn for Core {
    fn turn(&mut self) -> io::Result<bool> {
        let more = Core::turn(self)?;
        if self.is_draining() {
            self.leaving.ring();
        }
        Ok(more)
    }

    fn is_finished(&self) -> bool {
        Core::is_finished(self)
    }

    /// A session that is paused for its rate may go on although nothing comes in.
    fn until_due(&self) -> Option<Duration> {
        self.until_resume()
    }

    fn plane(&mut self) -> &mut dyn Plane {
        &mut *self.plane
    }
}
