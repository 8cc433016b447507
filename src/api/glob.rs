//! Patterns of the method `channels`: `*` for any text, `?` for any character.

/// Whether a text matches a pattern. It takes at most as many steps as the lengths of
/// both multiplied, whatever the pattern.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // The last star, and how much of the text it stands for.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star_at, until)) = &mut star else {
                    return false;
                };
                *until += 1;
                at = *star_at + 1;
                place = *until;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// The text with which all that matches begins.
pub(super) fn prefix(pattern: &str) -> &str {
    pattern.split(['*', '?']).next().unwrap_or_default()
}

/// A sentence about a pattern that is none.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    match pattern.find(['[', ']', '{', '}', '\\']) {
        None => Ok(()),
        Some(_) => Err(
            "'pattern' has a character class, alternatives or an escape; only * and ? mean \
             something here"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, matching, others) in [
            ("a", &["a"][..], &["", "b", "aa"][..]),
            ("*", &["", "a", "a:b"], &[]),
            ("room:*", &["room:", "room:a:b"], &["room", "rooms:a"]),
            ("*:a", &[":a", "b:a", "a:a:a"], &["a", ":ab"]),
            ("r?om*x*", &["roomx", "röom x y"], &["rom x", "room"]),
            ("a*b*c", &["abc", "aXbYbZc"], &["acb", "ab"]),
        ] {
            for text in matching {
                assert!(matches(pattern, text), "{pattern} {text}");
                assert!(text.starts_with(prefix(pattern)));
            }
            for text in others {
                assert!(!matches(pattern, text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(1_000)));
    }
}
