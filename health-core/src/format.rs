//! The formats that a document can be asked for in.

use std::fmt;

use bytes::Bytes;

use crate::wire::HeaderValue;

/// A format of the documents below the base path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Our own compact JSON: `?format=json`, `application/json`.
    #[default]
    Json,
    /// `application/health+json` after draft-inadarei-api-health-check-06: `?format=health`.
    Health,
    /// The verbose Kubernetes text: `?format=text`, `text/plain`.
    Text,
}

impl Format {
    /// The word that `?format=` takes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Health => "health",
            Self::Text => "text",
        }
    }

    /// The content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Health => "application/health+json",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// What [`Endpoint::render_with`](crate::Endpoint::render_with) makes of a report.
#[derive(Clone)]
pub struct Rendered {
    pub(crate) content_type: HeaderValue,
    pub(crate) body: Bytes,
}

/// Without the body, which a caller with less visibility must not see in a log either.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("content_type", &self.content_type)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Rendered {
    /// A body and its content type, for instance `application/vnd.example+json`.
    ///
    /// A content type that cannot stand in a header (anything but visible ASCII and spaces) is a failure to render:
    /// the answer is 500.
    pub fn new(content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { content_type: HeaderValue::Shared(Bytes::from(content_type.into())), body: body.into() }
    }

    pub(crate) fn is_usable(&self) -> bool {
        let bytes = self.content_type.as_bytes();
        !bytes.is_empty() && bytes.iter().all(|b| matches!(b, b' '..=b'~'))
    }
}
