//! The conversion of a script as written into a script as run. A script that
//! comes through here is valid: the engine checks nothing again.

mod steps;

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::Problem;
use super::raw::{Count, RawPhase, RawScript, RawSession, Time};
use super::{DEFAULT_TIMEOUT, MAX_RATE, MAX_TIME, MAX_WEIGHT, Phase, Script, Session};
use crate::target::{PathTemplate, Target, check_header};

type Converted<T> = Result<T, Problem>;

impl Script {
    pub(super) fn of_raw(raw: RawScript) -> Converted<Script> {
        let name = not_empty(&raw.name, "name")?;
        let mut targets = Vec::new();
        for target in &raw.targets {
            let url = target.get_ref();
            Target::check(url).map_err(|error| Problem::new(target.span(), error.to_string()))?;
            targets.push(url.clone());
        }
        let timeout = match &raw.timeout {
            Some(timeout) => positive_time(timeout, "timeout")?,
            None => DEFAULT_TIMEOUT,
        };
        let duration = match &raw.duration {
            Some(duration) => Some(positive_time(duration, "duration")?),
            None => None,
        };
        let rooms = match &raw.rooms {
            Some(rooms) => positive(rooms, "rooms", u64::MAX)?,
            None => 1,
        };

        let everywhere = 0..0;
        if raw.phase.is_empty() {
            return Err(Problem::new(
                everywhere,
                "nobody ever arrives; write at least one [[phase]] with a duration and an \
                 arrival_rate",
            ));
        }
        if raw.session.is_empty() {
            return Err(Problem::new(
                everywhere,
                "nobody ever does anything; write at least one [[session]] with its steps",
            ));
        }
        let phases: Vec<Phase> = (1..)
            .zip(&raw.phase)
            .map(|(number, phase)| phase_of_raw(number, phase.get_ref()))
            .collect::<Converted<_>>()?;

        let may_last = raw.duration.is_some();
        let mut names = HashSet::new();
        let mut sessions = Vec::new();
        let first_session = raw.session[0].span();
        for (number, session) in (1..).zip(raw.session) {
            let span = match &session.get_ref().name {
                Some(name) => name.span(),
                None => session.span(),
            };
            let session = session_of_raw(number, session.into_inner(), may_last)?;
            if !names.insert(session.name.clone()) {
                return Err(Problem::new(
                    span,
                    format!(
                        "there is a session '{}' already; give each another name",
                        session.name
                    ),
                ));
            }
            sessions.push(session);
        }
        if sessions.iter().all(|session| session.weight == 0) {
            return Err(Problem::new(
                first_session,
                "every session has weight 0, so nobody has anything to do; give at least one a \
                 weight above 0",
            ));
        }

        Ok(Script {
            name,
            targets,
            timeout,
            duration,
            rooms,
            phases,
            sessions,
        })
    }
}

fn phase_of_raw(number: usize, raw: &RawPhase) -> Converted<Phase> {
    let max_users = match &raw.max_users {
        Some(users) => Some(positive(users, "max_users", u64::MAX)?),
        None => None,
    };
    let rate = raw.arrival_rate.get_ref().0;
    if !(rate > 0.0 && rate <= MAX_RATE) {
        return Err(Problem::new(
            raw.arrival_rate.span(),
            format!(
                "an arrival_rate of {rate} is not possible; write users per second, more than 0 \
                 and at most {MAX_RATE}"
            ),
        ));
    }
    Ok(Phase {
        name: raw
            .name
            .clone()
            .unwrap_or_else(|| format!("phase {number}")),
        duration: positive_time(&raw.duration, "duration")?,
        users_per_second: rate,
        arrival: raw.arrival,
        max_users,
    })
}

fn session_of_raw(number: usize, raw: RawSession, may_last: bool) -> Converted<Session> {
    let name = match &raw.name {
        Some(name) => not_empty(name, "name")?,
        None => format!("session {number}"),
    };
    let weight = match &raw.weight {
        Some(weight) => at_most(weight, "weight", MAX_WEIGHT)?,
        None => 1,
    };
    let path = match &raw.path {
        Some(path) => Some(
            PathTemplate::parse(path.get_ref())
                .map_err(|error| Problem::new(path.span(), error.to_string()))?,
        ),
        None => None,
    };
    let mut headers = Vec::new();
    for (name, value) in &raw.headers {
        check_header(name, value.get_ref())
            .map_err(|error| Problem::new(value.span(), error.to_string()))?;
        headers.push((name.clone(), value.get_ref().clone()));
    }
    let subprotocol = match &raw.subprotocol {
        Some(subprotocol) => Some(token(subprotocol)?),
        None => None,
    };
    Ok(Session {
        name,
        weight,
        path,
        headers,
        subprotocol,
        program: steps::program(raw.step, may_last)?,
    })
}

/// A subprotocol's name (RFC 6455 §4.1), checked as a header's value: a list of
/// them would be several offers.
fn token(text: &Spanned<String>) -> Converted<String> {
    let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    let value = text.get_ref();
    if value.is_empty() || !value.bytes().all(is_token) {
        return Err(Problem::new(
            text.span(),
            format!("'{value}' is not a subprotocol's name; write one word, as in \"chat\""),
        ));
    }
    Ok(value.clone())
}

fn not_empty(text: &Spanned<String>, key: &str) -> Converted<String> {
    let value = text.get_ref().trim();
    if value.is_empty() {
        return Err(Problem::new(text.span(), format!("the {key} is empty")));
    }
    Ok(value.to_owned())
}

/// A time above zero, and short enough to be meant.
fn positive_time(time: &Spanned<Time>, key: &str) -> Converted<Duration> {
    checked_time(time.span(), time.get_ref().0, key)
}

fn checked_time(span: Range<usize>, time: Duration, key: &str) -> Converted<Duration> {
    if time.is_zero() || time > MAX_TIME {
        let days = MAX_TIME.as_secs() / 86_400;
        return Err(Problem::new(
            span,
            format!("the {key} has to be longer than 0 and at most {days} days"),
        ));
    }
    Ok(time)
}

fn positive(count: &Spanned<Count>, key: &str, most: u64) -> Converted<u64> {
    match at_most(count, key, most)? {
        0 => Err(Problem::new(
            count.span(),
            format!("{key} has to be at least 1"),
        )),
        count => Ok(count),
    }
}

fn at_most(count: &Spanned<Count>, key: &str, most: u64) -> Converted<u64> {
    match count.get_ref().0 {
        count if count <= most => Ok(count),
        _ => Err(Problem::new(
            count.span(),
            format!("{key} has to be at most {most}"),
        )),
    }
}
