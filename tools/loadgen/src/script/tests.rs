//! The meaning of a script, and the error for one that is wrong.

mod problems;
mod shipped;

use super::*;

/// The beginning of every script here: one phase, and a session to be filled.
const HEAD: &str = "name = 'test'\nduration = '1m'\n\
                    [[phase]]\nduration = '2s'\narrival_rate = 3\n\
                    [[session]]\n";

fn script(text: &str) -> Script {
    Script::from_toml(text, "test.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// A session with these steps.
fn session(steps: &str) -> Session {
    script(&format!("{HEAD}{steps}")).sessions.remove(0)
}

#[test]
fn what_is_left_out_has_its_default() {
    let script =
        script("name = ' short '\n[[phase]]\nduration = '1m'\narrival_rate = 2.5\n[[session]]\n");
    let phase = Phase {
        name: "phase 1".into(),
        duration: Duration::from_secs(60),
        users_per_second: 2.5,
        arrival: Arrival::Exponential,
        max_users: None,
    };
    let session = Session {
        name: "session 1".into(),
        weight: 1,
        path: None,
        headers: Vec::new(),
        subprotocol: None,
        program: Program::default(),
    };
    let expected = Script {
        name: "short".into(),
        targets: Vec::new(),
        timeout: DEFAULT_TIMEOUT,
        duration: None,
        rooms: 1,
        phases: vec![phase],
        sessions: vec![session],
    };
    assert_eq!(script, expected);
}

#[test]
fn steps_become_instructions() {
    use std::num::NonZeroU32;

    let program = session(
        "step = [{ send = 'a{user}' }, { repeat = 2, steps = [{ repeat = 3, steps = [{ ping = true }] }] },
         { send_hex = '0aFF 00' }, { close = 4000 }]",
    )
    .program;
    let expected = [
        Instruction::Step(Step::Send {
            message: Template::parse("a{user}").unwrap(),
            is_binary: false,
        }),
        Instruction::RepeatBegin {
            count: NonZeroU32::new(2),
        },
        Instruction::RepeatBegin {
            count: NonZeroU32::new(3),
        },
        Instruction::Step(Step::Ping),
        Instruction::RepeatEnd { begin: 2 },
        Instruction::RepeatEnd { begin: 1 },
        Instruction::Step(Step::Send {
            message: Template::of_bytes(vec![0x0a, 0xff, 0]),
            is_binary: true,
        }),
        Instruction::Step(Step::Close {
            code: corecast::ws::CloseCode::new(4000).unwrap(),
        }),
    ];
    assert_eq!(program.instructions(), expected);
    assert_eq!(program.steps().count(), 4);
}

#[test]
fn messages_are_waited_for_in_three_ways() {
    let second = Duration::from_secs(1);
    for (raw, expect, timeout) in [
        ("'any'", Expect::Any, None),
        ("{ timeout = '1s' }", Expect::Any, Some(second)),
        (
            "{ contains = 'ok' }",
            Expect::Contains(Template::of_bytes(b"ok".to_vec())),
            None,
        ),
        (
            "{ json = '/a', equals = 1, timeout = '1s' }",
            Expect::Json {
                pointer: "/a".into(),
                equals: 1.into(),
            },
            Some(second),
        ),
        (
            "{ json = '', equals = true }",
            Expect::Json {
                pointer: String::new(),
                equals: true.into(),
            },
            None,
        ),
    ] {
        let session = session(&format!("step = [{{ receive = {raw} }}]"));
        let step = session.program.steps().next();
        assert_eq!(step, Some(&Step::Receive { expect, timeout }), "{raw}");
    }
}

#[test]
fn times_to_think_are_written_in_three_ways() {
    let second = Duration::from_secs(1);
    for (raw, think) in [
        ("'1s'", Think::Fixed(second)),
        ("{ mean = '1s' }", Think::Exponential { mean: second }),
        (
            "{ mean = '1s', distribution = 'exponential' }",
            Think::Exponential { mean: second },
        ),
        (
            "{ from = '0s', to = '1s' }",
            Think::Uniform {
                from: Duration::ZERO,
                to: second,
            },
        ),
    ] {
        let session = session(&format!("step = [{{ think = {raw} }}]"));
        let step = session.program.steps().next();
        assert_eq!(step, Some(&Step::Think(think)), "{raw}");
    }
}

#[test]
fn phases_follow_each_other() {
    let script = script(
        "name = 'x'
         [[phase]]\nduration = '2s'\narrival_rate = 2\narrival = 'even'
         [[phase]]\nduration = '10s'\narrival_rate = 1000\narrival = 'even'\nmax_users = 3
         [[phase]]\nduration = '1s'\narrival_rate = 0.1\narrival = 'even'
         [[session]]",
    );
    let times: Vec<u64> = script.arrivals(0).map(|at| at / 1_000_000).collect();
    assert_eq!(times, [0, 500, 1000, 1500, 2000, 2001, 2002, 12_000]);
    assert_eq!(script.expected_users(), 8);
    assert_eq!(script.arrival_time(), Duration::from_secs(13));
}

#[test]
fn random_arrivals_stay_within_their_phase() {
    let script = script(
        "name = 'x'
         [[phase]]\nduration = '10s'\narrival_rate = 1000
         [[phase]]\nduration = '10s'\narrival_rate = 1000\nmax_users = 5000
         [[session]]",
    );
    let times: Vec<u64> = script.arrivals(4).collect();
    assert!(times.is_sorted());
    let (first, second): (Vec<u64>, Vec<u64>) = times.iter().partition(|&&at| at < 10_000_000_000);
    assert!(first.len().abs_diff(10_000) < 400, "{}", first.len());
    assert_eq!(second.len(), 5000);
    assert_eq!(script.expected_users(), 15_000);
    let begins = [first[0], second[0] - 10_000_000_000];
    assert_ne!(begins[0], begins[1], "the phases repeat each other");
}

#[test]
fn sessions_are_picked_by_weight() {
    let script = script(&format!(
        "{HEAD}weight = 1\n[[session]]\nweight = 0\n[[session]]\nweight = 3\n"
    ));
    let step = 1u64 << 56;
    let mut picked = [0; 3];
    for number in 0..256 {
        picked[script.pick_session(number * step)] += 1;
    }
    assert_eq!(picked, [64, 0, 192]);
    assert_eq!(script.pick_session(0), 0);
    assert_eq!(script.pick_session(u64::MAX), 2);
}

#[test]
fn a_user_keeps_its_session_with_the_seed() {
    let script = script(&format!("{HEAD}weight = 1\n[[session]]\nweight = 3\n"));
    let sessions = |seed| -> Vec<usize> {
        (0..4_000)
            .map(|user| script.session_of(user, seed))
            .collect()
    };
    let first = sessions(1);
    assert_eq!(first, sessions(1));
    assert_ne!(first, sessions(2));
    let of_the_second: usize = first.iter().sum();
    assert!(of_the_second.abs_diff(3_000) < 120, "{of_the_second}");
}

#[test]
fn users_are_spread_over_the_rooms() {
    let script = script(&format!("rooms = 3\n{HEAD}"));
    let rooms: Vec<u64> = (0..5).map(|user| script.room(user)).collect();
    assert_eq!(rooms, [0, 1, 2, 0, 1]);
}

#[test]
fn a_file_that_is_not_there() {
    let error = Script::read(Path::new("no/such.toml")).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("no/such.toml: the scenario file cannot be read: "));
}
