//! The chat handler on any messages.
//!
//! Each message has at most one answer, and that is JSON: a `message` with the
//! sender's name and content as they were written, or an `error` that says why.
//! Silence is for `benchmark_test` alone. A binary message is an error.

#![no_main]

use arbitrary::Arbitrary;
use corecast::handler::Chat;
use corecast::handler::fuzzing::Served;
use corecast::router::Router;
use corecast::upgrade;
use corecast::ws::{Message, Role, Rules};
use corecast_fuzz::codec::{Owned, decode};
use corecast_fuzz::peer;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    user_id: Option<&'a str>,
    messages: Vec<Said<'a>>,
}

#[derive(Debug, Arbitrary)]
enum Said<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A chat message with this as its content, of any JSON or not.
    Content(&'a str),
    /// A message of this type.
    Kind(&'a str),
}

const RULES: Rules = Rules {
    role: Role::Client,
    max_frame_bytes: usize::MAX,
    max_message_bytes: usize::MAX,
};

fuzz_target!(|case: Case<'_>| {
    let encoded: Option<String> = case
        .user_id
        .filter(|user_id| {
            !user_id.is_empty() && !user_id.bytes().any(|byte| byte.is_ascii_control())
        })
        .map(|user_id| user_id.bytes().map(|byte| format!("%{byte:02X}")).collect());
    let path = encoded
        .as_ref()
        .map_or("/ws".to_owned(), |user_id| format!("/ws/{user_id}"));
    let text = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let parsed = upgrade::parse(text.as_bytes(), usize::MAX, peer())
        .unwrap()
        .unwrap();
    let mut request = parsed.request;
    let mut router = Router::new();
    for pattern in ["/ws", "/ws/{user_id}"] {
        router.insert(pattern, ()).unwrap();
    }
    assert!(router.route(&mut request).is_some());

    let (mut served, sent) = Served::open(Chat::new("chat"), &request);
    let connected = only_text(&sent).expect("whoever opens is greeted");
    let connected = read(&connected);
    assert_eq!(connected.kind, "connected");
    let user_id = connected.user_id.expect("a name");
    if encoded.is_some() {
        assert_eq!(Some(&*user_id), case.user_id);
    }
    for said in case.messages {
        let text = match said {
            Said::Binary(bytes) => {
                let sent = served.message(Message::Binary(bytes));
                assert_eq!(read(&only_text(&sent).expect("an answer")).kind, "error");
                continue;
            }
            Said::Text(text) => text.to_owned(),
            Said::Content(content) => format!(r#"{{"type":"chat_message","content":{content}}}"#),
            Said::Kind(kind) => serde_json::json!({ "type": kind, "content": 1 }).to_string(),
        };
        check(&text, &user_id, &served.message(Message::Text(&text)));
    }
});

/// Any message, as far as it is looked at. A content stays as it was written: it may
/// be deeper, or a number larger, than a reader takes apart.
#[derive(Deserialize)]
struct Any<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default, deserialize_with = "written")]
    content: Option<&'a RawValue>,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    timestamp: Option<u64>,
}

/// A value that is there, `null` included.
fn written<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

fn check(text: &str, user_id: &str, sent: &[u8]) {
    let Some(answer) = only_text(sent) else {
        #[derive(Deserialize)]
        struct Said {
            #[serde(rename = "type")]
            kind: String,
            #[serde(rename = "content")]
            _content: Option<IgnoredAny>,
        }
        let said: Said = serde_json::from_str(text).expect("silence on what is no message");
        assert_eq!(said.kind, "benchmark_test");
        return;
    };
    let answer = read(&answer);
    match &*answer.kind {
        "error" => assert!(answer.reason.is_some_and(|reason| !reason.is_empty())),
        "message" => {
            assert_eq!(answer.user_id.as_deref(), Some(user_id));
            assert!(answer.timestamp.is_some());
            let content = answer.content.expect("a content").get();
            assert!(text.contains(content), "{content} is not what was written");
        }
        kind => panic!("an answer of type {kind}"),
    }
}

fn read(answer: &str) -> Any<'_> {
    serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The only message in these bytes.
fn only_text(sent: &[u8]) -> Option<String> {
    let session = decode(&RULES, sent);
    assert_eq!(session.fault, None);
    assert!(session.decoder.is_idle());
    match &session.events[..] {
        [] => None,
        [Owned::Text(text)] => Some(text.clone()),
        events => panic!("more than one answer: {events:?}"),
    }
}
