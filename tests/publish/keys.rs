//! Keys: who may ask at all, who may do what, and how often.
//!
//! How: requests with good, wrong and missing keys, and starts that are refused.

use std::fs;

use serde_json::json;

use crate::backend::{ALL, DASH, SHOP, SLOW, WithApi, api_address, json, keys, problem};
use crate::support::http::exchange;
use crate::support::{Server, corecast, run, wait_until};

#[test]
fn a_wrong_or_missing_key_is_answered_401() {
    let it = WithApi::start(&["--shards", "1"]);
    let almost = ALL.replace("def", "deF");
    for headers in [
        &[][..],
        &[("X-API-Key", "")],
        &[("X-API-Key", &*almost)],
        &[("X-API-Key", &ALL[1..])],
        &[("Authorization", ALL)],
        &[("Authorization", &*format!("Bearer {ALL}"))],
        &[("Authorization", "apikey")],
        // The first that counts is wrong.
        &[
            ("X-API-Key", "wrong"),
            ("Authorization", &*format!("apikey {ALL}")),
        ],
    ] {
        for target in ["/api/publish", "/topics/a", "/nowhere"] {
            let response = it.send("POST", target, headers, b"{}");
            assert_eq!(response.status, 401, "{headers:?} {target}");
            assert_eq!(response.header("www-authenticate"), Some("apikey"));
            let (code, message) = problem(&response);
            assert_eq!(code, 101);
            assert!(message.contains("X-API-Key"), "{message}");
            assert!(!response.text().contains(&almost));
        }
    }
    // A key in the address would stand in logs, and does not count.
    let target = format!("/topics?api_key={ALL}");
    assert_eq!(it.send("GET", &target, &[], b"").status, 401);
    for headers in [
        [("X-API-Key", ALL)],
        [("x-api-key", ALL)],
        [("Authorization", &*format!("apikey {ALL}"))],
        [("Authorization", &*format!("APIKEY   {ALL}"))],
    ] {
        assert_eq!(
            it.send("GET", "/topics", &headers, b"").status,
            200,
            "{headers:?}"
        );
    }
    let log = it.server.log();
    assert!(log.contains("the HTTP API refused a request"), "{log}");
    assert!(log.contains("unauthorized"), "{log}");
    assert!(!log.contains(ALL) && !log.contains(&almost), "{log}");
}

#[test]
fn a_key_may_do_what_its_scopes_say() {
    let it = WithApi::start(&["--shards", "1"]);
    let post = |key: &str, topic: &str| {
        let headers = [("X-API-Key", key)];
        it.send("POST", &format!("/topics/{topic}"), &headers, b"1")
    };
    assert_eq!(post(SHOP, "orders:7").status, 202);
    for (key, topic) in [
        (SHOP, "order:7"),
        (SHOP, "corecast:broadcast:/x"),
        (DASH, "orders:7"),
    ] {
        let refused = post(key, topic);
        assert_eq!(refused.status, 403);
        assert_eq!(problem(&refused).0, 103);
    }
    for target in ["/topics", "/topics/orders:7"] {
        assert_eq!(it.ask(DASH, "GET", target).status, 200);
        let refused = it.ask(SHOP, "GET", target);
        assert_eq!(refused.status, 403);
        assert!(problem(&refused).1.contains("the key 'shop'"));
    }
    let publish = |channel: &str| json!({"channel": channel, "data": 1});
    let call = |key: &str, method: &str, body: String| {
        let target = format!("/api/{method}");
        it.send("POST", &target, &[("X-API-Key", key)], body.as_bytes())
    };
    for (key, method, params, status) in [
        (SHOP, "publish", publish("orders:1"), 200),
        (SHOP, "publish", publish("news"), 403),
        (DASH, "publish", publish("orders:1"), 403),
        (SHOP, "info", json!({}), 403),
        (SHOP, "channels", json!({}), 403),
        (SHOP, "presence_stats", json!({"channel": "orders:1"}), 403),
        (DASH, "info", json!({}), 200),
        (DASH, "presence_stats", json!({"channel": "orders:1"}), 200),
    ] {
        let response = call(key, method, params.to_string());
        assert_eq!(response.status, status, "{method} {params}");
    }
    // A broadcast reaches where it may go, and says where it may not.
    let params = json!({"channels": ["orders:1", "news"], "data": 1});
    let response = call(SHOP, "broadcast", params.to_string());
    let responses = &json(&response)["result"]["responses"];
    assert_eq!(responses[0], json!({"result": {}}));
    assert_eq!(responses[1]["error"]["code"], 103);
    let params = json!({"commands": [{"publish": publish("news")}, {"info": {}}]});
    let replies = &json(&call(SHOP, "batch", params.to_string()))["replies"];
    assert_eq!(replies[0]["error"]["code"], 103);
    assert_eq!(replies[1]["error"]["code"], 103);
}

