//! The protocol in JSON: commands in lines, or one after the other, in a text message.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::code::Unsubscribed;
use super::command::{Command, Malformed, Payload, Request};
use super::presence::{Info, Member};
use super::reply::{Movement, Reply, VERSION, client_id, client_number};
use crate::json::{is_object, json_of_text, write_text};
use crate::publication::{Content, Data};
use crate::ws::PreparedFrame;

/// The message with which the server pings, and with which a client answers.
pub(super) const PING: &str = "{}";

/// The commands in a message, until the first that is none.
pub(super) fn commands(text: &str) -> impl Iterator<Item = Result<Command<'_>, Malformed>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    values.map(|value| command(value.map_err(|_| Malformed)?))
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(default)]
    id: u32,
    #[serde(borrow)]
    connect: Option<&'a RawValue>,
    #[serde(borrow)]
    subscribe: Option<&'a RawValue>,
    #[serde(borrow)]
    unsubscribe: Option<&'a RawValue>,
    #[serde(borrow)]
    publish: Option<&'a RawValue>,
    #[serde(borrow)]
    presence: Option<&'a RawValue>,
    #[serde(borrow)]
    presence_stats: Option<&'a RawValue>,
    #[serde(borrow)]
    history: Option<&'a RawValue>,
    #[serde(borrow)]
    ping: Option<&'a RawValue>,
    #[serde(borrow)]
    send: Option<&'a RawValue>,
    #[serde(borrow)]
    rpc: Option<&'a RawValue>,
    #[serde(borrow)]
    refresh: Option<&'a RawValue>,
    #[serde(borrow)]
    sub_refresh: Option<&'a RawValue>,
}

/// The fields of all requests that matter here.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    channel: Text<'a>,
    #[serde(borrow, default)]
    token: Text<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(default)]
    recover: bool,
}

/// Text that is copied only if it has escapes to undo.
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value that is there, `null` too.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

/// Reads an object; serde would take an array of its fields as well.
fn object<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, Malformed> {
    match is_object(json.get()) {
        true => serde_json::from_str(json.get()).map_err(|_| Malformed),
        false => Err(Malformed),
    }
}

fn command(json: &RawValue) -> Result<Command<'_>, Malformed> {
    let typed: Typed<'_> = object(json)?;
    let id = typed.id;
    type Make = for<'a> fn(Fields<'a>) -> Request<'a>;
    let requests: [(Option<&RawValue>, Make); 12] = [
        (typed.connect, |of| Request::Connect { token: of.token.0 }),
        (typed.ping, |_| Request::Ping),
        (typed.subscribe, |of| Request::Subscribe {
            channel: of.channel.0,
            token: of.token.0,
            recover: of.recover,
        }),
        (typed.unsubscribe, |of| Request::Unsubscribe {
            channel: of.channel.0,
        }),
        (typed.publish, |of| Request::Publish {
            channel: of.channel.0,
            payload: of.data.map(|data| Payload::Json(one_line(data.get()))),
        }),
        (typed.presence, |of| Request::Presence {
            channel: of.channel.0,
        }),
        (typed.presence_stats, |of| Request::PresenceStats {
            channel: of.channel.0,
        }),
        (typed.history, |of| Request::History {
            channel: of.channel.0,
        }),
        (typed.rpc, |_| Request::Rpc),
        (typed.send, |_| Request::Send),
        (typed.refresh, |of| Request::Refresh { token: of.token.0 }),
        (typed.sub_refresh, |of| Request::SubRefresh {
            channel: of.channel.0,
            token: of.token.0,
        }),
    ];
    let mut requests = requests.into_iter();
    let request = match requests.find_map(|(fields, make)| Some((fields?, make))) {
        Some((fields, make)) => make(object(fields)?),
        None => Request::Pong,
    };
    Command::new(id, request)
}

