//! The formats of documents.

use std::fmt;

use bytes::Bytes;

use crate::endpoint::message::HeaderValue;

/// A format of the documents below the base path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The compact JSON of this crate: `?format=json`, `application/json`.
    #[default]
    Json,
    /// `application/health+json`, which follows draft-inadarei-api-health-check-06: `?format=health`.
    Health,
    /// The verbose Kubernetes text: `?format=text`, `text/plain`.
    Text,
    /// The status page for people: `?format=html`, `text/html`. A browser gets it without the parameter, because its
    /// `Accept` header names `text/html`. The page is one document without scripts. A page that is not reloaded in time
    /// marks itself as old.
    #[cfg(feature = "html")]
    Html,
}

impl Format {
    /// Every format.
    pub(super) const ALL: &[Self] = &[
        Self::Json,
        Self::Health,
        Self::Text,
        #[cfg(feature = "html")]
        Self::Html,
    ];

    /// Returns the value of `?format=` that selects this format.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Health => "health",
            Self::Text => "text",
            #[cfg(feature = "html")]
            Self::Html => "html",
        }
    }

    /// Returns the content type of documents in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Health => "application/health+json",
            Self::Text => "text/plain; charset=utf-8",
            #[cfg(feature = "html")]
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// The result of a custom renderer, which [`Endpoint::render_with`](crate::Endpoint::render_with) takes.
#[derive(Clone)]
pub struct Rendered {
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
}

/// Omits the body, because a reader of logs may have a lower visibility.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("content_type", &self.content_type)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Rendered {
    /// Creates a result from its content type, such as `application/vnd.example+json`, and its body.
    ///
    /// A content type that is empty or has characters other than visible ASCII and spaces cannot be sent in a header.
    /// The answer is then 500.
    pub fn new(content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { content_type: HeaderValue::Shared(Bytes::from(content_type.into())), body: body.into() }
    }

    pub(super) fn is_usable(&self) -> bool {
        let bytes = self.content_type.as_bytes();
        !bytes.is_empty() && bytes.iter().all(|b| matches!(b, b' '..=b'~'))
    }
}
