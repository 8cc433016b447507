//! The settings of built-in handlers as an embedder gives them: a table by the
//! handler's name, which the handler reads when the server is made.

use crate::support::phoenix::{connect, error, hear, join, say};
use corecast::config::{RouteSetting, UnreadTable, UnreadValue};
use corecast::{Config, Server};
use serde_json::json;

/// A configuration with the demo's routes and one table.
fn config(handler: &str, key: &str, value: UnreadValue) -> Config {
    let mut table = UnreadTable::default();
    table.set(key, value);
    Config::new()
        .listen(["127.0.0.1:0".parse().unwrap()])
        .shards(1)
        .routes(RouteSetting::demo())
        .handler(handler, table)
}

#[test]
fn a_handler_keeps_to_its_table() {
    let config = config("phoenix", "max_topics_per_socket", UnreadValue::Integer(1));
    let server = Server::new(config).unwrap().start().unwrap();
    let client = &mut connect(server.local_addr());
    join(client, "a");
    say(client, json!(["j", "r", "b", "phx_join", {}]));
    assert_eq!(
        hear(client),
        error("j", "r", "b", "too many channels joined")
    );
}

#[test]
fn a_table_that_its_handler_does_not_like_is_an_error() {
    for (handler, key, words) in [
        (
            "phoenix",
            "max_topics",
            "handlers.phoenix.max_topics: 'max_topics' is not a key",
        ),
        ("echo", "loud", "handlers.echo.loud: 'loud' is not a key"),
        ("phenix", "a", "handlers.phenix: 'phenix' is not a handler"),
    ] {
        let made = Server::new(config(handler, key, true.into()));
        let error = made.expect_err("it should be refused").to_string();
        assert!(error.contains(words), "{error}");
    }
    let unknown = Config::new().routes([RouteSetting::new("/x", "talk")]);
    let error = Server::new(unknown).unwrap_err().to_string();
    assert!(
        error.contains("'talk' (for /x) is not a handler"),
        "{error}"
    );
}
