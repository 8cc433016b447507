//! What a plain GET is answered with.

/// A small static page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The media type, for `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
    /// What a browser may do with it, for `Content-Security-Policy`.
    pub security_policy: &'static str,
}

impl Page {
    /// The page at `/`: what this server is, and a chat to try it with.
    ///
    /// Its script and style are inline and nothing else is loaded; 'unsafe-inline'
    /// costs nothing on a page into which no request's bytes find their way.
    pub const HOME: Page = Page {
        content_type: "text/html; charset=utf-8",
        body: include_str!("page.html"),
        security_policy: "default-src 'none'; script-src 'unsafe-inline'; \
            style-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:; \
            base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    };

    /// The page at `/healthz` of a server that takes connections.
    pub const HEALTHY: Page = Page::text("ok\n");

    /// A page of plain text.
    pub const fn text(body: &'static str) -> Page {
        Page {
            content_type: "text/plain; charset=utf-8",
            body,
            security_policy: "default-src 'none'; frame-ancestors 'none'",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_page_names_every_url_and_loads_nothing() {
        let page = Page::HOME.body;
        for text in [
            "corecast",
            "/echo",
            "/broadcast",
            "/ws",
            "/ws/{user_id}",
            "data:image",
        ] {
            assert!(page.contains(text), "{text}");
        }
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
