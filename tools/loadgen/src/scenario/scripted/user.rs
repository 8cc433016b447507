//! The state of one user.

use std::collections::VecDeque;

use crate::engine::Context;
use crate::script::Cursor;

/// Messages kept for one user while it pauses between two sends. More are
/// passed over, or an endless sender that is answered would fill the memory.
const MAX_EARLY: usize = 1_024;

/// A user on its way through its session's program.
#[derive(Debug)]
pub struct User {
    /// Which session it has.
    pub(super) session: u32,
    /// Messages it has sent.
    pub(super) sent: u32,
    pub(super) cursor: Cursor,
    pub(super) wait: Wait,
    /// When it last sent a message; 0 before the first.
    pub(super) last_send: u64,
    /// The next timer for a timeout; 0 for none.
    alarm: u64,
    early: Option<Box<Early>>,
}

/// The event that a user waits for. Times are nanoseconds of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: it has not begun, or does nothing any more.
    Nothing,
    /// The message of the step it has come to.
    Message { deadline: u64 },
    /// The pong to a ping.
    Pong { sent: u64, deadline: u64 },
    /// A time.
    Time { until: u64 },
    /// That it can send on.
    Room,
}

/// Messages that came while the user could not send on, in their order.
#[derive(Debug, Default)]
struct Early(VecDeque<Box<[u8]>>);

impl User {
    pub(super) fn new(session: usize) -> Self {
        User {
            session: session as u32,
            sent: 0,
            cursor: Cursor::default(),
            wait: Wait::Nothing,
            last_send: 0,
            alarm: 0,
            early: None,
        }
    }

    pub(super) fn waits_for_answer(&self) -> bool {
        matches!(self.wait, Wait::Message { .. } | Wait::Pong { .. })
    }

    /// Begins to wait for an answer.
    pub(super) fn wait_for_answer(&mut self, wait: Wait, deadline: u64, cx: &mut Context<'_>) {
        self.early = None;
        self.wait = wait;
        self.set_alarm(deadline, cx);
    }

    /// Begins to wait for a time.
    pub(super) fn wait_until(&mut self, until: u64, cx: &mut Context<'_>) {
        self.early = None;
        self.wait = Wait::Time { until };
        cx.wake_at(until);
    }

    /// Makes sure that the user is woken by then. Most answers come in time, so
    /// a timer for each of them would be one to throw away: one that fires
    /// before sets the next.
    pub(super) fn set_alarm(&mut self, deadline: u64, cx: &mut Context<'_>) {
        if self.alarm == 0 || self.alarm > deadline {
            self.alarm = deadline;
            cx.wake_at(deadline);
        }
    }

    /// Takes note that a timer has fired, if it was that one.
    pub(super) fn forget_past_alarm(&mut self, cx: &Context<'_>) {
        if self.alarm <= cx.now {
            self.alarm = 0;
        }
    }

    /// Keeps a message for the steps to come.
    pub(super) fn keep_early(&mut self, message: &[u8]) {
        let Early(messages) = &mut **self.early.get_or_insert_default();
        if messages.len() < MAX_EARLY {
            messages.push_back(message.into());
        }
    }

    /// The first message that was kept, if there is one.
    pub(super) fn take_early(&mut self) -> Option<Box<[u8]>> {
        self.early.as_mut()?.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_users_remember_little() {
        assert!(size_of::<User>() <= 80, "{}", size_of::<User>());
    }

    #[test]
    fn early_messages_are_kept_in_order_and_not_without_end() {
        let mut user = User::new(0);
        assert_eq!(user.take_early(), None);
        for number in 0..MAX_EARLY + 10 {
            user.keep_early(number.to_string().as_bytes());
        }
        for number in 0..MAX_EARLY {
            let expected: Box<[u8]> = number.to_string().into_bytes().into();
            assert_eq!(user.take_early(), Some(expected));
        }
        assert_eq!(user.take_early(), None);
    }
}