/// JSON with spaces in place of its line ends, which part the replies in a message. In
/// text they are always escaped.
fn one_line(json: &str) -> Cow<'_, str> {
    match json.contains(['\n', '\r']) {
        true => json.replace(['\n', '\r'], " ").into(),
        false => json.into(),
    }
}

/// Writes a reply in place of what `out` holds.
pub(super) fn write_reply(id: u32, reply: &Reply<'_>, out: &mut String) {
    out.clear();
    out.push('{');
    if id != 0 {
        add(out, format_args!("\"id\":{id},"));
    }
    match reply {
        Reply::Fault(fault) => {
            let (code, message) = (fault.code(), fault.message());
            add(
                out,
                format_args!("\"error\":{{\"code\":{code},\"message\":"),
            );
            write_text(message, out);
            if fault.is_temporary() {
                out.push_str(",\"temporary\":true");
            }
            out.push('}');
        }
        Reply::Connect {
            client,
            ttl,
            ping,
            subs,
        } => {
            out.push_str("\"connect\":");
            write_client(*client, *ttl, out);
            out.pop();
            if !subs.is_empty() {
                out.push_str(",\"subs\":{");
                for (place, granted) in subs.iter().enumerate() {
                    comma(place, out);
                    write_text(granted.topic.as_str(), out);
                    out.push_str(":{");
                    if let Some(data) = &granted.data {
                        out.push_str("\"data\":");
                        out.push_str(data);
                    }
                    out.push('}');
                }
                out.push('}');
            }
            if *ping > 0 {
                add(out, format_args!(",\"ping\":{ping},\"pong\":true"));
            }
            out.push('}');
        }
        Reply::Subscribe {
            ttl,
            was_recovering,
        } => {
            out.push_str("\"subscribe\":{");
            write_ttl(*ttl, out);
            if *was_recovering {
                out.push_str(if ttl.is_some() { "," } else { "" });
                out.push_str("\"was_recovering\":true");
            }
            out.push('}');
        }
        Reply::Unsubscribe => out.push_str("\"unsubscribe\":{}"),
        Reply::Publish => out.push_str("\"publish\":{}"),
        Reply::Presence(members) => {
            out.push_str("\"presence\":{\"presence\":{");
            for (place, member) in members.iter().enumerate() {
                comma(place, out);
                add(out, format_args!("\"{}\":", client_id(member.client)));
                write_member(member.info(), out);
            }
            out.push_str("}}");
        }
        Reply::PresenceStats { clients, users } => add(
            out,
            format_args!("\"presence_stats\":{{\"num_clients\":{clients},\"num_users\":{users}}}"),
        ),
        Reply::Ping => out.push_str("\"ping\":{}"),
        Reply::Refresh { client, ttl } => {
            out.push_str("\"refresh\":");
            write_client(*client, *ttl, out);
        }
        Reply::SubRefresh { ttl } => {
            out.push_str("\"sub_refresh\":{");
            write_ttl(*ttl, out);
            out.push('}');
        }
    }
    out.push('}');
}

fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

fn comma(place: usize, out: &mut String) {
    if place > 0 {
        out.push(',');
    }
}

fn write_client(client: u128, ttl: Option<u32>, out: &mut String) {
    add(out, format_args!("{{\"client\":\"{}\"", client_id(client)));
    add(out, format_args!(",\"version\":\"{VERSION}\""));
    if ttl.is_some() {
        out.push(',');
    }
    write_ttl(ttl, out);
    out.push('}');
}

fn write_ttl(ttl: Option<u32>, out: &mut String) {
    if let Some(ttl) = ttl {
        add(out, format_args!("\"expires\":true,\"ttl\":{ttl}"));
    }
}

fn write_member(member: Info<'_>, out: &mut String) {
    out.push_str("{\"user\":");
    write_text(member.user, out);
    add(
        out,
        format_args!(",\"client\":\"{}\"", client_id(member.client)),
    );
    for (name, json) in [
        ("conn_info", member.info),
        ("chan_info", member.channel_info),
    ] {
        if let Some(json) = json {
            add(out, format_args!(",\"{name}\":{json}"));
        }
    }
    out.push('}');
}

