//! `run`: users that follow a scenario file.
//!
//! Each arriving user gets a session and walks its program, step by step, until
//! the program ends, an answer does not come, or the run is over.
//!
//! # Invariants worth naming
//!
//! - A user waits for one thing at a time, its [`Wait`]. Steps that take no time
//!   are done in the call that came to them, so a `receive` after a `send`
//!   listens before the message has left: no answer can be too early for it.
//! - No call takes more than [`STEPS_PER_CALL`] of such steps, and nothing is
//!   sent while the socket takes nothing. A user that pauses for either keeps
//!   the messages that come meanwhile, as if it had not read yet.
//! - An answer that comes leaves no timer: one for its timeout is kept for the
//!   next answer, so a user has hardly more than that and its think's.

mod crowd;
mod user;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use corecast::ws::{CloseCode, Message, OpCode};

pub use crowd::Crowd;
pub use user::User;

use crate::cause::Cause;
use crate::engine::{Context, End, Route, Scenario, Shared, Timed};
use crate::script::{Script, Session, Step, Template, Values};
use user::Wait;

/// Steps a user takes before others have their turn.
const STEPS_PER_CALL: u32 = 256;

/// One thread's part.
pub struct Scripted {
    script: Arc<Script>,
    /// Nanoseconds for an answer whose step names no time.
    timeout: u64,
    seed: u64,
    /// Users that wait for an answer.
    waiting: usize,
    /// The message that is being written, or looked for.
    text: Vec<u8>,
}

impl Scripted {
    /// A thread's part. A `receive` without a time of its own, and a ping, wait
    /// for `timeout`. The seed decides which user gets which session; it must
    /// be the same on all threads, and is best the one of the [`Crowd`].
    pub fn new(script: Arc<Script>, timeout: Duration, seed: u64) -> Self {
        Scripted {
            script,
            timeout: timeout.as_nanos() as u64,
            seed,
            waiting: 0,
            text: Vec::new(),
        }
    }

    fn session(&self, user: &User) -> &Session {
        &self.script.sessions[user.session as usize]
    }

    /// Takes steps until one has to be waited for.
    fn go_on(&mut self, user: &mut User, cx: &mut Context<'_>) {
        user.wait = Wait::Nothing;
        let program = &self.script.sessions[user.session as usize].program;
        let mut taken = 0;
        // In a run that is about to end, no user begins anything.
        while cx.phase.is_running() {
            let mut cursor = user.cursor;
            let Some(step) = cursor.next(program) else {
                return cx.close(CloseCode::NORMAL_CLOSURE);
            };
            let has_to_pause = match step {
                Step::Send { .. } => cx.is_blocked || taken >= STEPS_PER_CALL,
                // In a repeat, one that is over would keep us here as well.
                Step::Until(_) => taken >= STEPS_PER_CALL,
                _ => false,
            };
            if has_to_pause {
                user.wait = Wait::Room;
                return cx.wake_when_writable();
            }
            user.cursor = cursor;
            taken += 1;
            match step {
                Step::Send { message, is_binary } => {
                    let opcode = match is_binary {
                        true => OpCode::Binary,
                        false => OpCode::Text,
                    };
                    user.sent = user.sent.wrapping_add(1);
                    user.last_send = cx.now.max(1);
                    send(&self.script, message, opcode, user, &mut self.text, cx);
                }
                Step::Receive { expect, timeout } => {
                    let values = values(&self.script, user, cx);
                    let mut early = std::iter::from_fn(|| user.take_early());
                    if early.any(|message| expect.matches(&message, &values, &mut self.text)) {
                        continue;
                    }
                    let timeout = timeout.map_or(self.timeout, |time| time.as_nanos() as u64);
                    let deadline = cx.now + timeout;
                    self.waiting += 1;
                    return user.wait_for_answer(Wait::Message { deadline }, deadline, cx);
                }
                Step::Ping => {
                    // The pong returns the time.
                    cx.send(OpCode::Ping, &cx.now.to_be_bytes());
                    let deadline = cx.now + self.timeout;
                    self.waiting += 1;
                    let sent = cx.now;
                    return user.wait_for_answer(Wait::Pong { sent, deadline }, deadline, cx);
                }
                Step::Think(think) => {
                    let time = think.sample(cx.random.number()).as_nanos() as u64;
                    return user.wait_until(cx.now + time, cx);
                }
                Step::Until(time) => {
                    let time = time.as_nanos() as u64;
                    if time > cx.now {
                        return user.wait_until(time, cx);
                    }
                }
                Step::Close { code } => return cx.close(*code),
            }
        }
    }

