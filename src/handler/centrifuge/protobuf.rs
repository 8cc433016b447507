//! The protocol in Protobuf: commands in a binary message, each after its length.
//!
//! The messages here have the fields that are read or written, and no others: what a
//! client sends beside them is read over.

use std::ops::Range;

use prost::Message;

use super::code::Unsubscribed;
use super::command::{Command, Malformed, Payload, Request};
use super::presence::{Info, Member};
use super::reply::{Movement, Reply, VERSION, client_id, client_number};
use crate::json::is_json;
use crate::publication::Content;
use crate::ws::PreparedFrame;

/// The message with which the server pings, and with which a client answers: one without
/// fields.
pub(super) const PING: &[u8] = &[0];

/// The commands in a message, until the first that is none.
pub(super) fn commands(
    mut bytes: &[u8],
) -> impl Iterator<Item = Result<Command<'static>, Malformed>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let command = split_off(&mut bytes).and_then(command);
        if command.is_err() {
            bytes = &[];
        }
        Some(command)
    })
}

/// Takes the first of the messages off.
fn split_off<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = prost::decode_length_delimiter(&mut *bytes).map_err(|_| Malformed)?;
    let (first, rest) = bytes.split_at_checked(len).ok_or(Malformed)?;
    *bytes = rest;
    Ok(first)
}

#[derive(Message, Clone, PartialEq)]
struct Empty {}

#[derive(Message, Clone, PartialEq)]
struct TokenFields {
    #[prost(string, tag = "1")]
    token: String,
}

#[derive(Message, Clone, PartialEq)]
struct TopicFields {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(string, tag = "2")]
    token: String,
    #[prost(bool, tag = "3")]
    recover: bool,
}

#[derive(Message, Clone, PartialEq)]
struct PublishFields {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

#[derive(Message, Clone, PartialEq)]
struct CommandFields {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, tag = "4")]
    connect: Option<TokenFields>,
    #[prost(message, tag = "5")]
    subscribe: Option<TopicFields>,
    #[prost(message, tag = "6")]
    unsubscribe: Option<NamedFields>,
    #[prost(message, tag = "7")]
    publish: Option<PublishFields>,
    #[prost(message, tag = "8")]
    presence: Option<NamedFields>,
    #[prost(message, tag = "9")]
    presence_stats: Option<NamedFields>,
    #[prost(message, tag = "10")]
    history: Option<NamedFields>,
    #[prost(message, tag = "11")]
    ping: Option<Empty>,
    #[prost(message, tag = "12")]
    send: Option<Empty>,
    #[prost(message, tag = "13")]
    rpc: Option<Empty>,
    #[prost(message, tag = "14")]
    refresh: Option<TokenFields>,
    #[prost(message, tag = "15")]
    sub_refresh: Option<TokenedFields>,
}

/// The name of a topic alone.
#[derive(Message, Clone, PartialEq)]
struct NamedFields {
    #[prost(string, tag = "1")]
    channel: String,
}

/// The name of a topic and a token.
#[derive(Message, Clone, PartialEq)]
struct TokenedFields {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(string, tag = "2")]
    token: String,
}

fn command(bytes: &[u8]) -> Result<Command<'static>, Malformed> {
    let fields = CommandFields::decode(bytes).map_err(|_| Malformed)?;
    Command::new(fields.id, request(fields))
}

/// The first request of a command.
fn request(fields: CommandFields) -> Request<'static> {
    if let Some(TokenFields { token }) = fields.connect {
        let token = token.into();
        return Request::Connect { token };
    }
    if fields.ping.is_some() {
        return Request::Ping;
    }
    if let Some(TopicFields {
        channel,
        token,
        recover,
    }) = fields.subscribe
    {
        return Request::Subscribe {
            channel: channel.into(),
            token: token.into(),
            recover,
        };
    }
    if let Some(NamedFields { channel }) = fields.unsubscribe {
        let channel = channel.into();
        return Request::Unsubscribe { channel };
    }
    if let Some(PublishFields { channel, data }) = fields.publish {
        return Request::Publish {
            channel: channel.into(),
            payload: Some(payload(data)),
        };
    }
    if let Some(NamedFields { channel }) = fields.presence {
        let channel = channel.into();
        return Request::Presence { channel };
    }
    if let Some(NamedFields { channel }) = fields.presence_stats {
        let channel = channel.into();
        return Request::PresenceStats { channel };
    }
    if let Some(NamedFields { channel }) = fields.history {
        let channel = channel.into();
        return Request::History { channel };
    }
    if fields.rpc.is_some() {
        return Request::Rpc;
    }
    if fields.send.is_some() {
        return Request::Send;
    }
    if let Some(TokenFields { token }) = fields.refresh {
        let token = token.into();
        return Request::Refresh { token };
    }
    if let Some(TokenedFields { channel, token }) = fields.sub_refresh {
        return Request::SubRefresh {
            channel: channel.into(),
            token: token.into(),
        };
    }
    Request::Pong
}

