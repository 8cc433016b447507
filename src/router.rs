//! From a path to what is served there.
//!
//! A pattern is a path in which `{name}` stands for one segment that is not
//! empty, or for its end behind a fixed beginning (`/ws/{user_id}`,
//! `/v{version}`), and a last `{*rest}` for all that follows. Fixed text is
//! preferred to a param: with `/ws/lobby` and `/ws/{user_id}`, the path
//! `/ws/lobby` is the first. A trailing slash counts: `/ws/` is not `/ws`.
//!
//! # Invariants worth naming
//!
//! - A pattern leads to one value: giving it again replaces the value, and two
//!   patterns that match the same paths under different names cannot both be
//!   in.
//! - Params are decoded after the path is taken apart, so an encoded slash is
//!   text (`/ws/a%2Fb` has the user id `a/b`) and never a separator.

use std::fmt;

use crate::upgrade::{Params, Request, decode_segment};

/// Values by path pattern.
#[derive(Debug, Clone)]
pub struct Router<T> {
    /// Pattern to index in `routes`.
    tree: matchit::Router<usize>,
    routes: Vec<(String, T)>,
}

impl<T> Router<T> {
    /// A router without routes.
    pub fn new() -> Self {
        Router {
            tree: matchit::Router::new(),
            routes: Vec::new(),
        }
    }

    /// Adds a route. The same pattern given again replaces the value.
    ///
    /// Literal braces are written `{{` and `}}`.
    ///
    /// # Errors
    ///
    /// A pattern that does not start with `/`, whose braces make no sense, or
    /// that matches the same paths as another pattern in the router.
    pub fn insert(&mut self, pattern: impl Into<String>, value: T) -> Result<(), RouteError> {
        let pattern = pattern.into();
        if let Some((_, old)) = self.routes.iter_mut().find(|(known, _)| *known == pattern) {
            *old = value;
            return Ok(());
        }
        if !pattern.starts_with('/') {
            return Err(RouteError::NoSlash { pattern });
        }
        if let Err(error) = self.tree.insert(&pattern, self.routes.len()) {
            return Err(RouteError::from_matchit(pattern, error));
        }
        self.routes.push((pattern, value));
        Ok(())
    }

    /// The value whose pattern matches a decoded path, and what its params
    /// stand for.
    pub fn find(&self, path: &str) -> Option<(&T, Params)> {
        self.matched(path, |value| value.into())
    }

    /// The value whose pattern matches the request's path. Its params become
    /// the request's.
    pub fn route(&self, request: &mut Request) -> Option<&T> {
        let (value, params) = self.matched(request.routing_path(), decode_segment)?;
        request.set_params(params);
        Some(value)
    }

    /// Patterns and values in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.routes
            .iter()
            .map(|(pattern, value)| (pattern.as_str(), value))
    }

    fn matched(
        &self,
        path: &str,
        decode: impl Fn(&str) -> std::borrow::Cow<'_, str>,
    ) -> Option<(&T, Params)> {
        let found = self.tree.at(path).ok()?;
        let mut params = Params::default();
        for (name, value) in found.params.iter() {
            // The tree lets '//' stand for a segment; a param is never empty.
            if value.is_empty() {
                return None;
            }
            params.push(name, &decode(value));
        }
        Some((&self.routes[*found.value].1, params))
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router::new()
    }
}

/// Why a pattern was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteError {
    /// It does not start with `/`.
    NoSlash {
        /// The pattern given.
        pattern: String,
    },
    /// Another pattern matches the same paths.
    Conflict {
        /// The pattern given.
        pattern: String,
        /// The one that is in the router.
        with: String,
    },
    /// Its braces make no sense.
    Malformed {
        /// The pattern given.
        pattern: String,
        /// What is wrong and what is allowed.
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

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteError::NoSlash { pattern } => {
                write!(f, "the route '{pattern}' must start with '/'")
            }
            RouteError::Conflict { pattern, with } => write!(
                f,
                "the route '{pattern}' matches the same paths as '{with}'; keep one of them"
            ),
            RouteError::Malformed { pattern, problem } => {
                write!(f, "the route '{pattern}' is malformed: {problem}")
            }
        }
    }
}

impl std::error::Error for RouteError {}

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
        router.insert("/ws/{user_id}", "new").unwrap();
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
    fn malformed_patterns_are_explained() {
        for pattern in ["", "ws", "{a}"] {
            let error = router().insert(pattern, "x").unwrap_err();
            assert!(matches!(error, RouteError::NoSlash { .. }), "{error}");
        }
        for pattern in ["/x/{", "/x/{}", "/x/{a}{b}", "/x/{a}b", "/x/{*a}/b"] {
            let error = router().insert(pattern, "x").unwrap_err();
            assert!(matches!(error, RouteError::Malformed { .. }), "{error}");
        }
    }
}
