//! Every mistake is found at its place and explained in one line.

use super::*;

fn error(text: &str) -> String {
    match Script::from_toml(text, "test.toml") {
        Err(error) => error.to_string(),
        Ok(script) => panic!("{text} was accepted: {script:?}"),
    }
}

/// The error for a session with these lines, which start at line 7.
fn session_error(lines: &str) -> String {
    error(&format!("{HEAD}{lines}"))
}

fn assert_says(error: &str, words: &str) {
    assert!(error.contains(words), "'{words}' is not in: {error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn the_whole() {
    const PHASE: &str = "[[phase]]\nduration = '1s'\narrival_rate = 1\n";
    for (text, words) in [
        ("", "missing field `name`"),
        ("name = ", "test.toml:1:8: "),
        (
            "name = 'x'\nnmae = 1",
            "test.toml:2:1: unknown field `nmae`, expected one of `name`",
        ),
        ("name = ' '", "test.toml:1:8: the name is empty"),
        ("name = 'x'", "write at least one [[phase]]"),
        (
            &format!("name = 'x'\n{PHASE}"),
            "write at least one [[session]]",
        ),
        (
            "name = 'x'\ntimeout = 10",
            "test.toml:2:11: invalid type: integer `10`, expected a time, as in",
        ),
        (
            "name = 'x'\ntimeout = '10'",
            "test.toml:2:11: '10' is not a time; write a number and a unit",
        ),
        (
            "name = 'x'\ntimeout = '0s'",
            "test.toml:2:11: the timeout has to be longer than 0",
        ),
        ("name = 'x'\nduration = '10years'", "at most 365 days"),
        (
            "name = 'x'\nrooms = 0",
            "test.toml:2:9: rooms has to be at least 1",
        ),
        ("name = 'x'\nrooms = -1", "test.toml:2:9: -1 is negative"),
        ("name = 'x'\nrooms = 1.5", "expected a whole number"),
        (
            "name = 'x'\ntargets = ['ws://h/',\n  'http://h/']",
            "test.toml:3:3: 'http://h/' is not a WebSocket URL; did you mean ws://h/?",
        ),
        (&format!("name = 'ü'; {PHASE}"), "test.toml:1:11: "),
    ] {
        assert_says(&error(text), words);
    }
}

#[test]
fn phases() {
    for (lines, words) in [
        ("arrival_rate = 1", "missing field `duration`"),
        ("duration = '1s'", "missing field `arrival_rate`"),
        (
            "duration = '-1s'\narrival_rate = 1",
            ":3:12: '-1s' is not a time",
        ),
        (
            "duration = '0s'\narrival_rate = 1",
            ":3:12: the duration has to be longer than 0",
        ),
        (
            "duration = '1s'\narrival_rate = 0",
            ":4:16: an arrival_rate of 0 is not possible",
        ),
        (
            "duration = '1s'\narrival_rate = -0.5",
            ":4:16: an arrival_rate of -0.5 is not possible",
        ),
        (
            "duration = '1s'\narrival_rate = nan",
            "an arrival_rate of NaN is not possible",
        ),
        (
            "duration = '1s'\narrival_rate = inf",
            "more than 0 and at most 10000000",
        ),
        (
            "duration = '1s'\narrival_rate = '1/s'",
            "is not a rate per second like 0.5, 200 or 50k",
        ),
        (
            "duration = '1s'\narrival_rate = 1\narrival = 'poisson'",
            ":5:11: unknown variant `poisson`, expected `even` or `exponential`",
        ),
        (
            "duration = '1s'\narrival_rate = 1\nmax_users = 0",
            ":5:13: max_users has to be at least 1",
        ),
        (
            "duration = '1s'\narrival_rate = 1\nusers = 1",
            ":5:1: unknown field `users`",
        ),
    ] {
        let text = format!("name = 'x'\n[[phase]]\n{lines}\n[[session]]\n");
        assert_says(&error(&text), words);
    }
}

#[test]
fn sessions() {
    for (lines, words) in [
        ("weight = 0", "every session has weight 0"),
        ("weight = -1", ":7:10: -1 is negative"),
        (
            "weight = 2000000000",
            ":7:10: weight has to be at most 1000000000",
        ),
        ("path = 'ws'", ":7:8: a path starts with '/'"),
        ("path = '/{id}'", ":7:8: '{id}' is not a placeholder"),
        (
            "headers = { Host = 'x' }",
            ":7:20: the header 'Host' cannot be set",
        ),
        (
            "headers = { X = \"a\\nb\" }",
            ":7:17: the value of the header 'X' has a line break",
        ),
        (
            "subprotocol = 'a, b'",
            ":7:15: 'a, b' is not a subprotocol's name",
        ),
        (
            "name = 'a'\n[[session]]\nname = 'a'",
            ":9:8: there is a session 'a' already",
        ),
        ("weigth = 1", ":7:1: unknown field `weigth`"),
    ] {
        assert_says(&session_error(lines), words);
    }
}

#[test]
fn steps() {
    for (step, words) in [
        ("", "this step does nothing; write one of send, send_hex"),
        (
            "send = 'a', think = '1s'",
            "a step does one thing, not send and think",
        ),
        (
            "send = 'a', repeat = 2",
            "a step does one thing, not send and repeat",
        ),
        ("sent = 'a'", "unknown field `sent`"),
        ("send = '{usr}'", ":7:18: '{usr}' is not a placeholder"),
        ("send_hex = '0'", ":7:22: send_hex takes two"),
        ("send_hex = 'xy'", "as in \"00ff 1a\""),
        ("until = '0s'", ":7:19: the until has to be longer than 0"),
        ("ping = false", "ping = false does nothing"),
        ("close = 1005", "1005 is not a close code that may be sent"),
        ("close = 70000", "70000 is not a close code"),
        ("steps = [{ ping = true }]", "write repeat = N beside them"),
    ] {
        let error = session_error(&format!("step = [{{ {step} }}]"));
        assert_says(&error, words);
        assert_says(&error, "test.toml:7:");
    }
}

#[test]
fn receives() {
    for (receive, words) in [
        ("'ok'", "write \"any\", or { contains = 'ok' }"),
        ("1", "expected \"any\", or a table"),
        (
            "{ contain = 'ok' }",
            "unknown field `contain`, expected one of `contains`, `json`, `equals`, `timeout`",
        ),
        ("{ contains = '{x}' }", "'{x}' is not a placeholder"),
        ("{ contains = '{now_ms}' }", "nothing can be waited for"),
        ("{ contains = 'a', json = '/a', equals = 1 }", "not by both"),
        ("{ json = '/a' }", "write equals = VALUE"),
        ("{ equals = 1 }", "write json ="),
        ("{ json = 'a', equals = 1 }", "'a' is not a JSON pointer"),
        (
            "{ json = '/a', equals = [1] }",
            "equals is a text, a number",
        ),
        ("{ timeout = '0s' }", "the timeout has to be longer than 0"),
    ] {
        let error = session_error(&format!("step = [{{ receive = {receive} }}]"));
        assert_says(&error, words);
        assert_says(&error, "test.toml:7:");
    }
}

#[test]
fn thinks() {
    for (think, words) in [
        ("30", "expected a time as in \"30s\", or a table"),
        ("'0s'", "the think has to be longer than 0"),
        ("{}", "a think is a time as in"),
        ("{ mean = '1s', to = '1s' }", "a think is a time as in"),
        ("{ from = '1s' }", "a think is a time as in"),
        ("{ from = '2s', to = '1s' }", "ends before it begins"),
        (
            "{ from = '0s', to = '0s' }",
            "the to has to be longer than 0",
        ),
        (
            "{ mean = '1s', distribution = 'normal' }",
            "unknown variant `normal`, expected `exponential`",
        ),
        ("{ mean = '0s' }", "the mean has to be longer than 0"),
    ] {
        let error = session_error(&format!("step = [{{ think = {think} }}]"));
        assert_says(&error, words);
        assert_says(&error, "test.toml:7:");
    }
}

#[test]
fn repeats() {
    let five = "repeat = 2, steps = [{ repeat = 2, steps = [{ repeat = 2, steps = [{ repeat = 2, \
                steps = [{ repeat = 2, steps = [{ ping = true }] }] }] }] }]";
    for (step, words) in [
        ("repeat = 3", "there is nothing to repeat"),
        ("repeat = 3, steps = []", "there is nothing to repeat"),
        (
            "repeat = 0, steps = [{ ping = true }]",
            "from 1 to 4294967295, or \"forever\"",
        ),
        ("repeat = -3, steps = [{ ping = true }]", "-3 is negative"),
        (
            "repeat = 5000000000, steps = [{ ping = true }]",
            "from 1 to 4294967295",
        ),
        (
            "repeat = 'often', steps = [{ ping = true }]",
            "'often' is not a number of times",
        ),
        (
            "repeat = 2, steps = [{ close = 1000 }]",
            "cannot be repeated",
        ),
        (
            "repeat = 'forever', steps = [{ send = 'a' }]",
            "an endless program without a pause",
        ),
        (
            "repeat = 2, steps = [{ repeat = 'forever', steps = [{ ping = true }] }]",
            "is never repeated",
        ),
        (
            "repeat = 100000, steps = [{ repeat = 100000, steps = [{ ping = true }] }]",
            "a user takes 10000000000 steps, more than 1000000000",
        ),
        (five, "nested 4 deep at most"),
        (
            "close = 1000 }, { ping = true",
            "nothing can be done after close",
        ),
        (
            "repeat = 'forever', steps = [{ ping = true }] }, { ping = true",
            "nothing is ever done after repeat",
        ),
    ] {
        let error = session_error(&format!("step = [{{ {step} }}]"));
        assert_says(&error, words);
        assert_says(&error, "test.toml:7:");
    }
    let without_duration =
        format!("{HEAD}step = [{{ repeat = 'forever', steps = [{{ ping = true }}] }}]")
            .replace("duration = '1m'\n", "");
    assert_says(&error(&without_duration), "needs an end from outside");
}
