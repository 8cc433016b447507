//! Steps as a tree become a list with jumps.

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use corecast::ws::CloseCode;
use serde_json::Value;
use toml::Spanned;

use super::super::MAX_STEPS;
use super::super::error::Problem;
use super::super::expect::Expect;
use super::super::program::{MAX_DEPTH, Program, Step};
use super::super::raw::{Count, RawDistribution, RawReceive, RawRepeat, RawStep, RawThink};
use super::super::template::Template;
use super::super::think::Think;
use super::{Converted, checked_time, positive_time};

/// The program of one session; `may_last` when the whole script has an end, so
/// that a session needs none.
pub(super) fn program(steps: Vec<Spanned<RawStep>>, may_last: bool) -> Converted<Program> {
    let mut compiler = Compiler {
        program: Program::default(),
        depth: 0,
        may_last,
    };
    compiler.block(steps)?;
    Ok(compiler.program)
}

/// The properties of steps that have been compiled.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    /// How many steps a user takes in it, without the endless ones.
    steps: u64,
    /// There is one among them that takes time.
    pauses: bool,
    /// Nothing can come after it, because of this.
    end: Option<End>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Closed,
    Endless,
}

struct Compiler {
    program: Program,
    /// Repeats around the current step.
    depth: usize,
    may_last: bool,
}

impl Compiler {
    fn block(&mut self, steps: Vec<Spanned<RawStep>>) -> Converted<Block> {
        let mut block = Block::default();
        for step in steps {
            let span = step.span();
            match block.end {
                None => {}
                Some(End::Closed) => {
                    return Err(Problem::new(
                        span,
                        "nothing can be done after close; take this step out, or move it before",
                    ));
                }
                Some(End::Endless) => {
                    return Err(Problem::new(
                        span,
                        "nothing is ever done after repeat = \"forever\"; take this step out, or \
                         move it before",
                    ));
                }
            }
            let this = self.step(span.clone(), step.into_inner())?;
            block.steps = block.steps.saturating_add(this.steps);
            block.pauses |= this.pauses;
            block.end = this.end;
            if block.steps > MAX_STEPS {
                return Err(Problem::new(
                    span,
                    format!(
                        "with this a user takes {} steps, more than {MAX_STEPS}; repeat less \
                         often, or write repeat = \"forever\" and a duration for the whole script",
                        block.steps
                    ),
                ));
            }
        }
        Ok(block)
    }

    fn step(&mut self, span: Range<usize>, raw: RawStep) -> Converted<Block> {
        let simple = [
            ("send", raw.send.map(send)),
            ("send_hex", raw.send_hex.map(send_hex)),
            ("receive", raw.receive.map(Spanned::into_inner).map(receive)),
            ("think", raw.think.map(|time| think(time).map(Step::Think))),
            (
                "until",
                raw.until
                    .map(|time| positive_time(&time, "until").map(Step::Until)),
            ),
            ("ping", raw.ping.map(ping)),
            ("close", raw.close.map(close)),
        ];
        let mut given: Vec<(&str, Converted<Step>)> = simple
            .into_iter()
            .filter_map(|(key, step)| step.map(|step| (key, step)))
            .collect();
        let repeat = raw.repeat.is_some().then_some("repeat");
        let keys: Vec<&str> = given.iter().map(|(key, _)| *key).chain(repeat).collect();
        if let [one, two, ..] = keys[..] {
            return Err(Problem::new(
                span,
                format!("a step does one thing, not {one} and {two}; write a step for each"),
            ));
        }
        match (given.pop(), raw.repeat, raw.steps) {
            (None, Some(times), steps) => self.repeat(times, steps),
            (_, _, Some(steps)) => Err(Problem::new(
                steps.span(),
                "steps are what is repeated; write repeat = N beside them",
            )),
            (None, None, None) => Err(Problem::new(
                span,
                "this step does nothing; write one of send, send_hex, receive, think, \
                 until, ping, close or repeat",
            )),
            (Some((_, step)), ..) => {
                let step = step?;
                let block = Block {
                    steps: 1,
                    pauses: !step.is_immediate(),
                    end: matches!(step, Step::Close { .. }).then_some(End::Closed),
                };
                self.program.push(step);
                Ok(block)
            }
        }
    }

    fn repeat(
        &mut self,
        times: Spanned<RawRepeat>,
        steps: Option<Spanned<Vec<Spanned<RawStep>>>>,
    ) -> Converted<Block> {
        let span = times.span();
        let problem = |text: String| Problem::new(span.clone(), text);
        let count = match times.into_inner() {
            RawRepeat::Forever => None,
            RawRepeat::Times(count) => {
                let count = u32::try_from(count).ok().and_then(NonZeroU32::new);
                Some(count.ok_or_else(|| {
                    problem(format!(
                        "repeat is a number of times from 1 to {}, or \"forever\"",
                        u32::MAX
                    ))
                })?)
            }
        };
        let steps = steps.map(Spanned::into_inner).unwrap_or_default();
        if steps.is_empty() {
            return Err(problem(
                "there is nothing to repeat; write steps = [ … ] beside it, or \
                 [[session.step.steps]] below"
                    .into(),
            ));
        }
        if self.depth == MAX_DEPTH {
            return Err(problem(format!(
                "repeats can be nested {MAX_DEPTH} deep at most"
            )));
        }
        self.depth += 1;
        let begin = self.program.begin_repeat(count);
        let body = self.block(steps)?;
        self.program.end_repeat(begin);
        self.depth -= 1;

        match body.end {
            Some(End::Closed) => {
                return Err(problem(
                    "close ends a user's session, so it cannot be repeated; move it behind the \
                     repeat"
                        .into(),
                ));
            }
            Some(End::Endless) => {
                return Err(problem(
                    "what is repeated never ends, so it is never repeated; take this repeat away"
                        .into(),
                ));
            }
            None => {}
        }
        let Some(count) = count else {
            if !body.pauses {
                return Err(problem(
                    "an endless program without a pause; put a think, a receive or a ping among \
                     its steps"
                        .into(),
                ));
            }
            if !self.may_last {
                return Err(problem(
                    "an endless program needs an end from outside; write a duration for the whole \
                     script, as in duration = \"10m\" above the first [[phase]]"
                        .into(),
                ));
            }
            return Ok(Block {
                end: Some(End::Endless),
                ..body
            });
        };
        Ok(Block {
            steps: body.steps.saturating_mul(u64::from(count.get())),
            ..body
        })
    }
}