/// The beginning of a push about a topic.
fn begin_push(topic: &str, out: &mut String) {
    out.clear();
    out.push_str("{\"push\":{\"channel\":");
    write_text(topic, out);
}

/// Writes that the server has taken a session out of a topic.
pub(super) fn write_unsubscribed(topic: &str, unsubscribed: Unsubscribed, out: &mut String) {
    begin_push(topic, out);
    let (code, reason) = (unsubscribed.code(), unsubscribed.reason());
    add(
        out,
        format_args!(",\"unsubscribe\":{{\"code\":{code},\"reason\":\"{reason}\"}}}}}}"),
    );
}

/// A member that came or went, for all in the topic.
pub(super) fn movement(
    topic: &str,
    movement: Movement,
    member: Info<'_>,
    out: &mut String,
) -> PreparedFrame {
    begin_push(topic, out);
    out.push_str(match movement {
        Movement::Join => ",\"join\":{\"info\":",
        Movement::Leave => ",\"leave\":{\"info\":",
    });
    write_member(member, out);
    out.push_str("}}}");
    PreparedFrame::text(out)
}

/// A publication by a client, and the place of its data in the frame.
pub(super) fn publication(
    topic: &str,
    payload: &Payload<'_>,
    member: Info<'_>,
    out: &mut String,
) -> (PreparedFrame, Range<usize>) {
    begin_push(topic, out);
    out.push_str(",\"pub\":{\"info\":");
    write_member(member, out);
    out.push_str(",\"data\":");
    let Payload::Json(json) = payload else {
        unreachable!("a message in JSON holds no other data")
    };
    out.push_str(json);
    out.push_str("}}}");
    let frame = PreparedFrame::text(out);
    let end = frame.len() - 3;
    (frame, end - json.len()..end)
}

/// The client that made a publication in this encoding.
pub(super) fn publisher(message: &[u8]) -> Option<Member> {
    #[derive(Deserialize)]
    struct Reply {
        push: Push,
    }
    #[derive(Deserialize)]
    struct Push {
        #[serde(rename = "pub")]
        publication: Publication,
    }
    #[derive(Deserialize)]
    struct Publication {
        info: Publisher,
    }
    #[derive(Deserialize)]
    struct Publisher {
        user: Box<str>,
        client: String,
        conn_info: Option<Box<RawValue>>,
        chan_info: Option<Box<RawValue>>,
    }
    let reply: Reply = serde_json::from_slice(message).ok()?;
    let info = reply.push.publication.info;
    Some(Member {
        client: client_number(&info.client)?,
        user: info.user,
        info: info.conn_info.map(|json| json.get().into()),
        channel_info: info.chan_info.map(|json| json.get().into()),
    })
}