#[test]
fn a_key_may_do_so_much_a_second() {
    let it = WithApi::start(&["--shards", "1"]);
    let ask = || it.ask(SLOW, "GET", "/topics");
    let refused = (0..6)
        .map(|_| ask())
        .find(|response| response.status != 200);
    let refused = refused.expect("five a second are allowed");
    assert_eq!(refused.status, 429);
    assert_eq!(problem(&refused).0, 111);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        it.ask(ALL, "GET", "/topics").status,
        200,
        "another key has its own"
    );
    wait_until("it may ask again", || ask().status == 200);
    // Each part of a batch counts.
    wait_until("it may publish again", || {
        let publish = json!({"publish": {"channel": "a", "data": 1}});
        let params = json!({"commands": vec![publish; 50]}).to_string();
        let headers = [("X-API-Key", SLOW)];
        it.send("POST", "/api/batch", &headers, params.as_bytes())
            .status
            == 200
    });
    let refused = ask();
    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((8..=10).contains(&seconds), "{seconds}");
}

#[test]
fn sighup_reads_the_keys_again() {
    let it = WithApi::start(&["--shards", "1"]);
    let reload = |text: &str, said: &str| {
        fs::write(&it.key_file, text).unwrap();
        let lines = |log: &str| log.lines().filter(|line| line.contains(said)).count();
        let before = lines(&it.server.log());
        it.server.signal(libc::SIGHUP);
        wait_until(said, || lines(&it.server.log()) > before);
    };
    let renamed = keys().replace(DASH, "new-0123456789abcdef");
    reload(&renamed, "the keys of api_key_file were read again");
    assert_eq!(it.ask(DASH, "GET", "/topics").status, 401);
    assert_eq!(it.ask("new-0123456789abcdef", "GET", "/topics").status, 200);
    // One that cannot stand changes nothing, and shows no key.
    let broken = format!("{renamed}\n[[keys]]\nname = \"x\"\nkey = {SHOP}");
    reload(&broken, "every setting stays as it is");
    assert_eq!(it.ask(ALL, "GET", "/topics").status, 200);
    let log = it.server.log();
    assert!(log.contains("near line"), "{log}");
    assert!(!log.contains(SHOP), "{log}");
}

#[test]
fn a_start_without_keys_is_refused_unless_it_is_chosen() {
    let start = |more: &[&str]| {
        let mut command = corecast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--api", "127.0.0.1:0"])
            .args(more);
        command
    };
    let (code, _, err) = run(&mut start(&[]));
    assert_eq!(code, 2);
    assert!(err.contains("--api-key-file FILE"), "{err}");
    let (code, _, err) = run(&mut start(&["--api-key-file", "/nowhere/keys.toml"]));
    assert_ne!(code, 0);
    assert!(
        err.contains("--api-key-file: '/nowhere/keys.toml' cannot be read"),
        "{err}"
    );

    let server = Server::spawn(&mut start(&["--api-insecure", "--shards", "1"]));
    let api = api_address(&server);
    assert!(server.log().contains("the HTTP API asks for no key"));
    let mut second = corecast();
    second
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "off"])
        .args(["--api-insecure", "--api", &api.to_string()]);
    let (code, _, err) = run(&mut second);
    assert_ne!(code, 0);
    let busy = format!("the HTTP API cannot listen on {api}");
    assert!(err.contains(&busy) && err.contains("--api off"), "{err}");
    let ask = |more: &str| {
        let request = format!("GET /topics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n");
        exchange(api, request.as_bytes()).status
    };
    assert_eq!(ask(""), 200);
    // A page that the user of this host has open in a browser.
    assert_eq!(ask("Origin: http://evil.example\r\n"), 403);
}