fn send(text: Spanned<String>) -> Converted<Step> {
    Ok(Step::Send {
        message: template(&text)?,
        is_binary: false,
    })
}

fn send_hex(text: Spanned<String>) -> Converted<Step> {
    Ok(Step::Send {
        message: Template::of_bytes(hex(&text)?),
        is_binary: true,
    })
}

fn ping(ping: Spanned<bool>) -> Converted<Step> {
    match ping.get_ref() {
        true => Ok(Step::Ping),
        false => Err(Problem::new(
            ping.span(),
            "ping = false does nothing; write ping = true, or take the step out",
        )),
    }
}

fn close(code: Spanned<Count>) -> Converted<Step> {
    let number = code.get_ref().0;
    u16::try_from(number)
        .ok()
        .and_then(CloseCode::new)
        .map(|code| Step::Close { code })
        .ok_or_else(|| {
            Problem::new(
                code.span(),
                format!(
                    "{number} is not a close code that may be sent; write 1000, or one from 3000 \
                     to 4999"
                ),
            )
        })
}

fn template(text: &Spanned<String>) -> Converted<Template> {
    Template::parse(text.get_ref()).map_err(|error| Problem::new(text.span(), error.to_string()))
}

/// Bytes as pairs of digits; spaces and line breaks between pairs are free.
fn hex(text: &Spanned<String>) -> Converted<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .get_ref()
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .map(|character| character.to_digit(16).map(|digit| digit as u8))
        .collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => Ok(digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()),
        _ => Err(Problem::new(
            text.span(),
            "send_hex takes two hexadecimal digits for each byte, as in \"00ff 1a\"",
        )),
    }
}

fn receive(raw: RawReceive) -> Converted<Step> {
    let timeout: Option<Duration> = match &raw.timeout {
        Some(timeout) => Some(positive_time(timeout, "timeout")?),
        None => None,
    };
    let expect = match (raw.contains, raw.json, raw.equals) {
        (None, None, None) => Expect::Any,
        (Some(text), None, None) => {
            let wanted = template(&text)?;
            if wanted.is_unforeseeable() {
                return Err(Problem::new(
                    text.span(),
                    "{now_ms} and {random:N} are new each time, so nothing can be waited for by \
                     them",
                ));
            }
            Expect::Contains(wanted)
        }
        (None, Some(pointer), Some(equals)) => Expect::Json {
            pointer: json_pointer(&pointer)?,
            equals: json_value(equals)?,
        },
        (None, Some(lone), None) => {
            return Err(Problem::new(
                lone.span(),
                "json says where to look; write equals = VALUE beside it",
            ));
        }
        (None, None, Some(lone)) => {
            return Err(Problem::new(
                lone.span(),
                "equals says what to look for; write json = \"/POINTER\" beside it",
            ));
        }
        (Some(text), ..) => {
            return Err(Problem::new(
                text.span(),
                "a message is looked for by contains, or by json and equals, not by both",
            ));
        }
    };
    Ok(Step::Receive { expect, timeout })
}

fn json_pointer(pointer: &Spanned<String>) -> Converted<String> {
    let text = pointer.get_ref();
    if !text.is_empty() && !text.starts_with('/') {
        return Err(Problem::new(
            pointer.span(),
            format!(
                "'{text}' is not a JSON pointer; it starts with '/', as in \"/payload/status\""
            ),
        ));
    }
    Ok(text.clone())
}

fn json_value(value: Spanned<toml::Value>) -> Converted<Value> {
    let span = value.span();
    match value.into_inner() {
        toml::Value::String(text) => Ok(text.into()),
        toml::Value::Integer(number) => Ok(number.into()),
        toml::Value::Float(number) => Ok(number.into()),
        toml::Value::Boolean(value) => Ok(value.into()),
        _ => Err(Problem::new(
            span,
            "equals is a text, a number, true or false",
        )),
    }
}

fn think(raw: Spanned<RawThink>) -> Converted<Think> {
    let span = raw.span();
    let table = match raw.into_inner() {
        RawThink::Fixed(time) => return checked_time(span, time, "think").map(Think::Fixed),
        RawThink::Table(table) => table,
    };
    match table {
        RawDistribution {
            mean: Some(mean),
            distribution: _,
            from: None,
            to: None,
        } => positive_time(&mean, "mean").map(|mean| Think::Exponential { mean }),
        RawDistribution {
            mean: None,
            distribution: None,
            from: Some(from),
            to: Some(to),
        } => {
            let to_span = to.span();
            let (from, to) = (from.into_inner().0, positive_time(&to, "to")?);
            if from > to {
                return Err(Problem::new(
                    to_span,
                    "this think ends before it begins; write the shorter time at from, the longer \
                     at to",
                ));
            }
            Ok(Think::Uniform { from, to })
        }
        _ => Err(Problem::new(
            span,
            "a think is a time as in \"30s\", or { mean = \"3s\", distribution = \
             \"exponential\" }, or { from = \"1s\", to = \"5s\" }",
        )),
    }
}
