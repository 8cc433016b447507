//! A WebSocket route at `/` and the page at `/` serve side by side: a request that asks
//! for an upgrade gets the route, another the page. Conformance suites and load tests
//! of other servers, which connect to `/`, need this. Without the demo there is no
//! page, and a page that is off is not there.

use crate::support::client::{Client, request};
use crate::support::{Server, corecast, http, on_each_driver, run};

#[test]
fn the_page_and_a_route_share_the_root() {
    on_each_driver(&["--route", "/=echo"], |server| {
        let mut client = Client::connect(server.address, "/");
        client.expect_echo("Hello");
        let page = http::get(server.address, "/");
        assert_eq!(page.status, 200);
        assert!(page.text().starts_with("<!doctype html>"));
        client.expect_echo("still here");
        client.close();
    });
}

#[test]
fn without_the_demo_a_route_at_the_root_is_all_there_is() {
    let server = Server::start(&["--demo=false", "--route", "/=echo"]);
    let mut client = Client::connect(server.address, "/");
    client.expect_echo("Hello");
    assert_eq!(http::get(server.address, "/").status, 426);
    for path in ["/echo", "/broadcast", "/ws", "/ws/ann", "/socket/websocket"] {
        let response = http::exchange(server.address, request(path).as_bytes());
        assert_eq!(response.status, 404, "{path}");
    }
    assert_eq!(http::get(server.address, "/healthz").status, 200);
}

#[test]
fn what_is_off_is_not_there() {
    let off = [
        "--route",
        "/=off",
        "--route",
        "/healthz=off",
        "--route",
        "/ws=off",
    ];
    let server = Server::start(&off);
    for path in ["/", "/healthz", "/ws"] {
        assert_eq!(http::get(server.address, path).status, 404, "{path}");
        let response = http::exchange(server.address, request(path).as_bytes());
        assert_eq!(response.status, 404, "{path}");
    }
    let mut client = Client::connect(server.address, "/echo");
    client.expect_echo("Hello");
}

#[test]
fn the_page_lists_the_routes_there_are() {
    let routes = [
        "--route",
        "/echo=off,/n%26ws=broadcast",
        "--route",
        "/ws=off",
    ];
    let server = Server::start(&routes);
    let page = http::get(server.address, "/");
    let page = page.text();
    for (path, is_there) in [
        ("<code>/n&amp;ws</code>", true),
        ("<code>/broadcast</code>", true),
        ("<code>/socket/websocket</code>", true),
        ("<code>/echo</code>", false),
        ("<code>/ws</code>", false),
        // The one chat left is one under a name, and the page's chat may have none.
        ("<script>", false),
    ] {
        assert_eq!(page.contains(path), is_there, "{path} in {page}");
    }
}

#[test]
fn nothing_is_served_to_others_that_was_not_asked_for() {
    let words = ["serve", "--listen", "0.0.0.0:0", "--admin", "off"];
    let (code, _, said) = run(corecast().args(words));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("no path is served"), "{said}");
    assert!(said.contains("--demo"), "{said}");
}
