//! What an adapter hands over and gets back: plain values of no framework and no `http` crate.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;

/// A request, as far as health is concerned: everything borrowed.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// The method, in upper case as HTTP sends it.
    pub method: &'r str,
    /// The path as sent, beginning with `/`, without the prefix that the endpoint is nested under.
    pub path: &'r str,
    /// What follows the first `?`, as sent.
    pub query: Option<&'r str>,
    /// The address of the connection's other end, where the framework knows it.
    pub peer: Option<SocketAddr>,
    /// The first line of the named header (lower case); `None` where there is none or it is not UTF-8.
    pub header: &'r dyn Fn(&str) -> Option<&'r str>,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No query and no headers: both can carry a secret.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// The complete answer. The adapter translates and decides nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Every header but `Content-Length` and `Connection`.
    pub headers: Headers,
    /// The whole body, also for HEAD, whose answer must not carry it.
    pub body: Bytes,
    /// The length to announce, also for HEAD.
    pub content_length: usize,
    /// The connection should be closed after this answer (HTTP/1 only).
    pub close: bool,
}

/// What a middleware adds to an answer of the application: nothing until the service drains.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Additions {
    /// Headers to set.
    pub headers: Headers,
    /// The connection should be closed after this answer (HTTP/1 only).
    pub close: bool,
}

/// A short list of headers, kept inline.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    list: [Option<(&'static str, HeaderValue)>; 7],
}

impl Headers {
    pub(crate) fn push(&mut self, name: &'static str, value: HeaderValue) {
        if let Some(free) = self.list.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((name, value));
        }
    }

    /// The headers: lower-case names and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &HeaderValue)> {
        self.list.iter().flatten().map(|(name, value)| (*name, value))
    }
}

/// A header's value: always visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// Known when this library was compiled.
    Static(&'static str),
    /// Shared with the prepared answer.
    Shared(Bytes),
}

impl HeaderValue {
    /// The value as sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Static(text) => text.as_bytes(),
            Self::Shared(bytes) => bytes,
        }
    }
}
