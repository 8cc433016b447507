//! Signed tokens: only a session with a good one that names the topic may join, and the
//! server says nothing about them.
//!
//! How: tokens are signed here with keys made by openssl's own command, once
//! for each algorithm, and then spoiled in every way that must not pass.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::client::{Client, request_with};
use crate::support::phoenix::{connect, error, hear, ok, say};
use crate::support::{Server, corecast, on_each_driver, run, skip};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &[u8] = b"a secret that only this test knows, and no one else";

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

/// A token's claims without fault.
fn claims() -> Value {
    json!({
        "sub": "ann",
        "exp": now() + 600,
        "aud": "chat",
        "iss": "shop",
        "topics": ["room:*", "user:{id}"],
    })
}

fn sign(claims: &Value) -> String {
    encode(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(SECRET),
    )
    .unwrap()
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    sign(&claims)
}

fn config(directory: &Path, token: &str) -> String {
    let path = directory.join("corecast.toml");
    let text = format!(
        "[handlers.phoenix.token]\n{token}\n[[handlers.phoenix.topics]]\npattern = '*'\njoin = 'token'\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn on_each_driver_with_secret(test: impl Fn(&Server)) {
    let directory = TempDir::new().unwrap();
    let secret = directory.path().join("secret");
    let mut file = std::fs::File::create(&secret).unwrap();
    file.write_all(SECRET).unwrap();
    file.write_all(b"\n").unwrap();
    let token = format!(
        "algorithm = 'HS256'\nsecret_file = '{}'\naudience = 'chat'\nissuer = 'shop'",
        secret.display()
    );
    let config = config(directory.path(), &token);
    on_each_driver(
        &["--shards", "1", "--config", &config, "--log-level", "trace"],
        test,
    );
}

/// Whether a join with this payload is granted.
fn may_join(client: &mut Client, topic: &str, payload: Value) -> bool {
    say(client, json!(["j", "r", topic, "phx_join", payload]));
    let answer = hear(client);
    if answer == ok("j", "r", topic) {
        say(client, json!(["j", "r", topic, "phx_leave", {}]));
        hear(client);
        hear(client);
        return true;
    }
    assert_eq!(answer, error("j", "r", topic, "unauthorized"));
    false
}

#[test]
fn a_good_token_opens_the_topics_it_names() {
    on_each_driver_with_secret(|server| {
        let client = &mut connect(server.address);
        let token = sign(&claims());
        for (topic, may) in [
            ("room:a", true),
            ("user:7", true),
            ("user:7:x", false),
            ("b", false),
        ] {
            assert_eq!(
                may_join(client, topic, json!({"token": token})),
                may,
                "{topic}"
            );
        }
        assert!(!may_join(client, "room:a", json!({})));
        assert!(!may_join(client, "room:a", json!({"token": 7})));
        assert!(!server.log().contains(&token));
    });
}

#[test]
fn a_bad_token_opens_nothing() {
    on_each_driver_with_secret(|server| {
        let client = &mut connect(server.address);
        let good = sign(&claims());
        let [header, body, signature]: [&str; 3] =
            good.split('.').collect::<Vec<_>>().try_into().unwrap();
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let other_key = EncodingKey::from_secret(b"another secret, of another server altogether");
        let wider =
            URL_SAFE_NO_PAD.encode(json!({"exp": now() + 600, "topics": ["*"]}).to_string());
        for (what, token) in [
            ("expired", with(|claims| claims["exp"] = json!(now() - 1))),
            (
                "not yet valid",
                with(|claims| claims["nbf"] = json!(now() + 600)),
            ),
            (
                "for ever",
                with(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
            ),
            ("for others", with(|claims| claims["aud"] = json!("mail"))),
            (
                "for nobody",
                with(|claims| drop(claims.as_object_mut().unwrap().remove("aud"))),
            ),
            ("by others", with(|claims| claims["iss"] = json!("thief"))),
            ("for no topics", with(|claims| claims["topics"] = json!([]))),
            (
                "without topics",
                with(|claims| drop(claims.as_object_mut().unwrap().remove("topics"))),
            ),
            (
                "for no patterns",
                with(|claims| claims["topics"] = json!(["{", "*:*", ""])),
            ),
            (
                "topics of another form",
                with(|claims| claims["topics"] = json!("*")),
            ),
            (
                "another key",
                encode(&Header::default(), &claims(), &other_key).unwrap(),
            ),
            (
                "another algorithm",
                encode(
                    &Header::new(Algorithm::HS512),
                    &claims(),
                    &EncodingKey::from_secret(SECRET),
                )
                .unwrap(),
            ),
            ("unsigned", format!("{unsigned}.{body}.")),
            (
                "unsigned but signed",
                format!("{unsigned}.{body}.{signature}"),
            ),
            ("changed", format!("{header}.{wider}.{signature}")),
            ("cut", good[..good.len() - 1].to_owned()),
            ("empty", String::new()),
            ("dots", "..".to_owned()),
            ("words", "not a token".to_owned()),
        ] {
            assert!(
                !may_join(client, "room:a", json!({"token": token})),
                "{what}"
            );
        }
        assert!(may_join(client, "room:a", json!({"token": good})));
    });
}

#[test]
fn a_token_may_come_with_the_connection() {
    on_each_driver_with_secret(|server| {
        let token = sign(&claims());
        let path = format!("/socket/websocket?vsn=2.0.0&token={token}");
        let client = &mut Client::connect(server.address, &path);
        assert!(may_join(client, "room:a", json!({})));
        assert!(!may_join(
            client,
            "room:a",
            json!({"token": "a bad one counts first"})
        ));

        let offered = format!(
            "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.{}\r\n",
            URL_SAFE_NO_PAD.encode(&token)
        );
        let client = &mut Client::open(server.address);
        client.send(request_with("/socket/websocket?vsn=2.0.0", &offered).as_bytes());
        let head = client.response_head();
        assert!(
            head.contains("\r\nSec-WebSocket-Protocol: phoenix\r\n"),
            "{head}"
        );
        assert!(may_join(client, "room:a", json!({})));
        assert!(!server.log().contains(&token));
    });
}

/// A token with this header and these claims, signed with the secret.
fn sign_raw(header: &str, claims: &str) -> String {
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = message.join(".");
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.unwrap())
}

/// An extension that must be understood is not (RFC 7515 §4.1.11), and neither
/// is a payload that is not encoded (RFC 7797).
#[test]
fn a_token_that_asks_for_an_extension_opens_nothing() {
    on_each_driver_with_secret(|server| {
        let client = &mut connect(server.address);
        for (header, may) in [
            (r#"{"alg":"HS256"}"#, true),
            (r#"{"alg":"HS256","typ":"JWT","kid":"7","x":1}"#, true),
            (r#"{"alg":"HS256","b64":true}"#, true),
            (r#"{"alg":"HS256","crit":["x"],"x":1}"#, false),
            (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, false),
            (r#"{"alg":"HS256","crit":["exp"]}"#, false),
            (r#"{"alg":"HS256","crit":[]}"#, false),
            (r#"{"alg":"HS256","crit":"x"}"#, false),
            (r#"{"alg":"HS256","crit":null}"#, false),
            (r#"{"alg":"HS256","cr\u0069t":["x"],"x":1}"#, false),
            (r#"{"alg":"HS256","b64":false}"#, false),
            (r#"{"alg":"none"}"#, false),
            (r#"{"alg":"hs256"}"#, false),
            (r#"{"alg":"RS256"}"#, false),
            (r#"{"alg":"RS256","alg":"HS256"}"#, false),
            (r#"{"typ":"JWT"}"#, false),
            (r#"["HS256"]"#, false),
        ] {
            let token = sign_raw(header, &claims().to_string());
            let granted = may_join(client, "room:a", json!({"token": token}));
            assert_eq!(granted, may, "{header}");
        }
    });
}

/// The types that RFC 7519 §4.1 gives the claims.
#[test]
fn a_claim_of_another_type_opens_nothing() {
    on_each_driver_with_secret(|server| {
        let client = &mut connect(server.address);
        for (claim, value, may) in [
            ("exp", json!(now() + 600), true),
            ("exp", json!(now() as f64 + 600.5), true),
            ("exp", json!((now() + 600).to_string()), false),
            ("exp", json!(null), false),
            ("exp", json!([now() + 600]), false),
            ("exp", json!(-1), false),
            ("exp", json!(0), false),
            ("nbf", json!(now() - 1), true),
            ("nbf", json!("0"), false),
            ("nbf", json!(-1), false),
            ("sub", json!(7), false),
            ("sub", json!(["ann"]), false),
            ("iss", json!(["shop"]), false),
            ("iss", json!(["thief", "shop"]), false),
            ("iss", json!("shop "), false),
            ("aud", json!(["chat", "mail"]), true),
            ("aud", json!(["mail"]), false),
            ("aud", json!([]), false),
            ("aud", json!({"chat": 1}), false),
        ] {
            let token = with(|claims| claims[claim] = value.clone());
            let granted = may_join(client, "room:a", json!({"token": token}));
            assert_eq!(granted, may, "{claim} {value}");
        }
        for claim in ["exp", "nbf", "sub", "iss", "aud", "topics"] {
            let mut once = claims();
            once["nbf"] = json!(now() - 1);
            let text = once.to_string();
            let twice = format!("{},\"{claim}\":{}}}", &text[..text.len() - 1], once[claim]);
            let token = sign_raw(r#"{"alg":"HS256"}"#, &twice);
            let granted = may_join(client, "room:a", json!({"token": token}));
            assert!(!granted, "{claim} twice");
        }
        // The second in which it expires is too late already (§4.1.4).
        let token = with(|claims| claims["exp"] = json!(now()));
        assert!(!may_join(client, "room:a", json!({"token": token})));
    });
}

/// A token with an audience is refused where no audience is configured (§4.1.3).
#[test]
fn an_audience_must_be_expected() {
    let directory = TempDir::new().unwrap();
    let secret = std::str::from_utf8(SECRET).unwrap();
    let token = format!("algorithm = 'HS256'\nsecret = '{secret}'");
    let config = config(directory.path(), &token);
    let server = Server::start(&["--shards", "1", "--config", &config]);
    let client = &mut connect(server.address);
    for (audience, may) in [
        (json!(null), true),
        (json!("chat"), false),
        (json!(7), false),
    ] {
        let token = with(|claims| claims["aud"] = audience.clone());
        let granted = may_join(client, "room:a", json!({"token": token}));
        assert_eq!(granted, may, "{audience}");
    }
}

/// A server with this token table does not start; what it says of it.
fn complaint(directory: &Path, token: &str) -> String {
    let config = config(directory, token);
    let (code, _, err) = run(corecast().args(["serve", "--print-config", "--config", &config]));
    assert_eq!(code, 2, "{token}");
    assert!(err.contains("phoenix.token"), "{err}");
    err
}

#[test]
fn a_secret_that_is_none_is_refused() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("secret");
    for (secret, why) in [
        ("", "0 bytes"),
        ("\n", "0 bytes"),
        ("31 bytes are less than the hash", "31 bytes"),
        (
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n",
            "public_key_file",
        ),
    ] {
        std::fs::write(&file, secret).unwrap();
        let token = format!("algorithm = 'HS256'\nsecret_file = '{}'", file.display());
        let err = complaint(directory.path(), &token);
        assert!(err.contains(why), "{err}");
    }
    let err = complaint(directory.path(), "algorithm = 'HS256'\nsecret = 'short'");
    assert!(err.contains("5 bytes"), "{err}");
}

/// A private key where the public one belongs, one that is too small or too
/// large, and one for another algorithm.
#[test]
fn a_key_that_does_not_fit_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let rsa = |bits| format!("rsa_keygen_bits:{bits}");
    let private = path.join("private.pem");
    let private = private.to_str().unwrap();
    let public = path.join("public.pem");
    let public = public.to_str().unwrap();
    for (algorithm, arguments, file, why) in [
        (
            "EdDSA",
            vec!["-algorithm", "ED25519"],
            private,
            "private key",
        ),
        ("RS256", vec!["-algorithm", "ED25519"], public, "RS256"),
        ("EdDSA", vec!["-algorithm", "X25519"], public, "EdDSA"),
        (
            "RS256",
            vec!["-algorithm", "RSA", "-pkeyopt", &rsa(2048)],
            private,
            "private key",
        ),
        (
            "EdDSA",
            vec!["-algorithm", "RSA", "-pkeyopt", &rsa(2048)],
            public,
            "EdDSA",
        ),
        (
            "RS256",
            vec!["-algorithm", "RSA", "-pkeyopt", &rsa(1024)],
            public,
            "1024 bits",
        ),
    ] {
        if key_pair(path, &arguments).is_none() {
            return;
        }
        let token = format!("algorithm = '{algorithm}'\npublic_key_file = '{file}'");
        let err = complaint(path, &token);
        assert!(err.contains(why) && err.contains(file), "{err}");
    }
    // Its algorithm is right and its bytes are too few.
    let short = "-----BEGIN PUBLIC KEY-----\nMA4wBQYDK2VwAwUAAQIDBA==\n-----END PUBLIC KEY-----\n";
    std::fs::write(public, short).unwrap();
    let token = format!("algorithm = 'EdDSA'\npublic_key_file = '{public}'");
    let err = complaint(path, &token);
    assert!(err.contains("32 bytes"), "{err}");
}

/// Makes a pair of keys; `None`, with a word about it, where openssl is missing.
fn key_pair(directory: &Path, arguments: &[&str]) -> Option<(Vec<u8>, String)> {
    let (private, public) = (directory.join("private.pem"), directory.join("public.pem"));
    let mut make = Command::new("openssl");
    make.arg("genpkey")
        .args(arguments)
        .arg("-out")
        .arg(&private);
    if make.output().is_err() {
        skip("tokens with key pairs", "openssl is not installed");
        return None;
    }
    let mut publish = Command::new("openssl");
    publish
        .args(["pkey", "-pubout", "-in"])
        .arg(&private)
        .arg("-out")
        .arg(&public);
    let (code, _, err) = run(&mut publish);
    assert_eq!(code, 0, "{err}");
    Some((
        std::fs::read(private).unwrap(),
        public.to_str().unwrap().to_owned(),
    ))
}

#[test]
fn tokens_are_signed_with_private_keys_too() {
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let ed25519 = ["-algorithm", "ED25519"];
    type FromPem = fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>;
    let cases: [(&str, Algorithm, &[&str], FromPem); 2] = [
        ("RS256", Algorithm::RS256, &rsa, EncodingKey::from_rsa_pem),
        (
            "EdDSA",
            Algorithm::EdDSA,
            &ed25519,
            EncodingKey::from_ed_pem,
        ),
    ];
    for (name, algorithm, arguments, from_pem) in cases {
        let directory = TempDir::new().unwrap();
        let Some((private, public)) = key_pair(directory.path(), arguments) else {
            return;
        };
        let token =
            format!("algorithm = '{name}'\npublic_key_file = '{public}'\naudience = 'chat'");
        let config = config(directory.path(), &token);
        let server = Server::start(&["--shards", "1", "--driver", "epoll", "--config", &config]);
        let client = &mut connect(server.address);
        let key = from_pem(&private).unwrap();
        let token = encode(&Header::new(algorithm), &claims(), &key).unwrap();
        assert!(
            may_join(client, "room:a", json!({"token": token})),
            "{name}"
        );
        // The public key is known to all, so it must not do for a secret.
        let public_key = EncodingKey::from_secret(&std::fs::read(&public).unwrap());
        let forged = encode(&Header::default(), &claims(), &public_key).unwrap();
        assert!(
            !may_join(client, "room:a", json!({"token": forged})),
            "{name}"
        );
        assert!(
            !may_join(client, "room:a", json!({"token": sign(&claims())})),
            "{name}"
        );
    }
}
