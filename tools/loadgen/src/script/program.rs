//! The steps of a user, as a list with jumps.
//!
//! A scenario may have a million users, so the memory for the place of each in
//! the program is a [`Cursor`] of a few words and nothing else.
//!
//! # Invariants worth naming
//!
//! - Every [`Instruction::RepeatEnd`] points at its own
//!   [`Instruction::RepeatBegin`], and there is at least one step between them.
//! - Repeats are nested [`MAX_DEPTH`] deep at most.
//! - Nothing comes after a [`Step::Close`] or after a repeat without end.

use std::num::NonZeroU32;
use std::time::Duration;

use corecast::ws::CloseCode;

use super::expect::Expect;
use super::template::Template;
use super::think::Think;

/// How deep repeats may be nested.
pub const MAX_DEPTH: usize = 4;

/// Something a user does.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Sends a message.
    Send {
        /// The message.
        message: Template,
        /// Whether it is a binary message rather than text.
        is_binary: bool,
    },
    /// Waits for a message.
    Receive {
        /// Which one.
        expect: Expect,
        /// How long at most; the script's [`timeout`](super::Script::timeout)
        /// if none.
        timeout: Option<Duration>,
    },
    /// Does nothing for a while, and reads the messages that come.
    Think(Think),
    /// As [`Step::Think`], until this time since the run began; no time at all
    /// when that is over. Users that wait for the same time go on together.
    Until(Duration),
    /// Sends a ping and waits for its pong, for the script's
    /// [`timeout`](super::Script::timeout) at most.
    Ping,
    /// Ends the connection with a close frame.
    Close {
        /// The code.
        code: CloseCode,
    },
}

impl Step {
    /// Whether a user that repeats only steps like this one would at last never
    /// pause.
    pub(super) fn is_immediate(&self) -> bool {
        matches!(
            self,
            Step::Send { .. } | Step::Until(_) | Step::Close { .. }
        )
    }
}

/// A step, or where a repeat begins or ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Instruction {
    /// One step.
    Step(Step),
    /// The steps that follow, up to the matching end, are done `count` times,
    /// or without end.
    RepeatBegin {
        /// How often.
        count: Option<NonZeroU32>,
    },
    /// The end of the repeated steps.
    RepeatEnd {
        /// The index of the matching [`Instruction::RepeatBegin`].
        begin: u32,
    },
}

/// The program of the users of one kind. When it ends, they close with 1000.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    /// All of it.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The steps in the order written, each once.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.instructions
            .iter()
            .filter_map(|instruction| match instruction {
                Instruction::Step(step) => Some(step),
                _ => None,
            })
    }

    pub(super) fn push(&mut self, step: Step) {
        self.instructions.push(Instruction::Step(step));
    }

    pub(super) fn begin_repeat(&mut self, count: Option<NonZeroU32>) -> u32 {
        let begin = self.instructions.len();
        self.instructions.push(Instruction::RepeatBegin { count });
        u32::try_from(begin).expect("a script is smaller than four billion steps")
    }

    pub(super) fn end_repeat(&mut self, begin: u32) {
        self.instructions.push(Instruction::RepeatEnd { begin });
    }
}

/// The position of one user in its program.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    /// The next instruction.
    at: u32,
    /// Repeats the user is in.
    depth: u8,
    /// For each of them, how often it is still to be done; `None` is without end.
    left: [Option<NonZeroU32>; MAX_DEPTH],
}

impl Cursor {
    /// The step the user has come to last, or `None` before the first.
    ///
    /// It has to be the same program every time.
    pub fn current<'p>(&self, program: &'p Program) -> Option<&'p Step> {
        let last = self.at.checked_sub(1)?;
        match program.instructions.get(last as usize)? {
            Instruction::Step(step) => Some(step),
            _ => None,
        }
    }

    /// The user's next step, or `None` at the end of the program.
    ///
    /// It has to be the same program every time.
    pub fn next<'p>(&mut self, program: &'p Program) -> Option<&'p Step> {
        loop {
            let instruction = program.instructions.get(self.at as usize)?;
            self.at += 1;
            match *instruction {
                Instruction::Step(ref step) => return Some(step),
                Instruction::RepeatBegin { count } => {
                    self.left[usize::from(self.depth)] = count;
                    self.depth += 1;
                }
                Instruction::RepeatEnd { begin } => {
                    let left = &mut self.left[usize::from(self.depth - 1)];
                    match left.map(|left| NonZeroU32::new(left.get() - 1)) {
                        // That was the last time.
                        Some(None) => self.depth -= 1,
                        again => {
                            *left = again.flatten();
                            self.at = begin + 1;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A program before it is made a list: the oracle walks it by recursion.
    #[derive(Debug, Clone)]
    enum Tree {
        Leaf(u16),
        Repeat(u32, Vec<Tree>),
    }

    fn leaf(number: u16) -> Step {
        Step::Think(Think::Fixed(Duration::from_millis(u64::from(number))))
    }

    fn flatten(trees: &[Tree], program: &mut Program) {
        for tree in trees {
            match tree {
                Tree::Leaf(number) => program.push(leaf(*number)),
                Tree::Repeat(count, body) => {
                    let begin = program.begin_repeat(NonZeroU32::new(*count));
                    flatten(body, program);
                    program.end_repeat(begin);
                }
            }
        }
    }

    fn walk(trees: &[Tree], steps: &mut Vec<Step>) {
        for tree in trees {
            match tree {
                Tree::Leaf(number) => steps.push(leaf(*number)),
                Tree::Repeat(count, body) => (0..*count).for_each(|_| walk(body, steps)),
            }
        }
    }

    fn trees() -> impl Strategy<Value = Vec<Tree>> {
        let leaf = any::<u16>().prop_map(Tree::Leaf);
        let tree = leaf.prop_recursive(MAX_DEPTH as u32, 24, 3, |inner| {
            (1u32..4, prop::collection::vec(inner, 1..4))
                .prop_map(|(count, body)| Tree::Repeat(count, body))
        });
        prop::collection::vec(tree, 0..4)
    }

    proptest! {
        #[test]
        fn a_cursor_takes_the_steps_in_the_order_of_the_tree(trees in trees()) {
            let (mut program, mut expected) = (Program::default(), Vec::new());
            flatten(&trees, &mut program);
            walk(&trees, &mut expected);
            let mut cursor = Cursor::default();
            prop_assert_eq!(cursor.current(&program), None);
            for step in &expected {
                prop_assert_eq!(cursor.next(&program), Some(step));
                prop_assert_eq!(cursor.current(&program), Some(step));
            }
            prop_assert_eq!(cursor.next(&program), None);
        }
    }

    #[test]
    fn a_repeat_without_end_goes_on() {
        let mut program = Program::default();
        let begin = program.begin_repeat(None);
        program.push(leaf(1));
        program.end_repeat(begin);
        let mut cursor = Cursor::default();
        for _ in 0..100 {
            assert_eq!(cursor.next(&program), Some(&leaf(1)));
        }
    }

    #[test]
    fn a_million_users_remember_little() {
        assert!(size_of::<Cursor>() <= 24);
    }
}
