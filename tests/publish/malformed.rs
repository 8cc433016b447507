//! Requests that are not well formed, or ask for what there is not, are answered with a
//! sentence in JSON, and the API goes on.
//!
//! How: each fault once, and a good request after it.

use serde_json::json;

use crate::backend::{ALL, WithApi, json as body_of, problem};
use crate::support::http::exchange;

const KEY: (&str, &str) = ("X-API-Key", ALL);
const TRANSPORT: (&str, &str) = ("X-Centrifugo-Error-Mode", "transport");

#[test]
fn parameters_that_are_none_are_told() {
    let it = WithApi::start(&["--shards", "1"]);
    let long = "x".repeat(1_025);
    let many_tags: serde_json::Map<_, _> = (0..65).map(|n| (n.to_string(), json!("v"))).collect();
    for (method, body, part) in [
        ("publish", "{".to_owned(), "EOF"),
        ("publish", "[]".to_owned(), "no object"),
        ("publish", "[[[[[[".repeat(1_000), "bad request"),
        ("publish", "null".to_owned(), "bad request"),
        ("publish", "{} {}".to_owned(), "trailing"),
        ("publish", "{}".to_owned(), "'channel' is missing"),
        (
            "publish",
            r#"{"channel": 7, "data": 1}"#.to_owned(),
            "invalid type",
        ),
        (
            "publish",
            r#"{"channel": "", "data": 1}"#.to_owned(),
            "has no name",
        ),
        (
            "publish",
            r#"{"channel": "a"}"#.to_owned(),
            "'data' is missing",
        ),
        (
            "publish",
            r#"{"channel": "a", "data": null}"#.to_owned(),
            "'data' is missing",
        ),
        (
            "publish",
            r#"{"channel": "a", "data": {"a":}}"#.to_owned(),
            "expected value",
        ),
        (
            "publish",
            r#"{"channel": "a", "b64data": "%"}"#.to_owned(),
            "not base64",
        ),
        (
            "publish",
            json!({"channel": long, "data": 1}).to_string(),
            "longer than 1024",
        ),
        (
            "publish",
            json!({"channel": "a", "data": 1, "tags": {"event": "a\nb"}}).to_string(),
            "control characters",
        ),
        (
            "publish",
            json!({"channel": "a", "data": 1, "tags": {"event": "phx_close"}}).to_string(),
            "only the server",
        ),
        (
            "publish",
            json!({"channel": "a", "data": 1, "tags": {"a": 1}}).to_string(),
            "invalid",
        ),
        (
            "publish",
            json!({"channel": "a", "data": 1, "tags": many_tags}).to_string(),
            "64 tags",
        ),
        (
            "publish",
            json!({"channel": "a", "data": 1, "tags": {"a": long}}).to_string(),
            "a tag",
        ),
        ("broadcast", r#"{"data": 1}"#.to_owned(), "0 'channels'"),
        (
            "broadcast",
            json!({"channels": vec!["a"; 10_001], "data": 1}).to_string(),
            "10001",
        ),
        ("batch", "{}".to_owned(), "commands"),
        ("batch", r#"{"commands": [{}]}"#.to_owned(), "one method"),
        (
            "batch",
            json!({"commands": vec![json!({"info": {}}); 10_001]}).to_string(),
            "10001",
        ),
        ("presence_stats", "{}".to_owned(), "channel"),
        (
            "channels",
            r#"{"pattern": "[a-z]"}"#.to_owned(),
            "only * and ?",
        ),
    ] {
        let target = format!("/api/{method}");
        let response = it.send("POST", &target, &[KEY], body.as_bytes());
        assert_eq!(response.status, 200, "{body:.100}");
        let (code, message) = problem(&response);
        assert_eq!(code, 107, "{body:.100}");
        assert!(message.contains(part), "{message}: {body:.100}");
        let response = it.send("POST", &target, &[KEY, TRANSPORT], body.as_bytes());
        assert_eq!(response.status, 400);
        assert_eq!(body_of(&response)["code"], 107, "{}", response.text());
    }
    let response = it.send("POST", "/api/publish", &[KEY], b"{\"channel\": \"\xff\"}");
    assert!(problem(&response).1.contains("UTF-8"));
    // As deep as a body allows: it is passed on, and costs no stack.
    let (open, close) = ("[".repeat(400_000), "]".repeat(400_000));
    let deep = format!(r#"{{"channel": "a", "data": {open}{close}}}"#);
    let response = it.send("POST", "/api/publish", &[KEY], deep.as_bytes());
    assert_eq!(response.text(), r#"{"result":{}}"#);
    let deep = [open, close].concat();
    assert_eq!(
        it.post("a", "application/json", deep.as_bytes()).status,
        202
    );
    it.call("publish", json!({"channel": "a", "data": 1}));
}

#[test]
fn an_unknown_method_is_not_found() {
    let it = WithApi::start(&["--shards", "1"]);
    for method in [
        "nothing",
        "subscribe",
        "unsubscribe",
        "disconnect",
        "refresh",
        "presence",
    ] {
        let target = format!("/api/{method}");
        let response = it.send("POST", &target, &[KEY], b"{}");
        assert_eq!(response.status, 200);
        let error = json!({"error": {"code": 104, "message": "method not found"}});
        assert_eq!(body_of(&response), error);
        let response = it.send("POST", &target, &[KEY, TRANSPORT], b"{}");
        assert_eq!(response.status, 404);
        assert_eq!(body_of(&response), error["error"]);
    }
}

#[test]
fn paths_and_http_methods_that_there_are_not_are_told() {
    let it = WithApi::start(&["--shards", "1"]);
    for target in [
        "/",
        "/api",
        "/api/",
        "/api/publish/more",
        "/topics/",
        "/topic/a",
        "/metrics",
    ] {
        for method in ["GET", "POST"] {
            let response = it.ask(ALL, method, target);
            assert_eq!(response.status, 404, "{method} {target}");
            assert!(problem(&response).1.contains("POST /api/{method}"));
        }
    }
    for (method, target, allowed) in [
        ("GET", "/api/publish", "POST"),
        ("OPTIONS", "/api/publish", "POST"),
        ("POST", "/topics", "GET,HEAD"),
        ("PUT", "/topics/a", "GET,HEAD,POST"),
        ("DELETE", "/topics/a", "GET,HEAD,POST"),
    ] {
        let response = it.ask(ALL, method, target);
        assert_eq!(response.status, 405, "{method} {target}");
        assert_eq!(response.header("allow"), Some(allowed), "{target}");
        assert_eq!(problem(&response).0, 107);
    }
    for target in ["/topics", "/topics/a"] {
        let response = it.ask(ALL, "HEAD", target);
        assert_eq!((response.status, response.body.len()), (200, 0));
        let length = response.header("content-length").unwrap();
        assert_ne!(length, "0");
    }
    for target in [
        "/topics?limit=0",
        "/topics?after=x",
        "/topics?x=1",
        "/topics/%ff",
    ] {
        let response = it.ask(ALL, "GET", target);
        assert_eq!(
            (response.status, problem(&response).0),
            (400, 107),
            "{target}"
        );
    }
}

#[test]
fn bytes_that_are_no_request_end_their_connection_only() {
    let it = WithApi::start(&["--shards", "1"]);
    let head = format!("POST /topics/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {ALL}\r\n");
    for bytes in [
        "\u{16}\u{3}\u{1}\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        // Two lengths, and a length beside chunks: the ways to smuggle a request.
        format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        format!("{head}Content-Length: x\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
    ] {
        let response = exchange(it.api, bytes.as_bytes());
        assert!(
            (400..500).contains(&response.status),
            "{bytes:?}: {}",
            response.head
        );
    }
    // Beyond the buffer of a connection; read in time, or the rest of it resets the answer.
    let long = format!("GET /topics HTTP/1.1\r\nX-Long: {}", "x".repeat(65_536));
    assert_eq!(exchange(it.api, long.as_bytes()).status, 431);
    assert_eq!(it.post("a", "text/plain", b"1").status, 202);
}
