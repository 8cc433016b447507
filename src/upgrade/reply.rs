//! A handler's answer to a plain request.

use super::headers::{HeaderError, Headers};
use super::page::Page;

/// A handler's answer to a plain GET or HEAD on its path
/// ([`Handler::get`](crate::Handler::get)). The connection ends after it.
///
/// Unless the handler adds them, the response has headers that suit what was made for
/// one client: nothing may store it (`Cache-Control: no-store`), and a browser loads
/// nothing for it (`Content-Security-Policy`).
///
/// ```
/// use corecast::Reply;
///
/// let count = Reply::json(r#"{"sessions":4}"#).header("Cache-Control", "max-age=1")?;
/// assert_ne!(count, Reply::text("4\n").status(203));
/// # Ok::<(), corecast::error::HeaderError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    status: u16,
    pub(super) content_type: String,
    pub(super) body: String,
    pub(super) headers: Headers,
}

impl Reply {
    /// The longest body that is sent: a reply is for a status, a token or a small page,
    /// and waits in memory until the client has read it. In place of a longer one the
    /// client gets a 500.
    pub const MAX_BODY_BYTES: usize = 64 * 1024;

    /// Plain text, with the status 200.
    pub fn text(body: impl Into<String>) -> Self {
        Reply {
            status: 200,
            content_type: Page::text("").content_type.to_owned(),
            body: body.into(),
            headers: Headers::default(),
        }
    }

    /// A page of HTML, with the status 200. It may load nothing and run no script unless
    /// it comes with a `Content-Security-Policy` of its own.
    pub fn html(body: impl Into<String>) -> Self {
        Reply::of_type("text/html; charset=utf-8", body)
    }

    /// JSON, with the status 200.
    pub fn json(body: impl Into<String>) -> Self {
        Reply::of_type("application/json", body)
    }

    fn of_type(content_type: &str, body: impl Into<String>) -> Self {
        Reply {
            content_type: content_type.to_owned(),
            ..Reply::text(body)
        }
    }

    /// The status code. Outside 200..=599 it is sent as 500, because others announce
    /// that more follows.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header, or replaces the server's own choice of `Content-Type`,
    /// `Cache-Control`, `Content-Security-Policy`, `Referrer-Policy` or
    /// `X-Content-Type-Options`.
    ///
    /// # Errors
    /// When it is malformed, or one that the server writes itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.headers.add(name, value)?;
        Ok(self)
    }

    /// The status that is sent.
    pub(super) fn sent_status(&self) -> u16 {
        match self.status {
            200..=599 => self.status,
            _ => 500,
        }
    }

    /// Whether its body is longer than what is sent.
    pub(crate) fn is_too_large(&self) -> bool {
        self.body.len() > Self::MAX_BODY_BYTES
    }
}