/// Bytes that are JSON are published as JSON, so that clients of other protocols get the
/// value and not its encoding.
fn payload(data: Vec<u8>) -> Payload<'static> {
    match String::from_utf8(data) {
        Ok(text) if is_json(&text) => Payload::Json(text.into()),
        Ok(text) => Payload::Binary(text.into_bytes().into()),
        Err(error) => Payload::Binary(error.into_bytes().into()),
    }
}

#[derive(Message, Clone, PartialEq)]
struct ErrorFields {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(bool, tag = "3")]
    temporary: bool,
}

#[derive(Message, Clone, PartialEq)]
struct ClientInfo {
    #[prost(string, tag = "1")]
    user: String,
    #[prost(string, tag = "2")]
    client: String,
    #[prost(bytes = "vec", tag = "3")]
    conn_info: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    chan_info: Vec<u8>,
}

/// An entry of a map. It is written out because `prost` leaves out a value that says
/// nothing, which the JavaScript client then takes for `null`.
#[derive(Message, Clone, PartialEq)]
struct Tag {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Message, Clone, PartialEq)]
struct Publication {
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
    #[prost(message, tag = "5")]
    info: Option<ClientInfo>,
    #[prost(message, repeated, tag = "7")]
    tags: Vec<Tag>,
}

#[derive(Message, Clone, PartialEq)]
struct MovementFields {
    #[prost(message, tag = "1")]
    info: Option<ClientInfo>,
}

#[derive(Message, Clone, PartialEq)]
struct UnsubscribedFields {
    #[prost(uint32, tag = "2")]
    code: u32,
    #[prost(string, tag = "3")]
    reason: String,
}

#[derive(Message, Clone, PartialEq)]
struct Push {
    #[prost(string, tag = "2")]
    channel: String,
    #[prost(message, tag = "4")]
    publication: Option<Publication>,
    #[prost(message, tag = "5")]
    join: Option<MovementFields>,
    #[prost(message, tag = "6")]
    leave: Option<MovementFields>,
    #[prost(message, tag = "7")]
    unsubscribe: Option<UnsubscribedFields>,
}

#[derive(Message, Clone, PartialEq)]
struct Connected {
    #[prost(string, tag = "1")]
    client: String,
    #[prost(string, tag = "2")]
    version: String,
    #[prost(bool, tag = "3")]
    expires: bool,
    #[prost(uint32, tag = "4")]
    ttl: u32,
    #[prost(message, repeated, tag = "6")]
    subs: Vec<Granted>,
    #[prost(uint32, tag = "7")]
    ping: u32,
    #[prost(bool, tag = "8")]
    pong: bool,
}

#[derive(Message, Clone, PartialEq)]
struct Subscribed {
    #[prost(bool, tag = "1")]
    expires: bool,
    #[prost(uint32, tag = "2")]
    ttl: u32,
    #[prost(bytes = "vec", tag = "11")]
    data: Vec<u8>,
    #[prost(bool, tag = "12")]
    was_recovering: bool,
}

/// An entry of a map.
#[derive(Message, Clone, PartialEq)]
struct Granted {
    #[prost(string, optional, tag = "1")]
    channel: Option<String>,
    #[prost(message, tag = "2")]
    result: Option<Subscribed>,
}

/// An entry of a map.
#[derive(Message, Clone, PartialEq)]
struct Present {
    #[prost(string, optional, tag = "1")]
    client: Option<String>,
    #[prost(message, tag = "2")]
    info: Option<ClientInfo>,
}

#[derive(Message, Clone, PartialEq)]
struct Presence {
    #[prost(message, repeated, tag = "1")]
    presence: Vec<Present>,
}

