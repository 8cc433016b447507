//! Signed tokens: who a client is, which topics it is subscribed to at once, and which it
//! may name; bad ones are refused with the code of the protocol.
//!
//! How: tokens are signed here with a secret, and spoiled; a server with a file on each
//! driver; raw clients.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::centrifuge::{ROUTE, ask, config, error, expect_ping, hear, open, say};
use crate::support::client::Client;
use crate::support::{Server, on_each_driver};

const SECRET: &[u8] = b"a secret that only this test knows, and no one else";
const FILE: &str = r#"
[handlers.centrifuge]
anonymous = false
expiry_grace_seconds = 0
[handlers.centrifuge.token]
algorithm = "HS256"
secret = "a secret that only this test knows, and no one else"
[[handlers.centrifuge.topics]]
pattern = "closed:*"
join = "nobody"
[[handlers.centrifuge.topics]]
pattern = "by-token:*"
join = "token"
publish = "token"
[[handlers.centrifuge.topics]]
pattern = "*"
"#;

fn on_each_driver_with_tokens(test: impl Fn(&Server)) {
    let file = config(FILE);
    let path = file.path().to_str().unwrap();
    on_each_driver(&["--shards", "1", "--route", ROUTE, "--config", path], test);
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

fn sign(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET);
    encode(&Header::default(), claims, &key).unwrap()
}

/// A token of ann with more claims.
fn token(more: Value) -> String {
    let mut claims = json!({"sub": "ann", "exp": now() + 600});
    let claims = {
        let own = claims.as_object_mut().unwrap();
        own.extend(more.as_object().unwrap().clone());
        claims
    };
    sign(&claims)
}

fn connect_with(server: &Server, token: &str) -> (Client, Value) {
    let mut client = open(server.address);
    let reply = ask(&mut client, json!({"id": 1, "connect": {"token": token}}));
    (client, reply)
}

fn connected(server: &Server, more: Value) -> Client {
    let (client, reply) = connect_with(server, &token(more));
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    client
}

#[track_caller]
fn expect_close(client: &mut Client, code: u16) {
    assert_eq!(client.frame().close_code(), code);
}

#[test]
fn a_token_says_who_a_client_is_and_when_that_ends() {
    on_each_driver_with_tokens(|server| {
        let (mut client, reply) = connect_with(server, &token(json!({"info": {"name": "Ann"}})));
        assert_eq!(reply["connect"]["expires"], true);
        let ttl = reply["connect"]["ttl"].as_u64().unwrap();
        assert!((590..=600).contains(&ttl), "{reply}");
        let number = reply["connect"]["client"].clone();
        say(&mut client, json!({"id": 2, "subscribe": {"channel": "a"}}));
        say(
            &mut client,
            json!({"id": 3, "publish": {"channel": "a", "data": 1}}),
        );
        let mut heard: Vec<_> = (0..3).map(|_| hear(&mut client)).collect();
        heard.retain(|message| message["push"].is_object());
        let info = json!({"user": "ann", "client": number, "conn_info": {"name": "Ann"}});
        assert_eq!(heard[0]["push"]["pub"]["info"], info);

        // One whose session shall not end with it.
        let (_, reply) = connect_with(server, &token(json!({"expire_at": 0})));
        assert_eq!(reply["connect"].get("expires"), None);
    });
}

#[test]
fn a_bad_token_ends_the_session_and_an_old_one_is_told_so() {
    on_each_driver_with_tokens(|server| {
        let claims = json!({"sub": "ann", "exp": now() + 600});
        let good = sign(&claims);
        let unsigned = |header: Value| {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signature = good.rsplit('.').next().unwrap();
            format!("{}.{}.{signature}", part(&header), part(&claims))
        };
        let other_key = EncodingKey::from_secret(&[7; 40]);
        let forged = encode(&Header::default(), &claims, &other_key).unwrap();
        let longer = encode(
            &Header::new(Algorithm::HS512),
            &claims,
            &EncodingKey::from_secret(SECRET),
        );
        let mut parts = good.rsplitn(2, '.');
        let (_, without_signature) = (parts.next(), parts.next().unwrap());
        for token in [
            forged,
            longer.unwrap(),
            unsigned(json!({"alg": "none"})),
            unsigned(json!({"alg": "RS256"})),
            format!("{without_signature}."),
            "x".to_owned(),
            "..".to_owned(),
            sign(&json!({"sub": 7, "exp": now() + 600})),
            sign(&json!({"sub": "ann"})),
            sign(&json!({"sub": "ann", "exp": now() + 600, "channels": "a"})),
            sign(&json!({"sub": "ann", "exp": now() + 600, "channels": ["corecast:x"]})),
            sign(&json!({"sub": "ann", "exp": now() + 600, "nbf": now() + 300})),
        ] {
            let mut client = open(server.address);
            say(&mut client, json!({"id": 1, "connect": {"token": token}}));
            expect_close(&mut client, 3500);
        }
        let old = sign(&json!({"sub": "ann", "exp": now() - 1}));
        let (mut client, reply) = connect_with(server, &old);
        assert_eq!(reply, error(1, 109, "token expired"));
        // After an error nothing is served.
        say(&mut client, json!({"id": 2, "connect": {"token": good}}));
        expect_close(&mut client, 3501);
        let over = sign(&json!({"sub": "ann", "exp": now() + 600, "expire_at": now() - 1}));
        assert_eq!(connect_with(server, &over).1, error(1, 110, "expired"));
        // And a client without any is none here.
        let mut client = open(server.address);
        say(&mut client, json!({"id": 1, "connect": {}}));
        expect_close(&mut client, 3501);
        server.wait_for("sessions", 0);
        assert_eq!(server.total("subscriptions"), 0);
    });
}

