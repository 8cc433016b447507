//! `docs/api.yaml` describes the server that there is: each operation is served, each
//! status that it lists is answered and no other, and each body has the form it says.
//!
//! How: a list of requests that bring out the statuses, against a running server. The
//! file keeps to the part of YAML that the reader here knows: block mappings, block
//! lists and plain or quoted texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::backend::{ALL, DASH, SHOP, SLOW, WithApi};
use crate::support::http::exchange;
use crate::support::phoenix::{connect, join};

/// A line's indent and its text.
type Line<'a> = (usize, &'a str);

/// Reads a block, whose lines are indented by as much as the first.
fn read(lines: &mut &[Line<'_>]) -> Value {
    let indent = lines[0].0;
    if lines[0].1.starts_with("- ") {
        let mut list = Vec::new();
        while let Some(&(at, text)) = lines.first()
            && at == indent
            && let Some(item) = text.strip_prefix("- ")
        {
            // An item's own lines are those below, indented as its first.
            let mut block = vec![(indent + 2, item)];
            *lines = &lines[1..];
            while let Some(line) = lines.first()
                && line.0 > indent
            {
                block.push(*line);
                *lines = &lines[1..];
            }
            list.push(match item.contains(": ") || item.ends_with(':') {
                true => read(&mut &block[..]),
                false => scalar(item),
            });
        }
        return Value::Array(list);
    }
    let mut map = Map::new();
    while let Some(&(at, text)) = lines.first()
        && at == indent
    {
        let (key, value) = text
            .split_once(": ")
            .or_else(|| Some((text.strip_suffix(':')?, "")))
            .unwrap_or_else(|| panic!("no key: {text}"));
        *lines = &lines[1..];
        let is_block = value.is_empty() && lines.first().is_some_and(|line| line.0 > indent);
        let value = if is_block { read(lines) } else { scalar(value) };
        let twin = map.insert(key.trim_matches('\'').to_owned(), value);
        assert_eq!(twin, None, "{key} is there twice");
    }
    assert!(
        lines.first().is_none_or(|line| line.0 < indent),
        "{:?}",
        lines.first()
    );
    Value::Object(map)
}

fn scalar(text: &str) -> Value {
    match text {
        "{}" => json!({}),
        "[]" => json!([]),
        "true" => json!(true),
        text => match text.parse::<u64>() {
            Ok(number) => json!(number),
            Err(_) => json!(text.trim_matches('\'')),
        },
    }
}

fn document() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.yaml");
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<Line<'_>> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| (line.len() - line.trim_start().len(), line.trim_start()))
        .collect();
    read(&mut &lines[..])
}

/// What a reference leads to.
fn follow<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(reference) = value.get("$ref") else {
        return value;
    };
    let path = reference.as_str().unwrap().strip_prefix("#/").unwrap();
    let found = path.split('/').fold(document, |at, part| &at[part]);
    assert!(found.is_object(), "{path} is not there");
    found
}

/// Checks a value against a schema, as far as the file uses those.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = follow(document, schema);
    let is_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        None => true,
        Some(other) => panic!("the type {other} is not known here"),
    };
    assert!(is_type, "{place} is no {}: {value}", schema["type"]);
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        assert!(value.get(name).is_some(), "{place} has no {name}: {value}");
    }
    for (name, part) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        match (
            schema["properties"].get(name),
            schema.get("additionalProperties"),
        ) {
            (Some(schema), _) | (None, Some(schema)) => check(document, schema, part, &place),
            (None, None) if schema.get("properties").is_none() => {}
            (None, None) => panic!("{place} is not described"),
        }
    }
    for part in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], part, place);
    }
}