#[derive(Message, Clone, PartialEq)]
struct PresenceStats {
    #[prost(uint32, tag = "1")]
    num_clients: u32,
    #[prost(uint32, tag = "2")]
    num_users: u32,
}

#[derive(Message, Clone, PartialEq)]
struct Expiry {
    #[prost(bool, tag = "1")]
    expires: bool,
    #[prost(uint32, tag = "2")]
    ttl: u32,
}

#[derive(Message, Clone, PartialEq)]
struct ReplyFields {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, tag = "2")]
    error: Option<ErrorFields>,
    #[prost(message, tag = "4")]
    push: Option<Push>,
    #[prost(message, tag = "5")]
    connect: Option<Connected>,
    #[prost(message, tag = "6")]
    subscribe: Option<Subscribed>,
    #[prost(message, tag = "7")]
    unsubscribe: Option<Empty>,
    #[prost(message, tag = "8")]
    publish: Option<Empty>,
    #[prost(message, tag = "9")]
    presence: Option<Presence>,
    #[prost(message, tag = "10")]
    presence_stats: Option<PresenceStats>,
    #[prost(message, tag = "12")]
    ping: Option<Empty>,
    #[prost(message, tag = "14")]
    refresh: Option<Connected>,
    #[prost(message, tag = "15")]
    sub_refresh: Option<Expiry>,
}

/// Writes a reply.
pub(super) fn reply(id: u32, reply: &Reply<'_>) -> Vec<u8> {
    let mut fields = ReplyFields {
        id,
        ..ReplyFields::default()
    };
    let empty = Some(Empty {});
    match reply {
        Reply::Fault(fault) => {
            fields.error = Some(ErrorFields {
                code: fault.code(),
                message: fault.message().to_owned(),
                temporary: fault.is_temporary(),
            });
        }
        Reply::Connect {
            client,
            ttl,
            ping,
            subs,
        } => {
            let subs = subs.iter().map(|granted| {
                let data = granted.data.as_deref().unwrap_or_default();
                let result = Some(Subscribed {
                    data: data.into(),
                    ..Subscribed::default()
                });
                Granted {
                    channel: Some(granted.topic.as_str().to_owned()),
                    result,
                }
            });
            fields.connect = Some(Connected {
                subs: subs.collect(),
                ping: *ping,
                pong: *ping > 0,
                ..connected(*client, *ttl)
            });
        }
        Reply::Subscribe {
            ttl,
            was_recovering,
        } => {
            fields.subscribe = Some(Subscribed {
                expires: ttl.is_some(),
                ttl: ttl.unwrap_or(0),
                data: Vec::new(),
                was_recovering: *was_recovering,
            });
        }
        Reply::Unsubscribe => fields.unsubscribe = empty,
        Reply::Publish => fields.publish = empty,
        Reply::Presence(members) => {
            let members = members.iter();
            let presence = members.map(|it| Present {
                client: Some(client_id(it.client)),
                info: Some(client_info(it.info())),
            });
            fields.presence = Some(Presence {
                presence: presence.collect(),
            });
        }
        Reply::PresenceStats { clients, users } => {
            fields.presence_stats = Some(PresenceStats {
                num_clients: *clients as u32,
                num_users: *users as u32,
            });
        }
        Reply::Ping => fields.ping = empty,
        Reply::Refresh { client, ttl } => fields.refresh = Some(connected(*client, *ttl)),
        Reply::SubRefresh { ttl } => {
            fields.sub_refresh = Some(Expiry {
                expires: ttl.is_some(),
                ttl: ttl.unwrap_or(0),
            });
        }
    }
    fields.encode_length_delimited_to_vec()
}

fn connected(client: u128, ttl: Option<u32>) -> Connected {
    Connected {
        client: client_id(client),
        version: VERSION.to_owned(),
        expires: ttl.is_some(),
        ttl: ttl.unwrap_or(0),
        ..Connected::default()
    }
}

fn client_info(info: Info<'_>) -> ClientInfo {
    ClientInfo {
        user: info.user.to_owned(),
        client: client_id(info.client),
        conn_info: info.info.unwrap_or_default().into(),
        chan_info: info.channel_info.unwrap_or_default().into(),
    }
}

fn push(topic: &str, push: Push) -> Vec<u8> {
    let channel = topic.to_owned();
    let fields = ReplyFields {
        push: Some(Push { channel, ..push }),
        ..ReplyFields::default()
    };
    fields.encode_length_delimited_to_vec()
}