/// A publication that came in another form, and who made it if that was said.
pub(super) fn foreign(
    topic: &str,
    content: &Content,
    info: Option<Info<'_>>,
    out: &mut String,
) -> PreparedFrame {
    begin_push(topic, out);
    out.push_str(",\"pub\":{\"data\":");
    match content.data() {
        Data::Json(json) => out.push_str(&one_line(json)),
        Data::Text(text) => write_text(text, out),
        Data::Binary(bytes) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
    }
    if let Some(info) = info {
        out.push_str(",\"info\":");
        write_member(info, out);
    }
    let mut tags = content.tags_with_event().peekable();
    if tags.peek().is_some() {
        out.push_str(",\"tags\":{");
        for (place, (name, value)) in tags.enumerate() {
            comma(place, out);
            out.push_str(&json_of_text(name));
            out.push(':');
            write_text(value, out);
        }
        out.push('}');
    }
    out.push_str("}}}");
    PreparedFrame::text(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::code::Fault;
    use super::super::subscriptions::Granted;
    use super::*;
    use crate::publication::Topic;

    fn one(text: &str) -> Result<Command<'_>, Malformed> {
        commands(text).next().expect("a command")
    }

    #[test]
    fn commands_are_read_one_after_the_other() {
        let text = "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}{}";
        let read: Result<Vec<_>, _> = commands(text).collect();
        let expected = [
            (1, Request::Connect { token: "".into() }),
            (
                2,
                Request::Subscribe {
                    channel: "a".into(),
                    token: "".into(),
                    recover: false,
                },
            ),
            (0, Request::Pong),
        ];
        let expected = expected.map(|(id, request)| Command { id, request });
        assert_eq!(read.unwrap(), expected);
        assert_eq!(commands("  \n").count(), 0);
    }

    #[test]
    fn what_is_not_a_command_is_refused() {
        for text in [
            "[]",
            "7",
            "\"connect\"",
            "null",
            "{",
            r#"{"id":1}"#,
            r#"{"id":1,"nothing":{}}"#,
            r#"{"id":0,"connect":{}}"#,
            r#"{"connect":{}}"#,
            r#"{"id":-1,"ping":{}}"#,
            r#"{"id":4294967296,"ping":{}}"#,
            r#"{"id":"1","ping":{}}"#,
            r#"{"id":1.5,"ping":{}}"#,
            r#"{"id":1,"id":2,"ping":{}}"#,
            r#"{"id":1,"subscribe":"a"}"#,
            r#"{"id":1,"subscribe":["a"]}"#,
            r#"{"id":1,"subscribe":{"channel":1}}"#,
            r#"{"id":1,"subscribe":{"channel":null}}"#,
            r#"{"id":1,"subscribe":{"channel":"a","token":{}}}"#,
        ] {
            assert_eq!(one(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn the_data_of_a_publication_is_one_line() {
        let text = "{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":{\n\"b\":\r\n\"\\n\"}}}";
        let Request::Publish { payload, .. } = one(text).unwrap().request else {
            panic!("not a publication")
        };
        assert_eq!(payload, Some(Payload::Json("{ \"b\":  \"\\n\"}".into())));
        let payload = |text| match one(text).unwrap().request {
            Request::Publish { payload, .. } => payload,
            _ => panic!("not a publication"),
        };
        let null = r#"{"id":1,"publish":{"channel":"a","data":null}}"#;
        assert_eq!(payload(null), Some(Payload::Json("null".into())));
        assert_eq!(payload(r#"{"id":1,"publish":{"channel":"a"}}"#), None);
    }

    fn member() -> Member {
        Member {
            client: 1,
            user: "a\"b".into(),
            info: Some("{\"name\":1}".into()),
            channel_info: None,
        }
    }

    #[test]
    fn replies_are_those_of_the_protocol() {
        let id = "00000000-0000-4000-8000-000000000001";
        let subs = [
            Granted {
                topic: Topic::new("a"),
                data: None,
            },
            Granted {
                topic: Topic::new("b"),
                data: Some("[1]".into()),
            },
        ];
        let member = member();
        let info = json!({"user": "a\"b", "client": id, "conn_info": {"name": 1}});
        for (reply, expected) in [
            (
                Reply::Fault(Fault::PermissionDenied),
                json!({"error": {"code": 103, "message": "permission denied"}}),
            ),
            (
                Reply::Fault(Fault::TooManyRequests),
                json!({"error": {"code": 111, "message": "too many requests", "temporary": true}}),
            ),
            (
                Reply::Connect {
                    client: 1,
                    ttl: Some(7),
                    ping: 25,
                    subs: &subs,
                },
                json!({"connect": {
                    "client": id, "version": VERSION, "expires": true, "ttl": 7,
                    "subs": {"a": {}, "b": {"data": [1]}}, "ping": 25, "pong": true,
                }}),
            ),
            (
                Reply::Connect {
                    client: 1,
                    ttl: None,
                    ping: 0,
                    subs: &[],
                },
                json!({"connect": {"client": id, "version": VERSION}}),
            ),
            (
                Reply::Subscribe {
                    ttl: None,
                    was_recovering: false,
                },
                json!({"subscribe": {}}),
            ),
            (
                Reply::Subscribe {
                    ttl: Some(1),
                    was_recovering: true,
                },
                json!({"subscribe": {"expires": true, "ttl": 1, "was_recovering": true}}),
            ),
            (Reply::Unsubscribe, json!({"unsubscribe": {}})),
            (Reply::Publish, json!({"publish": {}})),
            (Reply::Ping, json!({"ping": {}})),
            (
                Reply::Presence(&[&member]),
                json!({"presence": {"presence": {id: info}}}),
            ),
            (
                Reply::PresenceStats {
                    clients: 2,
                    users: 1,
                },
                json!({"presence_stats": {"num_clients": 2, "num_users": 1}}),
            ),
            (
                Reply::Refresh {
                    client: 1,
                    ttl: None,
                },
                json!({"refresh": {"client": id, "version": VERSION}}),
            ),
            (
                Reply::SubRefresh { ttl: Some(3) },
                json!({"sub_refresh": {"expires": true, "ttl": 3}}),
            ),
        ] {
            let mut out = "before".to_owned();
            write_reply(9, &reply, &mut out);
            let mut expected = expected;
            expected["id"] = 9.into();
            assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
            assert!(!out.contains('\n'));
        }
    }

    #[test]
    fn publications_are_pushes_and_their_data_is_found_in_them() {
        let (mut out, member) = (String::new(), member());
        let payload = Payload::Json("{\"a\": 1}".into());
        let (frame, place) = publication("t\"", &payload, member.info(), &mut out);
        assert_eq!(&frame.as_bytes()[place], b"{\"a\": 1}");
        let read: Value = serde_json::from_slice(&frame.payload()).unwrap();
        let info = json!({
            "user": "a\"b", "client": client_id(1), "conn_info": {"name": 1},
        });
        let push = json!({"channel": "t\"", "pub": {"data": {"a": 1}, "info": info}});
        assert_eq!(read, json!({"push": push}));

        let mut read = |content: Content| -> Value {
            let frame = foreign("t", &content, None, &mut out);
            serde_json::from_slice(&frame.payload()).unwrap()
        };
        for (content, publication) in [
            (Content::json("[1,\n2]"), json!({"data": [1, 2]})),
            (
                PreparedFrame::text("say \"hi\"\n").into(),
                json!({"data": "say \"hi\"\n"}),
            ),
            (
                PreparedFrame::binary(&[0, 255]).into(),
                json!({"data": "AP8="}),
            ),
            (
                Content::json("1").with_event("e").with_tag("a\"", "b"),
                json!({"data": 1, "tags": {"event": "e", "a\"": "b"}}),
            ),
        ] {
            assert_eq!(
                read(content),
                json!({"push": {"channel": "t", "pub": publication}})
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 16 } else { 1024 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Any text is read or refused, and so is what looks nearly like a command.
        #[test]
        fn text_never_panics(text in ".*", near in "[\\[\\]{},:\"idpng0-9ul \\\\\n]{0,60}") {
            commands(&text).for_each(drop);
            commands(&near).for_each(drop);
        }

        /// A command is read as it was meant, whatever its channel and data.
        #[test]
        fn what_was_meant_is_read(id in 1u32.., channel in "\\PC{0,20}", text in ".{0,20}") {
            let data = json!({"text": text});
            let written = json!({"id": id, "publish": {"channel": channel, "data": data}});
            let text = written.to_string();
            let command = one(&text).unwrap();
            prop_assert_eq!(command.id, id);
            let Request::Publish { channel: read, payload: Some(payload) } = command.request else {
                return Err(TestCaseError::fail("not a publication"));
            };
            prop_assert_eq!(&*read, &*channel);
            let read: Value = serde_json::from_slice(payload.data().as_bytes()).unwrap();
            prop_assert_eq!(read, data);
        }
    }
}
