//! The protocol in Protobuf: how it is asked for, that a client of each encoding hears the
//! other with the publisher's name, and what is not of the protocol.
//!
//! How: messages are put together here by hand; raw clients on each driver.

use serde_json::json;

use crate::support::centrifuge::{PATH, ROUTE, ask, connect, hear, say, subscribe};
use crate::support::client::{BINARY, Client, FIN, Frame, encode, request_with};
use crate::support::{Server, on_each_driver};

fn on_each_driver_with_route(test: impl Fn(&Server)) {
    on_each_driver(&["--shards", "2", "--route", ROUTE], test);
}

/// A field of bytes, text or a message; all here are short.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// A command with its length before it.
fn command(id: u8, tag: u8, fields: &[u8]) -> Vec<u8> {
    let command = [vec![8, id], field(tag, fields)].concat();
    [vec![command.len() as u8], command].concat()
}

fn send(client: &mut Client, bytes: &[u8]) {
    client.send(&encode(FIN | BINARY, true, bytes));
}

/// The next message: the fields of one reply.
#[track_caller]
fn reply(client: &mut Client) -> Vec<u8> {
    let Frame {
        opcode, payload, ..
    } = client.frame();
    assert_eq!(opcode, BINARY);
    let (len, fields) = payload.split_first().unwrap();
    match *len {
        // A length of two bytes.
        low @ 128.. => {
            assert_eq!(
                usize::from(low & 127) + 128 * usize::from(fields[0]),
                fields.len() - 1
            );
            fields[1..].to_vec()
        }
        len => {
            assert_eq!(usize::from(len), fields.len());
            fields.to_vec()
        }
    }
}

fn connect_in_protobuf(server: &Server) -> Client {
    let mut client = Client::connect(server.address, &format!("{PATH}?format=protobuf"));
    send(&mut client, &command(1, 4, &[]));
    let connected = reply(&mut client);
    assert_eq!(connected[..3], [8, 1, 5 << 3 | 2]);
    client
}

#[test]
fn it_is_asked_for_by_a_parameter_or_a_subprotocol() {
    on_each_driver_with_route(|server| {
        connect_in_protobuf(server);
        for (offer, answer) in [
            ("centrifuge-protobuf", "centrifuge-protobuf"),
            ("centrifuge-json", "centrifuge-json"),
        ] {
            let mut client = Client::open(server.address);
            let line = format!("Sec-WebSocket-Protocol: {offer}\r\n");
            client.send(request_with(PATH, &line).as_bytes());
            let head = client.response_head().to_ascii_lowercase();
            assert!(
                head.contains(&format!("sec-websocket-protocol: {answer}")),
                "{head}"
            );
        }
    });
}

#[test]
fn each_encoding_hears_the_other() {
    on_each_driver_with_route(|server| {
        let binary = &mut connect_in_protobuf(server);
        send(binary, &command(2, 5, &field(1, b"a")));
        assert_eq!(reply(binary), [8, 2, 6 << 3 | 2, 0]);
        let (text, number) = &mut connect(server.address);
        subscribe(text, "a");

        let publish = json!({"id": 3, "publish": {"channel": "a", "data": {"x": 1}}});
        say(text, publish);
        let heard = reply(binary);
        let contains = |part: &[u8]| heard.windows(part.len()).any(|it| it == part);
        assert!(contains(&field(4, b"{\"x\":1}")), "{heard:?}");
        assert!(contains(&field(2, number.as_bytes())), "{heard:?}");
        let mut own = [hear(text), hear(text)];
        own.sort_by_key(|message| message["id"].is_null());
        assert_eq!(own[1]["push"]["pub"]["data"], json!({"x": 1}));

        for (data, shown) in [
            (&b"[1,\n2]"[..], json!([1, 2])),
            (&[0, 255][..], json!("AP8=")),
        ] {
            send(
                binary,
                &command(4, 7, &[field(1, b"a"), field(2, data)].concat()),
            );
            let publication = &hear(text)["push"]["pub"];
            assert_eq!(publication["data"], shown);
            assert_eq!(publication["info"]["client"].as_str().unwrap().len(), 36);
            let mut heard = [reply(binary), reply(binary)];
            heard.sort_by_key(|fields| fields[0]);
            assert_eq!(heard[0], [8, 4, 8 << 3 | 2, 0]);
            assert!(heard[1].windows(data.len()).any(|it| it == data));
        }
    });
}

#[test]
fn what_is_no_command_ends_its_session_with_the_code() {
    on_each_driver_with_route(|server| {
        let (witness, _) = &mut connect(server.address);
        subscribe(witness, "a");
        for bytes in [
            &b""[..],
            b"\x05",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x02\x08\x02",
            b"\x08\x08\x02\x2a\x04\x0a\x02\xff\xff",
            &command(0, 5, &field(1, b"a")),
            &command(2, 5, &[]),
            &command(2, 20, &[]),
            &command(2, 4, &[]),
        ] {
            let mut client = connect_in_protobuf(server);
            send(&mut client, bytes);
            assert_eq!(client.frame().close_code(), 3501, "{bytes:?}");
        }
        // A pong is one.
        let mut client = connect_in_protobuf(server);
        send(&mut client, &[0]);
        send(&mut client, &command(9, 11, &[]));
        assert_eq!(reply(&mut client), [8, 9, 12 << 3 | 2, 0]);
        assert_eq!(
            ask(witness, json!({"id": 9, "ping": {}})),
            json!({"id": 9, "ping": {}})
        );
    });
}
