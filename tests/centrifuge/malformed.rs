//! What is not of the protocol ends its session with the documented code, and no other
//! session notices. Limits hold.
//!
//! How: one session for each message, beside one that is subscribed all the time and
//! hears nothing.

use serde_json::{Value, json};

use crate::support::centrifuge::{
    ROUTE, ask, config, connect, error, expect_ping, hear, open, say, subscribe,
};
use crate::support::client::{BINARY, FIN, encode};
use crate::support::{Server, on_each_driver};

const FILE: &str = r#"
[handlers.centrifuge]
max_channels_per_session = 3
max_channel_bytes = 20
max_commands_per_message = 50
[[handlers.centrifuge.topics]]
pattern = "listen:*"
publish = "nobody"
[[handlers.centrifuge.topics]]
pattern = "quiet:*"
echo = false
[[handlers.centrifuge.topics]]
pattern = "room:*"
"#;

fn on_each_driver_with_limits(test: impl Fn(&Server)) {
    let file = config(FILE);
    let path = file.path().to_str().unwrap();
    on_each_driver(&["--shards", "1", "--route", ROUTE, "--config", path], test);
}

/// After `connect`.
const NOT_COMMANDS: &[&str] = &[
    "",
    "\n",
    "hello",
    "[]",
    "7",
    "null",
    "[{}]",
    "{\"id\":1",
    "{} x",
    r#"{"id":2}"#,
    r#"{"id":2,"unknown":{}}"#,
    r#"{"id":0,"ping":{}}"#,
    r#"{"subscribe":{"channel":"room:a"}}"#,
    r#"{"id":-2,"ping":{}}"#,
    r#"{"id":4294967296,"ping":{}}"#,
    r#"{"id":99999999999999999999999999,"ping":{}}"#,
    r#"{"id":"2","ping":{}}"#,
    r#"{"id":2.5,"ping":{}}"#,
    r#"{"id":2,"ping":7}"#,
    r#"{"id":2,"subscribe":[]}"#,
    r#"{"id":2,"subscribe":{}}"#,
    r#"{"id":2,"subscribe":{"channel":7}}"#,
    r#"{"id":2,"subscribe":{"channel":""}}"#,
    r#"{"id":2,"subscribe":{"channel":"\ud800"}}"#,
    r#"{"id":2,"unsubscribe":{}}"#,
    r#"{"id":2,"publish":{"data":1}}"#,
    r#"{"id":2,"presence":{}}"#,
    r#"{"id":2,"presence_stats":{}}"#,
    r#"{"id":2,"history":{}}"#,
    r#"{"id":2,"sub_refresh":{}}"#,
    r#"{"id":2,"refresh":{"token":"x"}}"#,
    r#"{"id":2,"connect":{}}"#,
];

#[test]
fn what_is_no_command_ends_its_session_and_no_other() {
    on_each_driver_with_limits(|server| {
        let (witness, _) = &mut connect(server.address);
        subscribe(witness, "room:a");
        for message in NOT_COMMANDS {
            let (mut client, _) = connect(server.address);
            client.send_text(message);
            assert_eq!(client.frame().close_code(), 3501, "{message}");
        }
        let (mut client, _) = connect(server.address);
        client.send(&encode(FIN | BINARY, true, b"\xff{}"));
        assert_eq!(client.frame().close_code(), 3501);
        let (mut client, _) = connect(server.address);
        say(&mut client, json!({"send": {"data": 1}}));
        assert_eq!(client.frame().close_code(), 3508);
        server.wait_for("ended.handler_closed", NOT_COMMANDS.len() as u64 + 2);
        expect_ping(witness);
        assert_eq!(server.total("publications"), 0);
    });
}

#[test]
fn before_connect_nothing_is_served() {
    on_each_driver_with_limits(|server| {
        for message in [
            json!({}),
            json!({"id": 1, "ping": {}}),
            json!({"id": 1, "subscribe": {"channel": "room:a"}}),
            json!({"id": 1, "publish": {"channel": "room:a", "data": 1}}),
            json!({"send": {"data": 1}}),
        ] {
            let mut client = open(server.address);
            say(&mut client, message.clone());
            assert_eq!(client.frame().close_code(), 3501, "{message}");
        }
        // A server without a key takes no token for good.
        let mut client = open(server.address);
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.";
        say(&mut client, json!({"id": 1, "connect": {"token": token}}));
        assert_eq!(client.frame().close_code(), 3500);
    });
}

#[test]
fn rules_and_limits_are_answered_with_their_codes() {
    on_each_driver_with_limits(|server| {
        let (client, _) = &mut connect(server.address);
        let mut refused = |command: Value, code, message| {
            let mut command = command;
            command["id"] = 7.into();
            assert_eq!(ask(client, command), error(7, code, message));
        };
        let subscribe_to = |channel: &str| json!({"subscribe": {"channel": channel}});
        refused(subscribe_to("elsewhere"), 102, "unknown channel");
        refused(subscribe_to("corecast:x"), 103, "permission denied");
        refused(
            subscribe_to(&format!("room:{}", "x".repeat(16))),
            107,
            "bad request",
        );
        refused(subscribe_to("room:$x#y"), 103, "permission denied");
        let publish = |channel: &str| json!({"publish": {"channel": channel, "data": 1}});
        refused(publish("listen:a"), 103, "permission denied");
        refused(publish("elsewhere"), 102, "unknown channel");
        refused(publish("corecast:x"), 103, "permission denied");
        for channel in ["room:1", "room:2", "quiet:3"] {
            subscribe(client, channel);
        }
        let fourth = json!({"id": 7, "subscribe": {"channel": "room:4"}});
        assert_eq!(ask(client, fourth), error(7, 106, "limit exceeded"));
        // Where the echo is off, its own publication does not come back.
        let publish = json!({"id": 8, "publish": {"channel": "quiet:3", "data": 1}});
        assert_eq!(ask(client, publish), json!({"id": 8, "publish": {}}));
        expect_ping(client);
        assert_eq!(server.total("denied_publications"), 2);
    });
}

#[test]
fn a_flood_of_commands_in_one_message_is_cut() {
    on_each_driver_with_limits(|server| {
        let (client, _) = &mut connect(server.address);
        let line = |id: u32, what: &str| json!({"id": id, what: {"channel": "room:a"}}).to_string();
        let lines = |pairs: u32| -> String {
            let pairs = (0..pairs)
                .map(|id| line(2 * id + 1, "subscribe") + &line(2 * id + 2, "unsubscribe"));
            pairs.collect()
        };
        client.send_text(&lines(25));
        for id in 0..25 {
            assert_eq!(hear(client), json!({"id": 2 * id + 1, "subscribe": {}}));
            assert_eq!(hear(client), json!({"id": 2 * id + 2, "unsubscribe": {}}));
        }
        client.send_text(&lines(26));
        for _ in 0..50 {
            hear(client);
        }
        assert_eq!(client.frame().close_code(), 3013);
        server.wait_for("sessions", 0);
        assert_eq!(server.total("subscriptions"), 0);
    });
}
