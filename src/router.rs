//! From a path to what is served there.
//!
//! A pattern is a path in which `{name}` stands for one segment that is not empty, or
//! for its end after a fixed beginning (`/ws/{user_id}`, `/v{version}`), and a last
//! `{*rest}` for all that follows. Fixed text is preferred to a param: with `/ws/lobby`
//! and `/ws/{user_id}`, the path `/ws/lobby` is the first. A trailing slash counts:
//! `/ws/` is not `/ws`. Only a route that says so is found without regard to empty
//! segments, because clients of its protocol send some: a proxy before the server, with
//! a rule about `/rooms/` for example, should see the path that is served.
//!
//! # Invariants worth naming
//!
//! - A pattern leads to one value: giving it again replaces the value, and two
//!   patterns that match the same paths under different names cannot both be
//!   in.
//! - Params are decoded after the path is taken apart, so an encoded slash is
//!   text (`/ws/a%2Fb` has the user id `a/b`) and never a separator.

use crate::upgrade::{Params, Request, decode_segment, routing_pattern};

/// Values by path pattern.
#[derive(Debug, Clone)]
pub struct Router<T> {
    /// Pattern to index in `routes`.
    tree: matchit::Router<usize>,
    routes: Vec<Entry<T>>,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    pattern: String,
    value: T,
    drops_empty_segments: bool,
}

impl<T> Router<T> {
    /// A router without routes.
    pub fn new() -> Self {
        Router {
            tree: matchit::Router::new(),
            routes: Vec::new(),
        }
    }

    /// Adds a route. The same pattern given again replaces the value, which is
    /// returned.
    ///
    /// Literal braces are written `{{` and `}}`, or percent-encoded.
    ///
    /// # Errors
    ///
    /// A pattern that does not start with `/`, that no path can match, whose
    /// braces make no sense, or that matches the same paths as another pattern
    /// in the router.
    pub fn insert(
        &mut self,
        pattern: impl Into<String>,
        value: T,
    ) -> Result<Option<T>, RouteError> {
        self.insert_entry(Entry {
            pattern: decode_pattern(&pattern.into())?,
            value,
            drops_empty_segments: false,
        })
    }

    /// Adds a route like [`insert`](Router::insert), which is also found by a
    /// path that matches when its empty segments are left out: with the pattern
    /// `/socket/websocket`, by `/socket//websocket` and `/socket/websocket/`.
    ///
    /// # Errors
    ///
    /// As [`insert`](Router::insert).
    pub fn insert_dropping_empty_segments(
        &mut self,
        pattern: impl Into<String>,
        value: T,
    ) -> Result<Option<T>, RouteError> {
        let pattern = decode_pattern(&pattern.into())?;
        self.insert_entry(Entry {
            pattern: without_empty_segments(&pattern).unwrap_or(pattern),
            value,
            drops_empty_segments: true,
        })
    }

    fn insert_entry(&mut self, entry: Entry<T>) -> Result<Option<T>, RouteError> {
        let is_same = |known: &&mut Entry<T>| known.pattern == entry.pattern;
        if let Some(known) = self.routes.iter_mut().find(is_same) {
            return Ok(Some(std::mem::replace(known, entry).value));
        }
        if let Err(error) = self.tree.insert(&entry.pattern, self.routes.len()) {
            return Err(RouteError::from_matchit(entry.pattern, error));
        }
        self.routes.push(entry);
        Ok(None)
    }

    /// The value whose pattern matches a decoded path, and the values of its params.
    pub fn find(&self, path: &str) -> Option<(&T, Params)> {
        // As it would be routed if it were encoded.
        self.matched(&path.replace('%', "%25"))
    }

    /// The value whose pattern matches the request's path. Its params become
    /// the request's.
    pub fn route(&self, request: &mut Request) -> Option<&T> {
        let (value, params) = self.matched(request.routing_path())?;
        request.set_params(params);
        Some(value)
    }

    /// Patterns and values in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.routes
            .iter()
            .map(|entry| (entry.pattern.as_str(), &entry.value))
    }

    fn matched(&self, path: &str) -> Option<(&T, Params)> {
        let (entry, params) = self.matched_exactly(path).or_else(|| {
            self.matched_exactly(&without_empty_segments(path)?)
                .filter(|(entry, _)| entry.drops_empty_segments)
        })?;
        Some((&entry.value, params))
    }

    fn matched_exactly(&self, path: &str) -> Option<(&Entry<T>, Params)> {
        let found = self.tree.at(path).ok()?;
        let mut params = Params::default();
        for (name, value) in found.params.iter() {
            // The tree lets '//' stand for a segment; a param is never empty.
            if value.is_empty() {
                return None;
            }
            params.push(name, &decode_segment(value));
        }
        Some((&self.routes[*found.value], params))
    }
}

