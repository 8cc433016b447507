//! Each command in JSON and its reply: connect, subscribe, unsubscribe, publish, ping,
//! and those that are not available.
//!
//! How: raw clients of a server without settings, on each driver.

use crate::support::centrifuge::{
    ROUTE, ask, connect, error, expect_ping, hear, open, say, subscribe,
};
use crate::support::{Server, on_each_driver};
use serde_json::{Value, json};

fn on_each_driver_with_route(test: impl Fn(&Server)) {
    on_each_driver(&["--shards", "2", "--route", ROUTE], test);
}

#[test]
fn a_client_connects_without_a_token_and_is_given_a_number() {
    on_each_driver_with_route(|server| {
        let mut numbers = Vec::new();
        for _ in 0..2 {
            let client = &mut open(server.address);
            let reply = ask(
                client,
                json!({"id": 7, "connect": {"name": "js", "data": {"a": 1}}}),
            );
            assert_eq!(reply["id"], 7);
            let connect = &reply["connect"];
            assert_eq!(
                (&connect["ping"], &connect["pong"]),
                (&25.into(), &true.into())
            );
            assert!(
                connect["version"]
                    .as_str()
                    .unwrap()
                    .starts_with("corecast ")
            );
            numbers.push(connect["client"].as_str().unwrap().to_owned());
        }
        assert_eq!(numbers[0].len(), 36);
        assert_ne!(numbers[0], numbers[1]);
    });
}

#[test]
fn a_publication_reaches_all_subscribers_with_its_publisher() {
    on_each_driver_with_route(|server| {
        let (speaker, number) = &mut connect(server.address);
        let mut listeners: Vec<_> = (0..6).map(|_| connect(server.address).0).collect();
        for listener in &mut listeners {
            subscribe(listener, "news");
        }
        subscribe(speaker, "news");
        say(
            speaker,
            json!({"id": 3, "publish": {"channel": "news", "data": {"a": [1, "\n"]}}}),
        );
        let push = json!({"push": {"channel": "news", "pub": {
            "data": {"a": [1, "\n"]}, "info": {"user": "", "client": number},
        }}});
        let mut heard = vec![hear(speaker), hear(speaker)];
        heard.sort_by_key(Value::to_string);
        assert_eq!(heard, [json!({"id": 3, "publish": {}}), push.clone()]);
        for listener in &mut listeners {
            assert_eq!(hear(listener), push);
        }
    });
}

#[test]
fn a_client_that_left_hears_nothing_and_may_come_back() {
    on_each_driver_with_route(|server| {
        let (client, _) = &mut connect(server.address);
        for _ in 0..2 {
            subscribe(client, "a");
            server.wait_for("subscriptions", 1);
            let again = json!({"id": 3, "subscribe": {"channel": "a"}});
            assert_eq!(ask(client, again), error(3, 105, "already subscribed"));
            for id in [4, 5] {
                let leave = json!({"id": id, "unsubscribe": {"channel": "a"}});
                assert_eq!(ask(client, leave), json!({"id": id, "unsubscribe": {}}));
            }
            server.wait_for("subscriptions", 0);
        }
        // Anybody may speak here, also without listening.
        let publish = json!({"id": 6, "publish": {"channel": "a", "data": 1}});
        assert_eq!(ask(client, publish), json!({"id": 6, "publish": {}}));
        expect_ping(client);
    });
}

#[test]
fn commands_in_one_message_are_all_served_in_their_order() {
    on_each_driver_with_route(|server| {
        let client = &mut open(server.address);
        let mut lines = json!({"id": 1, "connect": {}}).to_string();
        for id in 2..50 {
            let command = json!({"id": id, "subscribe": {"channel": format!("t{id}")}});
            lines.push('\n');
            lines.push_str(&command.to_string());
        }
        client.send_text(&lines);
        assert_eq!(hear(client)["id"], 1);
        for id in 2..50 {
            assert_eq!(hear(client), json!({"id": id, "subscribe": {}}));
        }
    });
}

#[test]
fn a_pong_needs_no_answer() {
    on_each_driver_with_route(|server| {
        let (client, _) = &mut connect(server.address);
        say(client, json!({}));
        client.send_text("{}\n{}\n");
        expect_ping(client);
    });
}

#[test]
fn what_is_not_available_says_so() {
    on_each_driver_with_route(|server| {
        let (client, _) = &mut connect(server.address);
        subscribe(client, "a");
        for (command, code, message) in [
            (json!({"history": {"channel": "a"}}), 108, "not available"),
            (json!({"presence": {"channel": "a"}}), 108, "not available"),
            (
                json!({"presence_stats": {"channel": "a"}}),
                108,
                "not available",
            ),
            (
                json!({"presence": {"channel": "b"}}),
                103,
                "permission denied",
            ),
            (
                json!({"rpc": {"method": "m", "data": 1}}),
                104,
                "method not found",
            ),
            (json!({"publish": {"channel": "a"}}), 107, "bad request"),
            (json!({"sub_refresh": {"channel": "a"}}), 107, "bad request"),
            (
                json!({"sub_refresh": {"channel": "b", "token": "x"}}),
                103,
                "permission denied",
            ),
        ] {
            let mut command = command;
            command["id"] = 5.into();
            assert_eq!(
                ask(client, command.clone()),
                error(5, code, message),
                "{command}"
            );
        }
        // What was missed is gone, and the client is told that it asked for it.
        let recover =
            json!({"id": 6, "subscribe": {"channel": "b", "recover": true, "epoch": "x"}});
        let reply = json!({"id": 6, "subscribe": {"was_recovering": true}});
        assert_eq!(ask(client, recover), reply);
    });
}
