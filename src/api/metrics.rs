//! What the API counts, with the names under which it is published.
//!
//! # Invariants worth naming
//!
//! - Its one writer is the control plane's thread.
//! - A name is a promise to every dashboard: new ones may come, none may change.

use crate::metrics::Counter;

/// The counters of the HTTP API.
#[derive(Debug, Default)]
pub struct ApiMetrics {
    /// Requests answered, also those that were refused.
    pub requests: Counter,
    /// Publications taken by the rings.
    pub publications: Counter,
    /// Publications answered with the result of an earlier one, because their
    /// idempotency key was known.
    pub replays: Counter,
    /// Idempotency keys forgotten before their time, because others came.
    pub forgotten_keys: Counter,
    /// Requests, and parts of a batch or broadcast, that were refused, by reason.
    pub(super) refused: [Counter; REFUSALS],
}

const REFUSALS: usize = Refusal::LABELS.len();

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Unauthorized,
    Forbidden,
    OverRate,
    BadRequest,
    TooLarge,
    TooSlow,
    NotFound,
    NotAvailable,
    UnderWay,
    Full,
}

impl Refusal {
    const LABELS: &[&str] = &[
        "unauthorized",
        "forbidden",
        "over_rate",
        "bad_request",
        "too_large",
        "too_slow",
        "not_found",
        "not_available",
        "under_way",
        "full",
    ];

    pub(super) fn label(self) -> &'static str {
        Refusal::LABELS[self as usize]
    }
}

impl ApiMetrics {
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.refused[refusal as usize].add(1);
    }
}

/// One number, or one for each reason.
pub(crate) enum Read {
    One(fn(&ApiMetrics) -> u64),
    PerReason(&'static [&'static str], fn(&ApiMetrics) -> &[Counter]),
}

/// Every counter: its name in `/stats`, to which `/metrics` adds `api_`, and a sentence.
pub(crate) static FIELDS: &[(&str, &str, Read)] = &[
    (
        "requests",
        "Requests to the HTTP API.",
        Read::One(|m| m.requests.value()),
    ),
    (
        "publications",
        "Publications taken from the HTTP API.",
        Read::One(|m| m.publications.value()),
    ),
    (
        "replays",
        "Publications answered with an earlier result because of their idempotency key.",
        Read::One(|m| m.replays.value()),
    ),
    (
        "forgotten_keys",
        "Idempotency keys forgotten before their time because many came.",
        Read::One(|m| m.forgotten_keys.value()),
    ),
    (
        "refused",
        "Requests to the HTTP API, and parts of a batch, that were refused.",
        Read::PerReason(Refusal::LABELS, |m| &m.refused),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_label_of_its_own() {
        assert_eq!(Refusal::Unauthorized.label(), "unauthorized");
        assert_eq!(Refusal::Full.label(), "full");
        assert_eq!(Refusal::Full as usize, REFUSALS - 1);
    }
}