    /// The answer is there.
    fn answered(&mut self, user: &mut User, cx: &mut Context<'_>) {
        self.waiting -= 1;
        self.go_on(user, cx);
    }

    /// The answer has not come in time: the user's session has failed.
    fn give_up(&mut self, user: &mut User, cx: &mut Context<'_>) {
        self.waiting -= 1;
        user.wait = Wait::Nothing;
        *cx.tally.lost.entry(Cause::AnswerTimeout).or_default() += 1;
        cx.close(CloseCode::NORMAL_CLOSURE);
    }
}

impl Scenario for Scripted {
    type State = User;

    fn connect(&mut self, number: u32) -> User {
        User::new(self.script.session_of(u64::from(number), self.seed))
    }

    fn route(&self, user: &User, number: u32) -> Route<'_> {
        let session = self.session(user);
        Route {
            path: session.path.as_ref(),
            room: Some(self.script.room(u64::from(number))),
            headers: &session.headers,
            subprotocol: session.subprotocol.as_deref(),
        }
    }

    fn start(&mut self, user: &mut User, cx: &mut Context<'_>) {
        self.go_on(user, cx);
    }

    fn message(&mut self, user: &mut User, message: Message<'_>, cx: &mut Context<'_>) {
        match user.wait {
            Wait::Room => user.keep_early(message.as_bytes()),
            Wait::Message { .. } => {
                let program = &self.script.sessions[user.session as usize].program;
                let Some(Step::Receive { expect, .. }) = user.cursor.current(program) else {
                    return;
                };
                let values = values(&self.script, user, cx);
                if expect.matches(message.as_bytes(), &values, &mut self.text) {
                    if user.last_send > 0 {
                        cx.record(Timed::Reply, user.last_send);
                    }
                    self.answered(user, cx);
                }
            }
            // No step waits for it; its arrival has been counted.
            _ => {}
        }
    }

    fn pong(&mut self, user: &mut User, payload: &[u8], cx: &mut Context<'_>) {
        match user.wait {
            Wait::Pong { sent, .. } if payload == sent.to_be_bytes() => {
                cx.record(Timed::Heartbeat, sent);
                self.answered(user, cx);
            }
            _ => {}
        }
    }

    fn woken(&mut self, user: &mut User, cx: &mut Context<'_>) {
        user.forget_past_alarm(cx);
        match user.wait {
            Wait::Message { deadline } | Wait::Pong { deadline, .. } => {
                if deadline > cx.now {
                    user.set_alarm(deadline, cx);
                } else {
                    self.give_up(user, cx);
                }
            }
            Wait::Time { until } if until > cx.now => {}
            Wait::Time { .. } | Wait::Room => self.go_on(user, cx),
            Wait::Nothing => {}
        }
    }

    fn ended(&mut self, user: &mut User, _end: End, _cx: &mut Context<'_>) {
        if user.waits_for_answer() {
            self.waiting -= 1;
            user.wait = Wait::Nothing;
        }
    }

    fn is_settled(&self, _shared: &Shared) -> bool {
        self.waiting == 0
    }
}

/// Sends a message; one without placeholders is not even copied.
fn send(
    script: &Script,
    message: &Template,
    opcode: OpCode,
    user: &User,
    text: &mut Vec<u8>,
    cx: &mut Context<'_>,
) {
    if let Some(fixed) = message.as_fixed() {
        return cx.send(opcode, fixed);
    }
    let values = Values {
        now_ms: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64),
        random: cx.random.number(),
        ..values(script, user, cx)
    };
    text.clear();
    message.render(text, &values);
    cx.send(opcode, text);
}

/// The values of placeholders, but for those that are new each time.
fn values(script: &Script, user: &User, cx: &Context<'_>) -> Values {
    let number = u64::from(cx.number);
    Values {
        connection: number,
        user: number,
        room: script.room(number),
        sequence: u64::from(user.sent),
        ..Values::default()
    }
}