/// Requests that bring out each status of each operation: the operation, the key, the
/// target, and the body.
fn requests() -> Vec<(&'static str, &'static str, String, Value)> {
    let mut requests = Vec::new();
    let mut add = |operation, key, target: &str, body: Value| {
        requests.push((operation, key, target.to_owned(), body));
    };
    let large = json!({"channel": "a", "data": "x".repeat(5_000)});
    for key in [ALL, SHOP, "wrong", SLOW] {
        add("listTopics", key, "/topics?limit=10&prefix=r", Value::Null);
        add("countSubscribers", key, "/topics/room", Value::Null);
        add("publishToTopic", key, "/topics/room", json!(1));
        add("channels", key, "/api/channels", json!({}));
        add(
            "presenceStats",
            key,
            "/api/presence_stats",
            json!({"channel": "room"}),
        );
        add("info", key, "/api/info", json!({}));
    }
    for key in [ALL, DASH, "wrong", SLOW] {
        add(
            "publish",
            key,
            "/api/publish",
            json!({"channel": "room", "data": 1}),
        );
        let broadcast = json!({"channels": ["room", "", "b"], "data": 1});
        add("broadcast", key, "/api/broadcast", broadcast);
        let commands = json!([{"info": {}}, {"publish": {}}, {"x": {}}]);
        add("batch", key, "/api/batch", json!({"commands": commands}));
    }
    for (operation, target) in [
        ("publishToTopic", "/topics/room"),
        ("publish", "/api/publish"),
        ("broadcast", "/api/broadcast"),
        ("batch", "/api/batch"),
        ("channels", "/api/channels"),
        ("presenceStats", "/api/presence_stats"),
        ("info", "/api/info"),
    ] {
        add(operation, ALL, target, large.clone());
        if target.starts_with("/api") && operation != "info" {
            // An error in the body is described as well.
            add(operation, ALL, target, json!([]));
        }
    }
    add("listTopics", ALL, "/topics?limit=0", Value::Null);
    add("countSubscribers", ALL, "/topics/%ff", Value::Null);
    add("publishToTopic", ALL, "/topics/%ff", json!(1));
    requests
}

/// Statuses that need a server that is slow or full, or a request that hangs; shown by
/// the tests about those.
const ELSEWHERE: [&str; 3] = ["408", "409", "503"];

#[test]
fn the_description_is_that_of_the_running_server() {
    let document = document();
    let it = WithApi::start(&["--shards", "1", "--max-api-body", "4KiB"]);
    let mut client = connect(it.server.address);
    join(&mut client, "room");

    let mut operations = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            operations.insert(name, (path, method.to_uppercase(), operation));
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(follow(&document, parameter)["name"].is_string());
            }
        }
    }
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    // The slow key has five operations a second; these use them up.
    let slow = json!({"commands": vec![json!({"info": {}}); 500]});
    assert_eq!(
        it.send(
            "POST",
            "/api/batch",
            &[("X-API-Key", SLOW)],
            slow.to_string().as_bytes()
        )
        .status,
        413,
        "it is too large"
    );
    let slow = json!({"commands": vec![json!({"info": {}}); 200]}).to_string();
    it.send(
        "POST",
        "/api/batch",
        &[("X-API-Key", SLOW)],
        slow.as_bytes(),
    );

    for (name, key, target, body) in requests() {
        let (path, method, operation) = &operations[name];
        let stem = path.split('{').next().unwrap();
        assert!(target.starts_with(stem), "{target} is not {path}");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("X-API-Key", key), ("Content-Type", "application/json")];
        let response = it.send(method, &target, &headers, body.as_bytes());
        let status = response.status.to_string();
        let described = &operation["responses"][&status];
        assert!(
            described.is_object(),
            "{name} has no {status}: {}",
            response.text()
        );
        let described = follow(&document, described);
        let schema = &described["content"]["application/json"]["schema"];
        let value = serde_json::from_slice(&response.body).unwrap();
        check(&document, schema, &value, name);
        seen.entry(name).or_default().insert(status);
    }
    for (name, (_, _, operation)) in &operations {
        let described = operation["responses"].as_object().unwrap().keys();
        let described: BTreeSet<String> = described
            .filter(|status| !ELSEWHERE.contains(&status.as_str()))
            .cloned()
            .collect();
        assert_eq!(seen.get(name), Some(&described), "the statuses of {name}");
    }
}

/// A server that had more paths than the file would be described by half.
#[test]
fn what_is_not_described_is_not_served() {
    let document = document();
    let it = WithApi::start(&["--shards", "1"]);
    let paths = document["paths"].as_object().unwrap();
    for path in ["/topics", "/topics/a"] {
        let described = match path {
            "/topics" => &paths["/topics"],
            _ => &paths["/topics/{topic}"],
        };
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let is_described = described.get(method.to_lowercase()).is_some();
            let is_served = it.ask(ALL, method, path).status != 405;
            assert_eq!(is_served, is_described, "{method} {path}");
        }
    }
    for method in [
        "publish",
        "broadcast",
        "batch",
        "subscribe",
        "unsubscribe",
        "disconnect",
        "refresh",
        "presence",
        "presence_stats",
        "channels",
        "info",
        "history",
        "history_remove",
    ] {
        let target = format!("/api/{method}");
        let is_served = !it.ask(ALL, "POST", &target).text().contains("104");
        assert_eq!(is_served, paths.contains_key(&target), "{target}");
    }
    // The only place where requests without a key are answered.
    let request = b"GET /topics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(it.api, request).status, 401);
}