#[test]
fn a_token_may_ask_for_subscriptions() {
    on_each_driver_with_tokens(|server| {
        let claims = json!({"channels": ["a", "closed:b"], "subs": {"c": {"data": {"x": 1}}}});
        let (mut client, reply) = connect_with(server, &token(claims));
        let subs = json!({"a": {}, "closed:b": {}, "c": {"data": {"x": 1}}});
        assert_eq!(reply["connect"]["subs"], subs);
        server.wait_for("subscriptions", 3);
        let again = json!({"id": 2, "subscribe": {"channel": "a"}});
        assert_eq!(ask(&mut client, again), error(2, 105, "already subscribed"));

        let many: Vec<_> = (0..200).map(|n| format!("t{n}")).collect();
        let mut client = open(server.address);
        let token = token(json!({"channels": many}));
        say(&mut client, json!({"id": 1, "connect": {"token": token}}));
        expect_close(&mut client, 3505);
    });
}

#[test]
fn a_subscription_needs_the_token_or_the_name_that_its_topic_asks_for() {
    on_each_driver_with_tokens(|server| {
        let ann = &mut connected(
            server,
            json!({"topics": ["by-token:ann"], "publish": ["by-token:*"]}),
        );
        let mut id = 1;
        let mut subscribe = |channel: &str, token: &str| {
            id += 1;
            let reply = ask(
                ann,
                json!({"id": id, "subscribe": {"channel": channel, "token": token}}),
            );
            let code = reply["error"]["code"].as_u64().unwrap_or(0);
            if code == 0 {
                ask(ann, json!({"id": id, "unsubscribe": {"channel": channel}}));
            }
            (code, reply["subscribe"]["ttl"].as_u64())
        };
        let of = |channel: &str| token(json!({"channel": channel}));
        for (channel, token, code) in [
            ("a", "", 0),
            ("closed:a", "", 103),
            ("closed:a", &*of("closed:a"), 103),
            ("by-token:ann", "", 0),
            ("by-token:b", "", 103),
            ("$secret", "", 103),
            ("news#ann", "", 0),
            ("news#bob,ann", "", 0),
            ("news#bob", "", 103),
            ("news#", "", 103),
            ("news#annie", "", 103),
            ("corecast:broadcast:/x", "", 103),
            ("by-token:b", "x", 103),
            ("by-token:b", &*of("by-token:c"), 103),
            ("by-token:b", &*token(json!({})), 103),
            (
                "by-token:b",
                &*token(json!({"channel": "by-token:b", "sub": "bob"})),
                103,
            ),
            (
                "by-token:b",
                &*token(json!({"channel": "by-token:b", "exp": now() - 1})),
                109,
            ),
        ] {
            assert_eq!(subscribe(channel, token), (code, None), "{channel} {token}");
        }
        for channel in ["by-token:b", "$secret", "news#bob"] {
            let (code, ttl) = subscribe(channel, &of(channel));
            assert_eq!(code, 0);
            assert!((590..=600).contains(&ttl.unwrap()), "{ttl:?}");
        }

        let publish = |client: &mut Client, channel| {
            let reply = ask(
                client,
                json!({"id": 5, "publish": {"channel": channel, "data": 1}}),
            );
            reply["error"]["code"].as_u64().unwrap_or(0)
        };
        for (channel, code) in [
            ("by-token:ann", 0),
            ("by-token:b", 103),
            ("news#bob", 103),
            ("$secret", 103),
            ("news#ann", 0),
        ] {
            assert_eq!(publish(ann, channel), code, "{channel}");
        }
        let bob = &mut connected(server, json!({"sub": "bob", "topics": ["by-token:*"]}));
        assert_eq!(publish(bob, "by-token:b"), 103);
    });
}

#[test]
fn a_connection_is_refreshed_or_ends() {
    on_each_driver_with_tokens(|server| {
        let client = &mut connected(server, json!({"exp": now() + 2}));
        let refresh = |token: &str| json!({"id": 2, "refresh": {"token": token}});
        let reply = ask(client, refresh(&token(json!({"exp": now() + 3}))));
        assert_eq!(reply["refresh"]["expires"], true, "{reply}");
        assert!(reply["refresh"]["ttl"].as_u64().unwrap() <= 3);
        expect_ping(client);
        expect_close(client, 3005);

        for (token, code) in [
            ("", 3501),
            ("x", 3500),
            (&*token(json!({"sub": "bob"})), 3500),
            (&*token(json!({"exp": now() - 1})), 3005),
        ] {
            let client = &mut connected(server, json!({}));
            say(client, refresh(token));
            expect_close(client, code);
        }
    });
}

#[test]
fn a_subscription_is_refreshed_or_ends() {
    on_each_driver_with_tokens(|server| {
        let client = &mut connected(server, json!({}));
        let of = |exp| token(json!({"channel": "$a", "exp": exp}));
        let reply = ask(
            client,
            json!({"id": 2, "subscribe": {"channel": "$a", "token": of(now() + 2)}}),
        );
        assert_eq!(reply["subscribe"]["expires"], true, "{reply}");
        let reply = ask(
            client,
            json!({"id": 3, "sub_refresh": {"channel": "$a", "token": of(now() + 3)}}),
        );
        assert_eq!(reply["sub_refresh"]["expires"], true, "{reply}");
        let old = json!({"id": 4, "sub_refresh": {"channel": "$a", "token": of(now() - 1)}});
        assert_eq!(ask(client, old), error(4, 109, "token expired"));
        let push = json!({"code": 2501, "reason": "subscription expired"});
        let push = json!({"push": {"channel": "$a", "unsubscribe": push}});
        assert_eq!(hear(client), push);
        server.wait_for("subscriptions", 0);
        expect_ping(client);
    });
}
