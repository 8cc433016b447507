//! The pages with which a plain GET is answered.

use std::fmt::Write as _;

use super::{Method, Request};

/// A small page that does not change while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// The media type, for `Content-Type`.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a str,
    /// The rights of the page in a browser, for `Content-Security-Policy`.
    pub security_policy: &'static str,
}

impl<'a> Page<'a> {
    /// The page at `/healthz` of a server that takes connections.
    pub const HEALTHY: Page<'static> = Page::text("ok\n");

    /// A page at `/`, with a body that [`home_page`] has written.
    ///
    /// Its script and style are inline and nothing else is loaded; 'unsafe-inline'
    /// costs nothing on a page into which no request's bytes find their way.
    pub const fn home(body: &'a str) -> Self {
        Page {
            content_type: "text/html; charset=utf-8",
            body,
            security_policy: "default-src 'none'; script-src 'unsafe-inline'; \
                style-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:; \
                base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        }
    }

    /// A page of plain text.
    pub const fn text(body: &'a str) -> Self {
        Page {
            content_type: "text/plain; charset=utf-8",
            body,
            security_policy: "default-src 'none'; frame-ancestors 'none'",
        }
    }
}

/// The pages that a server has beside its routes.
#[derive(Debug, Default)]
pub struct Pages {
    /// The body of the page at `/`, if there is one.
    pub home: Option<String>,
    /// Whether there is a page at `/healthz`.
    pub health: bool,
}

impl Pages {
    /// The paths of all that there may be.
    pub const PATHS: [&'static str; 2] = ["/", "/healthz"];

    /// Whether the path is that of the health page, and there is one.
    pub fn has_health_at(&self, path: &str) -> bool {
        self.health && path == "/healthz"
    }

    /// Whether a plain request asks for nothing but the server's health: the health
    /// page, or OPTIONS of the server or of `/`, as HAProxy's `option httpchk` does.
    pub fn is_probe(&self, request: &Request) -> bool {
        let path = request.path();
        let is_about_server = request.method() == Method::Options && matches!(path, "*" | "/");
        self.has_health_at(path) || self.health && is_about_server
    }

    /// The page at a path.
    pub fn find(&self, path: &str) -> Option<Page<'_>> {
        match path {
            "/" => self.home.as_deref().map(Page::home),
            "/healthz" => self.health.then_some(Page::HEALTHY),
            _ => None,
        }
    }
}

/// A route as the page at `/` shows it.
#[derive(Debug, Clone, Copy)]
pub struct ListedRoute<'a> {
    /// The pattern of its path.
    pub path: &'a str,
    /// A description in one sentence.
    pub summary: &'a str,
    /// Whether the chat's client of this page understands it.
    pub is_chat: bool,
}

/// Writes the body of the page at `/`: what this server is, which routes it has and,
/// where one is a chat, a client for it.
pub fn home_page(routes: &[ListedRoute<'_>]) -> String {
    let mut listed = String::new();
    for route in routes {
        let _ = writeln!(
            listed,
            "      <div><dt><code>{}</code></dt><dd>{}</dd></div>",
            escaped(route.path),
            escaped(route.summary)
        );
    }
    let chat = |is_one: fn(&str) -> bool| {
        let mut chats = routes.iter().filter(|route| route.is_chat);
        chats.find(|route| is_one(route.path))
    };
    let plain = chat(|path| !path.contains(['{', '}']));
    let named = chat(|path| {
        let rest = path.replacen("{user_id}", "", 1);
        rest != path && !rest.contains(['{', '}'])
    });
    let path_of = |route: Option<&ListedRoute<'_>>| escaped(route.map_or("", |route| route.path));
    let template = include_str!("page.html");
    let page = match plain {
        Some(_) => template
            .replace("<!-- chat -->\n", "")
            .replace("<!-- /chat -->\n", ""),
        None => without_chat(template),
    };
    page.replace("<!-- routes -->\n", &listed)
        .replace("<!-- chat's path -->", &path_of(plain))
        .replace("<!-- chat's path with a name -->", &path_of(named))
}

/// The page without what stands between marks, which is about the chat.
fn without_chat(template: &str) -> String {
    let mut parts = template.split("<!-- chat -->\n");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once("<!-- /chat -->\n").map(|(_, rest)| rest);
        page.push_str(rest.unwrap_or(part));
    }
    page
}

/// Text as it is written in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(path: &str, is_chat: bool) -> ListedRoute<'_> {
        let summary = "What it does.";
        ListedRoute {
            path,
            summary,
            is_chat,
        }
    }

    #[test]
    fn a_path_is_shown_and_not_obeyed() {
        let page = home_page(&[listed("/<script>\"&", false)]);
        assert!(page.contains("/&lt;script&gt;&quot;&amp;"), "{page}");
    }

    #[test]
    fn there_is_a_chat_where_a_route_is_one() {
        for routes in [
            &[][..],
            &[listed("/ws", false)],
            // Its client does not know which room it should be.
            &[listed("/chat/{room}", true)],
        ] {
            let page = home_page(routes);
            assert!(
                !page.contains("<script>") && !page.contains("Chat"),
                "{page}"
            );
            assert!(page.ends_with("</html>\n"));
        }
        let page = home_page(&[listed("/talk", true)]);
        assert!(page.contains("data-path=\"/talk\" data-named=\"\""));
        let page = home_page(&[listed("/talk/{user_id}", true), listed("/talk", true)]);
        assert!(page.contains("data-path=\"/talk\" data-named=\"/talk/{user_id}\""));
    }

    #[test]
    fn the_home_page_names_every_route_and_loads_nothing() {
        let routes = ["/news", "/ws", "/ws/{user_id}"].map(|path| listed(path, path != "/news"));
        let page = &home_page(&routes);
        for text in ["corecast", "data:image"]
            .into_iter()
            .chain(routes.map(|route| route.path))
        {
            assert!(page.contains(text), "{text}");
        }
        assert!(!page.contains("<!--") && !page.contains("/echo"));
        for text in [
            "src=\"http",
            "href=\"http",
            "@import",
            "url(http",
            "innerHTML",
        ] {
            assert!(!page.contains(text), "{text}");
        }
    }
}
