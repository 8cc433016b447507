//! `/echo` returns every kind and size of message as it came, alone and many
//! at once; pings and close frames are answered, and faults get their code.
//!
//! How: a client by other authors against the real binary.

mod support;

use support::{Client, Server};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

#[tokio::test]
async fn each_message_comes_back_as_it_was() {
    for style in ["tuned", "plain"] {
        returns_each_message(&Server::start_in(style)).await;
    }
}

async fn returns_each_message(server: &Server) {
    let mut client = Client::connect(server.address, "/echo?a=query").await;
    let large: Vec<u8> = (0..64 * 1024).map(|n| n as u8).collect();
    let messages = [
        Message::text("Hello, Wörld"),
        Message::text(""),
        Message::binary(&b"\x00\xff"[..]),
        Message::binary(&b""[..]),
        Message::binary(large),
        Message::text("x".repeat(64 * 1024)),
    ];
    for message in &messages {
        client.send(message.clone()).await;
        assert_eq!(client.read().await, *message);
    }
    assert_eq!(server.total("messages_in"), messages.len() as u64);
    assert_eq!(server.total("messages_out"), messages.len() as u64);
}

#[tokio::test]
async fn many_at_once_come_back_in_order() {
    let server = Server::start();
    let mut client = Client::connect(server.address, "/echo").await;
    let message = |round: usize, number: usize| {
        Message::text(format!("{round} {number} {}", "x".repeat(number * 20)))
    };
    for round in 0..5 {
        for number in 0..100 {
            client.feed(message(round, number)).await;
        }
        client.send(Message::Ping("now".into())).await;
        for number in 0..100 {
            assert_eq!(client.read().await, message(round, number));
        }
        assert_eq!(client.read().await, Message::Pong("now".into()));
    }
}

#[tokio::test]
async fn a_close_frame_is_answered() {
    let server = Server::start();
    let mut client = Client::connect(server.address, "/echo").await;
    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "bye".into(),
    };
    client.send(Message::Close(Some(goodbye.clone()))).await;
    assert_eq!(client.read().await, Message::Close(Some(goodbye)));
    assert!(client.next().await.is_none());
    server.wait_until("ended.peer_closed", 1);
    assert_eq!(server.total("sessions"), 0);
}

#[tokio::test]
async fn who_breaks_the_rules_is_told_why() {
    let server = Server::start();
    let reserved = Frame::message("x", OpCode::Data(Data::Reserved(3)), true);
    let not_utf8 = Frame::message(&b"\xff"[..], OpCode::Data(Data::Text), true);
    for (frame, code, counted) in [
        (reserved, CloseCode::Protocol, "ended.protocol_error"),
        (not_utf8, CloseCode::Invalid, "ended.invalid_payload"),
    ] {
        let mut client = Client::connect(server.address, "/echo").await;
        client.send(Message::Frame(frame)).await;
        match client.read().await {
            Message::Close(Some(close)) => assert_eq!(close.code, code),
            other => panic!("expected a close frame, not {other:?}"),
        }
        server.wait_until(counted, 1);
    }
}

#[tokio::test]
async fn who_leaves_without_a_word_is_counted() {
    let server = Server::start();
    let client = Client::connect(server.address, "/echo").await;
    server.wait_until("sessions", 1);
    drop(client);
    server.wait_until("ended.vanished", 1);
    server.wait_until("sessions", 0);
}
