//! The messages between an adapter and the endpoint: plain values of no framework and no `http` crate.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;

/// A request. Everything in it is borrowed.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// The method as sent, which is in upper case.
    pub method: &'r str,
    /// The path as sent, beginning with `/`, without the prefix below which the endpoint is nested.
    pub path: &'r str,
    /// The query as sent, after the first `?`.
    pub query: Option<&'r str>,
    /// The address of the client, where the framework knows it.
    pub peer: Option<SocketAddr>,
    /// Returns the first value of the header of this name, in lower case; `None` if there is none, or it is not UTF-8.
    pub header: &'r dyn Fn(&str) -> Option<&'r str>,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query and the headers can carry secrets.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A complete answer, which the adapter only translates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, without `Content-Length` and `Connection`.
    pub headers: Headers,
    /// The whole body, also for HEAD. The answer to HEAD must not carry it.
    pub body: Bytes,
    /// The value of `Content-Length`, also for HEAD.
    pub content_length: usize,
    /// Whether to close the connection after this answer. Over HTTP/1 only.
    pub close: bool,
}

/// What a middleware adds to an answer of the application while the service drains.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResponseExtras {
    /// Headers to set.
    pub headers: Headers,
    /// Whether to close the connection after this answer. Over HTTP/1 only.
    pub close: bool,
}

/// A list of at most seven headers, without allocation.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    list: [Option<(&'static str, HeaderValue)>; 7],
}

impl Headers {
    pub(super) fn push(&mut self, name: &'static str, value: HeaderValue) {
        if let Some(free) = self.list.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((name, value));
        }
    }

    /// For adapters: inserts every header as a value of the framework's own type, made without a copy: by `constant` from
    /// a constant, by `shared` from shared bytes. A value that the framework refuses is left out; the values of the core
    /// are visible ASCII, which every framework accepts.
    pub fn for_each<V, E>(
        &self,
        constant: impl Fn(&'static str) -> V,
        shared: impl Fn(Bytes) -> Result<V, E>,
        mut insert: impl FnMut(&'static str, V),
    ) {
        for (name, value) in self.iter() {
            match value {
                HeaderValue::Static(text) => insert(name, constant(text)),
                HeaderValue::Shared(bytes) => {
                    if let Ok(value) = shared(bytes.clone()) {
                        insert(name, value);
                    }
                }
            }
        }
    }

    /// Iterates over the headers: names in lower case, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &HeaderValue)> {
        self.list.iter().flatten().map(|(name, value)| (*name, value))
    }
}

/// The value of a header, in visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// A constant.
    Static(&'static str),
    /// Shared with a prepared body.
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
