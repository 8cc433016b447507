//! What the API does stands in `/stats` and `/metrics`, and a sample of what it refuses
//! in the log.
//!
//! How: one request of each kind, and the numbers after it.

use serde_json::json;

use crate::backend::{ALL, WithApi};
use crate::support::{Server, http};

#[test]
fn requests_publications_and_refusals_are_counted() {
    let it = WithApi::start(&["--shards", "2"]);
    let publish = json!({"channel": "a", "data": 1, "idempotency_key": "k"});
    it.call("publish", publish.clone());
    it.call("publish", publish.clone());
    it.call(
        "batch",
        json!({"commands": [{"publish": {"channel": "b", "data": 1}}, {"x": {}}]}),
    );
    it.ask("wrong", "GET", "/topics");
    it.ask(ALL, "GET", "/nowhere\u{7f}".trim_end_matches('\u{7f}'));
    for (key, value) in [
        ("requests", 5),
        ("publications", 2),
        ("replays", 1),
        ("forgotten_keys", 0),
        ("refused.unauthorized", 1),
        ("refused.not_found", 2),
        ("refused.full", 0),
    ] {
        assert_eq!(it.counted(key), value, "{key}");
    }
    // Each shard takes each publication in.
    it.server.wait_for("outside_publications", 4);
    let metrics = http::get(it.server.admin, "/metrics").text();
    for line in [
        "corecast_api_requests_total 5",
        "corecast_api_publications_total 2",
        "corecast_api_refused_total{reason=\"unauthorized\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let log = it.server.log();
    let lines = log.matches("the HTTP API refused a request").count();
    assert_eq!(lines, 2, "{log}");
    assert!(log.contains("/nowhere"), "{log}");
}

#[test]
fn a_flood_of_wrong_keys_leaves_one_line() {
    let it = WithApi::start(&["--shards", "1"]);
    for _ in 0..200 {
        assert_eq!(it.ask("wrong", "GET", "/topics").status, 401);
    }
    let log = it.server.log();
    assert_eq!(
        log.matches("the HTTP API refused a request").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_server_without_an_api_has_no_numbers_of_one() {
    let server = Server::start(&["--shards", "1"]);
    assert!(server.stats().get("api").is_none());
    assert!(
        !http::get(server.admin, "/metrics")
            .text()
            .contains("corecast_api")
    );
}