/// A pattern in the form in which paths are routed: decoded but for `%2F` and
/// `%25`, so that a route can be written as its path is seen in a browser.
pub(crate) fn decode_pattern(pattern: &str) -> Result<String, RouteError> {
    let malformed = |problem| RouteError::Malformed {
        pattern: pattern.to_owned(),
        problem,
    };
    if !pattern.starts_with('/') {
        let pattern = pattern.to_owned();
        return Err(RouteError::NoSlash { pattern });
    }
    if pattern.contains(['?', '#']) {
        return Err(malformed(
            "a path ends before '?' and '#'; write %3F and %23 for those that are part of it",
        ));
    }
    routing_pattern(pattern).ok_or_else(|| {
        malformed(
            "'%' begins the two hexadecimal digits of a byte of UTF-8 text that is no control \
             character; write %25 for a percent sign",
        )
    })
}

/// A path without its empty segments, where it has any.
fn without_empty_segments(path: &str) -> Option<String> {
    let has_some = path.contains("//") || path.len() > 1 && path.ends_with('/');
    has_some.then(|| {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let path: String = segments.flat_map(|segment| ["/", segment]).collect();
        match path.is_empty() {
            true => "/".to_owned(),
            false => path,
        }
    })
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router::new()
    }
}

/// The names of a pattern's params, in their order.
pub(crate) fn params_of(pattern: &str) -> impl Iterator<Item = &str> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        loop {
            let (_, behind) = rest.split_once('{')?;
            // Doubled, it is a brace of the path.
            if let Some(literal) = behind.strip_prefix('{') {
                rest = literal;
                continue;
            }
            let (name, behind) = behind.split_once('}')?;
            rest = behind;
            return Some(name.trim_start_matches('*'));
        }
    })
}

/// Why a pattern was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// It does not start with `/`.
    #[error("the route '{pattern}' must start with '/'")]
    NoSlash {
        /// The pattern given.
        pattern: String,
    },
    /// Another pattern matches the same paths.
    #[error("the route '{pattern}' matches the same paths as '{with}'; keep one of them")]
    Conflict {
        /// The pattern given.
        pattern: String,
        /// The one that is in the router.
        with: String,
    },
    /// Its braces make no sense.
    #[error("the route '{pattern}' is malformed: {problem}")]
    Malformed {
        /// The pattern given.
        pattern: String,
        /// The fault and what is allowed instead.
        problem: &'static str,
    },
}

