//! Patterns of topics: which topics a rule or a token is about.

use std::fmt;
use std::str::FromStr;

/// A pattern of topics: text in which `{name}` stands for one part between
/// colons that is not empty, and a last `*` for any rest, also none. `room:*`
/// matches `room:a` and `room:a:b`, `user:{id}` only `user:a`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    text: String,
    parts: Vec<Part>,
    is_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// All up to the next colon.
    Any,
}

impl TopicPattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is about this topic.
    pub fn matches(&self, topic: &str) -> bool {
        let mut rest = topic;
        for part in &self.parts {
            rest = match part {
                Part::Text(text) => match rest.strip_prefix(text.as_str()) {
                    Some(rest) => rest,
                    None => return false,
                },
                Part::Any => match rest.find(':').unwrap_or(rest.len()) {
                    0 => return false,
                    end => &rest[end..],
                },
            };
        }
        self.is_open || rest.is_empty()
    }
}

impl FromStr for TopicPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = |what| {
            Err(format!(
                "'{text}' is not a pattern of topics: {what}; write room:lobby, room:* or user:{{id}}"
            ))
        };
        if text.is_empty() {
            return problem("it is empty");
        }
        let (closed, is_open) = match text.strip_suffix('*') {
            Some(closed) => (closed, true),
            None => (text, false),
        };
        if closed.contains('*') {
            return problem("* may only stand at the end");
        }
        let mut parts = Vec::new();
        let mut rest = closed;
        while let Some(begin) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(begin);
            let Some((name, after)) = from_brace
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
            else {
                return problem("a brace has no partner");
            };
            let is_first = parts.is_empty() && before.is_empty();
            let stands_alone = (is_first || before.ends_with(':'))
                && (after.starts_with(':') || after.is_empty() && !is_open);
            if name.is_empty() || name.contains(['{', ':']) || !stands_alone {
                return problem("a {name} stands alone between colons");
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Any);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(TopicPattern {
            text: text.to_owned(),
            parts,
            is_open,
        })
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::TopicPattern;

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, matching, others) in [
            ("a", &["a"][..], &["", "A", "ab", "a:"][..]),
            ("*", &["", "a", "a:b"], &[]),
            (
                "room:*",
                &["room:", "room:a", "room:a:b"],
                &["room", "rooms:a", ""],
            ),
            (
                "user:{id}",
                &["user:a", "user:ü *"],
                &["user:", "user:a:b", "user", "xuser:a"],
            ),
            (
                "{a}:x:{b}",
                &["1:x:2"],
                &["1:x:", ":x:2", "1:y:2", "1:x:2:"],
            ),
            ("{a}", &["a"], &["", "a:b"]),
            ("u:{id}:*", &["u:1:", "u:1:a:b"], &["u:1", "u::a"]),
            ("a*", &["a", "ab", "a:b"], &["b"]),
        ] {
            let parsed: TopicPattern = pattern.parse().unwrap();
            assert_eq!(parsed.to_string(), pattern);
            for topic in matching {
                assert!(parsed.matches(topic), "{pattern} {topic}");
            }
            for topic in others {
                assert!(!parsed.matches(topic), "{pattern} {topic}");
            }
        }
    }

    #[test]
    fn what_is_not_a_pattern_is_explained() {
        for (pattern, what) in [
            ("", "it is empty"),
            ("*:a", "* may only stand at the end"),
            ("a**", "* may only stand at the end"),
            ("user:{id", "a brace has no partner"),
            ("user:id}", "a brace has no partner"),
            ("user:{}", "stands alone"),
            ("user:{a}b", "stands alone"),
            ("user:x{a}", "stands alone"),
            ("user:{a}{b}", "stands alone"),
            ("user:{a}*", "stands alone"),
        ] {
            let problem = pattern.parse::<TopicPattern>().unwrap_err();
            assert!(problem.contains(what), "{problem}");
        }
    }
}
