//! `examples/quotes.rs` and `examples/axum_publisher.rs` do what their first pages say:
//! what a thread or a request of the application publishes reaches WebSocket clients.
//! Runs the examples' own servers.

use crate::support::client::Client;

#[path = "../../examples/quotes.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod quotes;

#[cfg(feature = "control")]
#[path = "../../examples/axum_publisher.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod axum_publisher;

#[test]
fn quotes_reach_every_client_in_order() {
    let server = quotes::start(([127, 0, 0, 1], 0).into()).unwrap();
    let mut clients = [(); 3].map(|()| Client::connect(server.local_addr(), "/quotes"));
    for client in &mut clients {
        let mut numbers = (0..50).map(|_| {
            let quote: serde_json::Value = serde_json::from_str(&client.read_text()).unwrap();
            assert!(quote["price"].as_f64().unwrap() >= 1.0);
            quote["number"].as_u64().unwrap()
        });
        let first = numbers.next().unwrap();
        assert!(numbers.eq(first + 1..first + 50));
    }
    server.handle().hurry();
}

#[cfg(feature = "control")]
mod application {
    use std::net::TcpListener;
    use std::thread;

    use super::axum_publisher;
    use crate::support::client::Client;
    use crate::support::http::{exchange, get};

    #[test]
    fn a_request_is_published_to_the_topic_it_names() {
        let server = axum_publisher::websockets(([127, 0, 0, 1], 0).into()).unwrap();
        let application = axum_publisher::application(server.publisher());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            listener.set_nonblocking(true).unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, application).await
            })
        });
        let connect = |path| Client::connect(server.local_addr(), path);
        let (mut news, mut sport) = (connect("/topics/news"), connect("/topics/sport"));
        let post = |name: &str, body: &str| {
            let head = format!("POST /topics/{name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
            let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            assert_eq!(exchange(address, request.as_bytes()).status, 202);
        };
        post("news", "it rains");
        post("sport", "they won");
        assert_eq!(news.read_text(), "it rains");
        assert_eq!(sport.read_text(), "they won");
        assert_eq!(get(address, "/topics/news").text(), "1\n");
        assert_eq!(get(address, "/topics/nothing").text(), "0\n");
        server.handle().hurry();
    }
}