impl RouteError {
    fn from_matchit(pattern: String, error: matchit::InsertError) -> Self {
        use matchit::InsertError;
        let problem = match error {
            InsertError::Conflict { with } => return RouteError::Conflict { pattern, with },
            InsertError::InvalidParamSegment => {
                "a segment may have one param, and nothing may follow it, as in '/v{version}'"
            }
            InsertError::InvalidCatchAll => "'{*name}' may only stand at the end",
            _ => "a param is written '{name}'; literal braces are doubled",
        };
        RouteError::Malformed { pattern, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<&'static str> {
        let mut router = Router::new();
        for pattern in [
            "/",
            "/echo",
            "/ws",
            "/ws/{user_id}",
            "/a/{x}/b/{y}",
            "/f/{*rest}",
        ] {
            router.insert(pattern, pattern).unwrap();
        }
        router
    }

    fn request(target: &str) -> Request {
        let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let peer = "127.0.0.1:1".parse().unwrap();
        crate::upgrade::parse(text.as_bytes(), 8192, peer)
            .unwrap()
            .unwrap()
            .request
    }

    #[test]
    fn paths_find_their_routes() {
        let router = router();
        let found = |path| router.find(path).map(|(value, _)| *value);
        assert_eq!(found("/"), Some("/"));
        assert_eq!(found("/echo"), Some("/echo"));
        assert_eq!(found("/ws"), Some("/ws"));
        assert_eq!(found("/ws/ann"), Some("/ws/{user_id}"));
        for missing in [
            "", "ws", "/ws/", "/ws/a/b", "/ws/ann/", "/Echo", "/ech", "/echo/",
        ] {
            assert_eq!(found(missing), None, "{missing}");
        }
    }

    #[test]
    fn empty_segments_are_dropped_for_routes_that_say_so() {
        let mut router = router();
        router
            .insert_dropping_empty_segments("/socket/websocket", "phoenix")
            .unwrap();
        router
            .insert_dropping_empty_segments("/t/{tenant}//websocket/", "tenant")
            .unwrap();
        let found = |path| router.find(path).map(|(value, _)| *value);
        for path in [
            "/socket/websocket",
            "/socket//websocket",
            "//socket/websocket",
            "/socket/websocket/",
            "///socket///websocket//",
        ] {
            assert_eq!(found(path), Some("phoenix"), "{path}");
        }
        let (value, params) = router.find("/t//a/websocket").unwrap();
        assert_eq!((*value, params.value("tenant")), ("tenant", Some("a")));
        for missing in [
            "//echo",
            "/echo/",
            "/ws//ann",
            "/ws/ann/",
            "/socket//",
            "/t//websocket",
        ] {
            assert_eq!(found(missing), None, "{missing}");
        }
        assert_eq!(router.route(&mut request("/socket/%2F/websocket")), None);
        assert_eq!(found("//"), None, "nothing but slashes is not '/'");
    }

    #[test]
    fn params_have_names_and_are_not_empty() {
        let router = router();
        let (_, params) = router.find("/a/1/b/2").unwrap();
        assert_eq!(params.iter().collect::<Vec<_>>(), [("x", "1"), ("y", "2")]);
        assert_eq!(params.value("y"), Some("2"));
        assert_eq!(params.value("z"), None);
        assert!(router.find("/a//b/2").is_none());
        let (_, params) = router.find("/f/x/y").unwrap();
        assert_eq!(params.value("rest"), Some("x/y"));
    }

    #[test]
    fn a_pattern_tells_its_params() {
        for (pattern, names) in [
            ("/echo", &[][..]),
            ("/ws/{user_id}", &["user_id"]),
            ("/a/{x}/v{y}/{*rest}", &["x", "y", "rest"]),
            ("/a{{b}}", &[]),
            ("/a{{b}}/{c}", &["c"]),
        ] {
            assert_eq!(params_of(pattern).collect::<Vec<_>>(), names, "{pattern}");
        }
    }

    #[test]
    fn a_found_path_is_not_decoded_again() {
        let router = router();
        let (_, params) = router.find("/ws/%41").unwrap();
        assert_eq!(params.value("user_id"), Some("%41"));
    }

    #[test]
    fn a_request_gets_its_params_decoded_once() {
        let router = router();
        for (target, user_id) in [
            ("/ws/ann?x=1", "ann"),
            ("/ws/J%C3%BCrgen%20B", "Jürgen B"),
            ("/%77s/a%2Fb", "a/b"),
            ("/ws/%252F", "%2F"),
            ("/ws/100%25", "100%"),
            ("/ws/%2E%2E", ".."),
        ] {
            let mut request = request(target);
            assert_eq!(router.route(&mut request), Some(&"/ws/{user_id}"));
            assert_eq!(request.param("user_id"), Some(user_id), "{target}");
        }
        assert_eq!(request("/ws/a%2Fb").path(), "/ws/a/b");
        assert_eq!(router.route(&mut request("/ws%2Fa")), None);
    }

    #[test]
    fn a_later_route_replaces_an_earlier_one() {
        let mut router = router();
        let replaced = router.insert("/ws/{user_id}", "new");
        assert_eq!(replaced, Ok(Some("/ws/{user_id}")));
        assert_eq!(router.find("/ws/ann").unwrap().0, &"new");
        assert_eq!(router.iter().count(), 6);
    }

    #[test]
    fn a_conflict_names_both_patterns() {
        let error = router().insert("/ws/{name}", "x").unwrap_err();
        assert_eq!(
            error,
            RouteError::Conflict {
                pattern: "/ws/{name}".into(),
                with: "/ws/{user_id}".into()
            }
        );
        let text = error.to_string();
        assert!(text.contains("'/ws/{name}'") && text.contains("'/ws/{user_id}'"));
    }

    #[test]
    fn a_pattern_may_be_encoded_like_a_path() {
        let mut router = Router::new();
        for pattern in [
            "/a%20b",
            "/caf%c3%a9",
            "/{room}/x%2fy",
            "/100%25",
            "/%7Ba%7D",
        ] {
            assert_eq!(router.insert(pattern, pattern), Ok(None));
        }
        for (target, pattern) in [
            ("/a%20b", "/a%20b"),
            ("/%61%20b", "/a%20b"),
            ("/caf%C3%A9", "/caf%c3%a9"),
            ("/r%2Fm/x%2Fy", "/{room}/x%2fy"),
            ("/100%25", "/100%25"),
            ("/%7ba%7d", "/%7Ba%7D"),
            ("/{a}", "/%7Ba%7D"),
        ] {
            let found = router.route(&mut request(target));
            assert_eq!(found, Some(&pattern), "{target}");
        }
        assert_eq!(router.route(&mut request("/a%2520b")), None);
        assert_eq!(router.route(&mut request("/r/x/y")), None);
        // Decoded, as a page is looked for.
        assert_eq!(router.find("/100%").unwrap().0, &"/100%25");
        assert_eq!(router.find("/a b").unwrap().0, &"/a%20b");
        // They are one pattern, however they are written.
        assert_eq!(router.insert("/café", "new"), Ok(Some("/caf%c3%a9")));
        assert_eq!(router.insert("/a b", "new"), Ok(Some("/a%20b")));
    }

    #[test]
    fn malformed_patterns_are_explained() {
        for pattern in ["", "ws", "{a}"] {
            let error = router().insert(pattern, "x").unwrap_err();
            assert!(matches!(error, RouteError::NoSlash { .. }), "{error}");
        }
        for pattern in [
            "/x/{",
            "/x/{}",
            "/x/{a}{b}",
            "/x/{a}b",
            "/x/{*a}/b",
            "/x?a=b",
            "/x#a",
            "/100%",
            "/%zz",
            "/%ff",
            "/%00",
            "/%0a",
        ] {
            let error = router().insert(pattern, "x").unwrap_err();
            assert!(matches!(error, RouteError::Malformed { .. }), "{error}");
        }
    }
}
