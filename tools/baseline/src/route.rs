//! From a path to its endpoint.

use percent_encoding::percent_decode_str;

/// The endpoint of a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// A session over WebSocket.
    Session(SessionRoute),
    /// A page over plain HTTP.
    Page(Page),
}

/// A path for WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionRoute {
    /// `/echo`.
    Echo,
    /// `/broadcast`.
    Broadcast,
    /// `/ws`, or `/ws/{user_id}` with the decoded id.
    Chat(Option<String>),
}

/// A path for plain HTTP.
#[derive(Debug, PartialEq, Eq)]
pub enum Page {
    /// `/healthz`.
    Health,
    /// `/stats`.
    Stats,
}

impl Route {
    /// The route of a path without its query, percent-encoded as it was sent.
    pub fn of(path: &str) -> Option<Route> {
        Some(match path {
            "/echo" => Route::Session(SessionRoute::Echo),
            "/broadcast" => Route::Session(SessionRoute::Broadcast),
            "/ws" => Route::Session(SessionRoute::Chat(None)),
            "/healthz" => Route::Page(Page::Health),
            "/stats" => Route::Page(Page::Stats),
            _ => Route::Session(SessionRoute::Chat(Some(user_id(path)?))),
        })
    }
}

/// The decoded last segment of `/ws/{user_id}`.
fn user_id(path: &str) -> Option<String> {
    let encoded = path.strip_prefix("/ws/")?;
    if encoded.is_empty() || encoded.contains('/') {
        return None;
    }
    let decoded = percent_decode_str(encoded).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_route() {
        let chat =
            |user: Option<&str>| Some(Route::Session(SessionRoute::Chat(user.map(str::to_owned))));
        for (path, route) in [
            ("/echo", Some(Route::Session(SessionRoute::Echo))),
            ("/broadcast", Some(Route::Session(SessionRoute::Broadcast))),
            ("/ws", chat(None)),
            ("/ws/ann", chat(Some("ann"))),
            (
                "/ws/J%C3%BCrgen%20%2F%20M%C3%BCller",
                chat(Some("Jürgen / Müller")),
            ),
            ("/healthz", Some(Route::Page(Page::Health))),
            ("/stats", Some(Route::Page(Page::Stats))),
            ("/", None),
            ("/echo/", None),
            ("/ws/", None),
            ("/ws/a/b", None),
            ("/ws/%ff", None),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
