//! Which sessions hear each other where a route's pattern has params: those of
//! one path, and of no other.
//!
//! How: sessions on the paths of one server, on two shards; one of them speaks
//! and each of the others is asked what it has heard.

use std::net::SocketAddr;

use crate::support::client::{Client, request};
use crate::support::http;
use corecast::config::{Config, RouteSetting};
use corecast::server::{RunningServer, Server};

fn start(routes: &[(&str, &str)]) -> RunningServer {
    let settings = routes
        .iter()
        .map(|(path, handler)| RouteSetting::new(path, handler));
    let config = Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(2)
        .routes(RouteSetting::demo().into_iter().chain(settings));
    Server::new(config).unwrap().start().unwrap()
}

/// Several sessions on a path, so that both shards have some.
fn crowd(address: SocketAddr, path: &str) -> Vec<Client> {
    (0..4).map(|_| Client::connect(address, path)).collect()
}

/// A message on each path is heard there by all, and is the first one heard there:
/// nothing has come from the paths before it.
#[test]
fn each_path_of_a_broadcast_is_an_audience() {
    let server = start(&[
        ("/rooms/{room}", "broadcast"),
        ("/rooms/lobby", "broadcast"),
        ("/files/{*path}", "broadcast"),
    ]);
    let paths = [
        "/rooms/kitchen",
        "/rooms/garage",
        "/rooms/lobby",
        "/rooms/a%2Fb",
        "/rooms/a%252Fb",
        "/rooms/Kitchen",
        "/files/a/b",
        "/files/a",
        "/broadcast",
    ];
    let mut crowds: Vec<_> = paths
        .iter()
        .map(|path| crowd(server.local_addr(), path))
        .collect();
    for round in 0..2 {
        for (crowd, path) in crowds.iter_mut().zip(paths) {
            let said = format!("{round} on {path}");
            crowd[0].send_text(&said);
            for client in crowd {
                assert_eq!(client.read_text(), said, "on {path}");
            }
        }
    }
}

#[test]
fn a_path_is_the_same_however_it_is_encoded() {
    let server = start(&[("/rooms/{room}", "broadcast")]);
    for spellings in [
        &[
            "/rooms/kitchen",
            "/rooms/%6bitchen",
            "/%72ooms/kitche%6E?x=1",
        ][..],
        &["/rooms/a%2fb", "/rooms/a%2Fb", "/rooms/%61%2Fb"],
        &["/rooms/%C3%BC", "/rooms/%c3%bc"],
    ] {
        let mut clients: Vec<_> = spellings
            .iter()
            .map(|path| Client::connect(server.local_addr(), path))
            .collect();
        clients[0].send_text("here");
        for (client, path) in clients.iter_mut().zip(spellings) {
            assert_eq!(client.read_text(), "here", "{path}");
        }
    }
}

/// Each session could name a topic of its own, so names are short.
#[test]
fn a_path_that_is_too_long_for_a_name_is_refused() {
    let server = start(&[("/rooms/{room}", "broadcast"), ("/chat/{room}", "chat")]);
    for path in ["/rooms/", "/chat/"] {
        let longest = "x".repeat(1_024 - path.len());
        Client::connect(server.local_addr(), &format!("{path}{longest}"));
        let request = request(&format!("{path}{longest}x"));
        let refused = http::exchange(server.local_addr(), request.as_bytes());
        assert_eq!(refused.status, 414);
        assert!(refused.text().contains("1025 bytes"), "{}", refused.text());
    }
}

fn say(client: &mut Client, content: &str) {
    client.send_text(&format!(
        r#"{{"type":"chat_message","content":"{content}"}}"#
    ));
}

/// Enters a chat: reads its welcome.
fn enter(address: SocketAddr, path: &str) -> Client {
    let mut client = Client::connect(address, path);
    let welcome = client.read_text();
    assert!(welcome.contains(r#""type":"connected""#), "{welcome}");
    client
}

/// The name of a user is no part of the chat's name; anything else is.
#[test]
fn each_path_of_a_chat_is_a_chat_whoever_the_user_is() {
    let server = start(&[
        ("/chat/{room}", "chat"),
        ("/chat/{room}/{user_id}", "chat"),
        ("/support", "chat"),
    ]);
    let chats: [&[&str]; 3] = [
        &["/chat/kitchen", "/chat/kitchen/ann", "/chat/kitchen/bob"],
        &["/chat/garage", "/chat/garage/ann"],
        // The chat of all paths that name no room.
        &["/ws", "/ws/ann", "/ws/bob", "/support"],
    ];
    let mut chats: Vec<Vec<Client>> = chats
        .iter()
        .map(|paths| {
            let enter = |path: &&str| enter(server.local_addr(), path);
            paths.iter().map(enter).collect()
        })
        .collect();
    for round in 0..2 {
        for (number, chat) in chats.iter_mut().enumerate() {
            let content = format!("{round} in {number}");
            say(&mut chat[0], &content);
            for client in chat {
                let heard = client.read_text();
                assert!(heard.contains(&content), "{heard} and not {content}");
            }
        }
    }
}
