//! The published state, and the pages rendered from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outcome::Outcome;
use crate::report::{Stage, main_part};

/// Shared between the publishing and the serving threads.
#[derive(Debug, Default)]
pub(super) struct State {
    published: Mutex<Published>,
    rendered: Mutex<Option<Rendered>>,
    asked: Mutex<Option<Instant>>,
}

/// The state to show. Each change has a version of its own; the first is 1.
#[derive(Debug, Clone, Default)]
pub(super) struct Published {
    pub version: u64,
    pub outcome: Option<Arc<Outcome>>,
    pub finished: bool,
}

/// The part of the page that shows one version.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    pub version: u64,
    pub main: Arc<str>,
}

impl State {
    pub(super) fn publish(&self, outcome: Outcome) {
        let outcome = Some(Arc::new(outcome));
        let mut published = locked(&self.published);
        published.version += 1;
        // The previous outcome is freed without the lock.
        let before = std::mem::replace(&mut published.outcome, outcome);
        drop(published);
        drop(before);
    }

    pub(super) fn finish(&self) {
        let mut published = locked(&self.published);
        if !published.finished {
            published.finished = true;
            published.version += 1;
        }
    }

    pub(super) fn published(&self) -> Published {
        locked(&self.published).clone()
    }

    /// The present version as HTML; rendered when it is asked for first.
    pub(super) fn rendered(&self) -> Rendered {
        let published = self.published();
        let mut rendered = locked(&self.rendered);
        if let Some(rendered) = rendered.as_ref()
            && rendered.version == published.version
        {
            return rendered.clone();
        }
        let stage = if published.finished {
            Stage::Finished
        } else {
            Stage::Running
        };
        let main = match published.outcome {
            Some(outcome) => main_part(&outcome, stage),
            None => "<main><p id=\"head\">Nothing has been measured yet.</p></main>".to_owned(),
        };
        rendered
            .insert(Rendered {
                version: published.version,
                main: main.into(),
            })
            .clone()
    }

    /// A reader asked just now.
    pub(super) fn asked(&self) {
        *locked(&self.asked) = Some(Instant::now());
    }

    /// Whether a reader has asked within this time.
    pub(super) fn is_watched(&self, within: Duration) -> bool {
        locked(&self.asked).is_some_and(|asked| asked.elapsed() < within)
    }
}

/// A panic while one of these was locked leaves a whole value behind.
fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::empty_outcome;

    #[test]
    fn one_version_is_rendered_once() {
        let state = State::default();
        assert_eq!(state.rendered().version, 0);
        state.publish(empty_outcome());
        let (first, again) = (state.rendered(), state.rendered());
        assert!(first.version == 1 && Arc::ptr_eq(&first.main, &again.main));
        state.finish();
        state.finish();
        let last = state.rendered();
        assert_eq!(last.version, 2);
        assert!(first.main.contains("running") && last.main.contains("passed"));
    }
}