/// That the server has taken a session out of a topic.
pub(super) fn unsubscribed(topic: &str, unsubscribed: Unsubscribed) -> Vec<u8> {
    let unsubscribe = Some(UnsubscribedFields {
        code: unsubscribed.code(),
        reason: unsubscribed.reason().to_owned(),
    });
    push(
        topic,
        Push {
            unsubscribe,
            ..Push::default()
        },
    )
}

/// A member that came or went, for all in the topic.
pub(super) fn movement(topic: &str, movement: Movement, info: Info<'_>) -> PreparedFrame {
    let mut fields = Push::default();
    let place = match movement {
        Movement::Join => &mut fields.join,
        Movement::Leave => &mut fields.leave,
    };
    *place = Some(MovementFields {
        info: Some(client_info(info)),
    });
    PreparedFrame::binary(&push(topic, fields))
}

/// A publication by a client, and the place of its data in the frame.
pub(super) fn publication(
    topic: &str,
    payload: &Payload<'_>,
    info: Info<'_>,
) -> (PreparedFrame, Range<usize>) {
    let data = payload.data().as_bytes();
    let info = client_info(info);
    let info_len = info.encoded_len();
    // Only the info stands after the data: a tag of one byte, its length, its fields.
    let after = 1 + prost::length_delimiter_len(info_len) + info_len;
    let publication = Publication {
        data: data.to_vec(),
        info: Some(info),
        ..Publication::default()
    };
    let frame = published(topic, publication);
    let end = frame.len() - after;
    (frame, end - data.len()..end)
}

/// A publication that came in another form, and who made it if that was said.
pub(super) fn foreign(topic: &str, content: &Content, info: Option<Info<'_>>) -> PreparedFrame {
    let tags = content.tags_with_event().map(|(name, value)| Tag {
        name: Some(name.to_owned()),
        value: Some(value.to_owned()),
    });
    let publication = Publication {
        data: content.data().as_bytes().to_vec(),
        info: info.map(client_info),
        tags: tags.collect(),
    };
    published(topic, publication)
}

fn published(topic: &str, publication: Publication) -> PreparedFrame {
    let fields = Push {
        publication: Some(publication),
        ..Push::default()
    };
    PreparedFrame::binary(&push(topic, fields))
}

