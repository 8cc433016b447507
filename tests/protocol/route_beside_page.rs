//! A WebSocket route at `/` and the page at `/` serve side by side: who asks for
//! an upgrade gets the route, everyone else the page. Conformance suites, which
//! connect to `/`, need this.

use crate::support::client::Client;
use crate::support::{http, on_each_driver};

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
