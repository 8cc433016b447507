//! The scenario files that come with the tool are right, and those after the
//! seed documents have the seeds' numbers.

use std::path::PathBuf;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn shipped(name: &str) -> Script {
    Script::read(&folder().join(name)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_file_is_read_and_says_what_it_is() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} has no comment", path.display());
        let script = Script::read(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(!script.targets.is_empty(), "{}", path.display());
        assert!(script.arrivals(1).next().is_some(), "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn the_lobby_is_that_of_the_tsung_file() {
    let script = shipped("seed-phoenix-lobby.toml");
    assert_eq!(script.expected_users(), 100_000);
    assert_eq!(script.arrival_time(), Duration::from_secs(100));
    let arrived = script.arrivals(1).count();
    assert!((99_000..=100_000).contains(&arrived), "{arrived}");

    let program = &script.sessions[0].program;
    let Some(Step::Send { message, .. }) = program.steps().next() else {
        panic!("{program:?}");
    };
    let mut sent = Vec::new();
    let values = Values {
        user: 17,
        ..Values::default()
    };
    message.render(&mut sent, &values);
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    let join = serde_json::json!({
        "topic": "rooms:lobby", "event": "phx_join", "payload": {"user": "17"}, "ref": "1",
    });
    assert_eq!(sent, join);

    let mut cursor = Cursor::default();
    let thought: Duration = std::iter::from_fn(|| cursor.next(program))
        .filter_map(|step| match step {
            Step::Think(think) => Some(think.mean()),
            _ => None,
        })
        .sum();
    assert_eq!(thought, Duration::from_secs(30_000));
}

#[test]
fn the_chat_has_its_connections_and_messages() {
    let script = shipped("seed-chat-50k.toml");
    assert_eq!(script.arrivals(1).count(), 50_000);
    let repeats: Vec<u32> = script.sessions[0]
        .program
        .instructions()
        .iter()
        .filter_map(|instruction| match instruction {
            Instruction::RepeatBegin { count } => count.map(u32::from),
            _ => None,
        })
        .collect();
    let [messages, endurance] = repeats[..] else {
        panic!("{repeats:?}");
    };
    assert_eq!(messages * 50_000, 750_000);
    assert!((endurance * 50_000).abs_diff(2_675_000) < 50_000);
}