/// The client that made a publication in this encoding.
pub(super) fn publisher(mut message: &[u8]) -> Option<Member> {
    let reply = ReplyFields::decode(split_off(&mut message).ok()?).ok()?;
    let info = reply.push?.publication?.info?;
    let json = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .ok()
            .filter(|json| !json.is_empty())
    };
    Some(Member {
        client: client_number(&info.client)?,
        user: info.user.into(),
        info: json(info.conn_info).map(Into::into),
        channel_info: json(info.chan_info).map(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::code::Fault;
    use super::super::json;
    use super::super::subscriptions;
    use super::*;
    use crate::publication::{Data, Topic};

    fn written(fields: &[CommandFields]) -> Vec<u8> {
        let commands = fields.iter();
        commands
            .flat_map(Message::encode_length_delimited_to_vec)
            .collect()
    }

    fn read(bytes: &[u8]) -> ReplyFields {
        let mut rest = bytes;
        let reply = ReplyFields::decode(split_off(&mut rest).unwrap()).unwrap();
        assert!(rest.is_empty());
        reply
    }

    fn member() -> Member {
        Member {
            client: 0x0123_4567_89ab_4def_8123_4567_89ab_cdef,
            user: "ann".into(),
            info: Some("{\"a\":1}".into()),
            channel_info: None,
        }
    }

    #[test]
    fn commands_are_read_one_after_the_other() {
        let token = "t".to_owned();
        let connect = CommandFields {
            id: 1,
            connect: Some(TokenFields { token }),
            ..CommandFields::default()
        };
        let bytes = written(&[connect, CommandFields::default()]);
        let read: Vec<_> = commands(&bytes).collect();
        let connect = Request::Connect { token: "t".into() };
        let expected = [(1, connect), (0, Request::Pong)];
        assert_eq!(
            read,
            expected.map(|(id, request)| Ok(Command { id, request }))
        );
        assert_eq!(commands(&[]).count(), 0);
        assert_eq!(bytes.last(), Some(&0), "a pong is one without fields");
    }

    #[test]
    fn what_is_not_a_command_is_refused_and_ends_the_message() {
        for bytes in [
            &b"\x01"[..],
            &b"\x05\x08"[..],
            &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..],
            // A number without a request, and one that is too long.
            &b"\x02\x08\x01"[..],
            // A topic that is not UTF-8.
            &b"\x08\x08\x01\x2a\x04\x0a\x02\xff\xff"[..],
            // The second is cut off.
            &b"\x00\x09\x08"[..],
        ] {
            let read: Vec<_> = commands(bytes).collect();
            assert_eq!(read.last(), Some(&Err(Malformed)), "{bytes:?}");
        }
    }

    #[test]
    fn bytes_that_are_json_are_published_as_json() {
        for (bytes, data) in [
            (&b"{\"a\": [1]}"[..], Data::Json("{\"a\": [1]}")),
            (b"7", Data::Json("7")),
            (b"hello", Data::Binary(b"hello")),
            (b"\xff\x00", Data::Binary(b"\xff\x00")),
            (b"", Data::Binary(b"")),
        ] {
            assert_eq!(payload(bytes.to_vec()).data(), data);
        }
    }

    #[test]
    fn a_publication_says_the_same_in_both_encodings() {
        let member = member();
        for payload in [
            Payload::Json("{\"a\":\"\u{e9}\"}".into()),
            Payload::Binary((&[0, 255, 1][..]).into()),
            Payload::Binary((&[][..]).into()),
        ] {
            let (frame, place) = publication("t", &payload, member.info());
            let data = payload.data();
            assert_eq!(&frame.as_bytes()[place.clone()], data.as_bytes());
            let pushed = read(frame.payload_bytes()).push.unwrap();
            assert_eq!(pushed.channel, "t");
            let published = pushed.publication.unwrap();
            assert_eq!(published.data, data.as_bytes());
            assert_eq!(published.info, Some(client_info(member.info())));
            assert_eq!(publisher(frame.payload_bytes()), Some(member.clone()));
        }
        let payload = Payload::Json("[1]".into());
        let mut out = String::new();
        let (frame, _) = json::publication("t", &payload, member.info(), &mut out);
        assert_eq!(json::publisher(frame.payload_bytes()), Some(member));
    }

    #[test]
    fn a_publication_of_another_protocol_has_its_event_as_a_tag() {
        let content = Content::json("[1]").with_event("said").with_tag("a", "b");
        let frame = foreign("t", &content, None);
        let published = read(frame.payload_bytes())
            .push
            .unwrap()
            .publication
            .unwrap();
        assert_eq!((published.data, published.info), (b"[1]".to_vec(), None));
        let tags = [("event", "said"), ("a", "b")];
        let tags = tags.map(|(name, value)| Tag {
            name: Some(name.to_owned()),
            value: Some(value.to_owned()),
        });
        assert_eq!(published.tags, tags);
    }

    #[test]
    fn replies_are_those_of_the_protocol() {
        let fault = read(&super::reply(5, &Reply::Fault(Fault::TooManyRequests)));
        let error = fault.error.unwrap();
        assert_eq!((fault.id, error.code, error.temporary), (5, 111, true));
        // Fields that say nothing are not written.
        assert_eq!(super::reply(1, &Reply::Ping), [4, 8, 1, 98, 0]);
        assert_eq!(
            reply(1, &Reply::SubRefresh { ttl: None }),
            [4, 8, 1, 122, 0]
        );
        let member = member();
        let presence = read(&super::reply(2, &Reply::Presence(&[&member])))
            .presence
            .unwrap();
        let info = presence.presence[0].info.as_ref().unwrap();
        assert_eq!(*info, client_info(member.info()));
        // An entry has its value although it says nothing.
        let topic = Topic::new("a");
        let subs = [subscriptions::Granted { topic, data: None }];
        let bytes = super::reply(
            1,
            &Reply::Connect {
                client: 0,
                ttl: None,
                ping: 0,
                subs: &subs,
            },
        );
        assert!(bytes.ends_with(&[6 << 3 | 2, 5, 10, 1, b'a', 18, 0]));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 16 } else { 1024 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Any bytes are read or refused, and the reading ends.
        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(commands(&bytes).count() <= bytes.len());
        }
    }
}
