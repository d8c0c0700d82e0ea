//! The messages between an adapter and the endpoint: plain values that depend neither on a framework nor on the `http`
//! crate.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;

/// Returns a line of a header. The arguments are the name of the header in lower case and the number of the line, from
/// 0. Lines that are not UTF-8 are left out.
type HeaderLines<'r> = dyn Fn(&str, usize) -> Option<&'r str> + 'r;

/// The largest number of lines of one header that are read. The limit ends the iteration if a function ignores the
/// number of the line.
const MOST_LINES: usize = 100;

/// A request, which borrows all of its parts.
///
/// ```
/// use health_core::Request;
///
/// let accept = ["text/plain;q=0.5", "application/json"];
/// let lines = |name: &str, line: usize| accept.get(line).copied().filter(|_| name == "accept");
/// let request = Request::new("GET", "/health", Some("format=json"), None, &lines);
/// assert_eq!(request.header("accept"), Some("text/plain;q=0.5"));
/// assert_eq!(request.header_lines("accept").count(), 2);
/// assert_eq!(request.header("host"), None);
/// ```
#[derive(Clone, Copy)]
pub struct Request<'r> {
    method: &'r str,
    path: &'r str,
    query: Option<&'r str>,
    peer: Option<SocketAddr>,
    headers: &'r HeaderLines<'r>,
}

impl<'r> Request<'r> {
    /// Creates a request.
    ///
    /// - `method`: the method as sent, in upper case.
    /// - `path`: the path as sent, which begins with `/`, without the prefix below which the endpoint is nested.
    /// - `query`: the query as sent, without the `?`.
    /// - `peer`: the address of the client, if the framework knows it.
    /// - `headers`: a function that takes the name of a header in lower case and the number of a line, from 0, and
    ///   returns the line; `None` if there is no such line. Lines that are not UTF-8 are not counted.
    #[must_use]
    pub fn new(
        method: &'r str,
        path: &'r str,
        query: Option<&'r str>,
        peer: Option<SocketAddr>,
        headers: &'r (dyn Fn(&str, usize) -> Option<&'r str> + 'r),
    ) -> Self {
        Self { method, path, query, peer, headers }
    }

    /// Returns the method as sent.
    #[must_use]
    pub fn method(&self) -> &'r str {
        self.method
    }

    /// Returns the path as sent, without the prefix below which the endpoint is nested.
    #[must_use]
    pub fn path(&self) -> &'r str {
        self.path
    }

    /// Returns the query as sent, without the `?`; `None` if there is none.
    #[must_use]
    pub fn query(&self) -> Option<&'r str> {
        self.query
    }

    /// Returns the address of the client; `None` if the framework does not know it.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the first line of a header; `None` if there is none. `name` must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'r str> {
        (self.headers)(name, 0)
    }

    /// Returns the lines of a header, at most 100. `name` must be in lower case. The lines of a header that is a list,
    /// such as `Accept`, together are one list:
    /// [RFC 9110, section 5.3](https://www.rfc-editor.org/rfc/rfc9110#section-5.3).
    pub fn header_lines<'n>(&self, name: &'n str) -> impl Iterator<Item = &'r str> + Clone + use<'r, 'n> {
        let headers = self.headers;
        (0..MOST_LINES).map_while(move |line| headers(name, line))
    }
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

/// A complete answer, which the adapter converts into the framework's type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, without `Content-Length` and `Connection`.
    pub headers: Headers,
    /// The whole body, also for HEAD. The adapter must not send it in the answer to HEAD.
    pub body: Bytes,
    /// The value of `Content-Length`, also for HEAD, in bytes.
    pub content_length: usize,
    /// Whether to close the connection after this answer. Applies to HTTP/1 only.
    pub close: bool,
}

/// The additions of a middleware to an answer of the application while the service drains.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResponseExtras {
    /// The headers to set.
    pub headers: Headers,
    /// Whether to close the connection after this answer. Applies to HTTP/1 only.
    pub close: bool,
}

/// The headers of an answer, in the order in which they are sent: a content type, constant headers, and `Refresh`. They
/// are created without allocation.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    pub(super) content_type: Option<HeaderValue>,
    pub(super) constants: Constants,
    pub(super) refresh: Option<HeaderValue>,
}

impl Headers {
    /// Returns an iterator over the names, in lower case, and the values of the headers.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &HeaderValue)> {
        let content_type = self.content_type.iter().map(|value| ("content-type", value));
        let constants = self.constants.iter().map(|(name, value)| (*name, value));
        content_type.chain(constants).chain(self.refresh.iter().map(|value| ("refresh", value)))
    }
}

/// A set of constant headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Constants(u8);

impl Constants {
    /// The headers of every answer: `Cache-Control: no-store`, so that no cache keeps it, and
    /// `X-Content-Type-Options: nosniff`, so that no browser guesses its type.
    pub(super) const PROTECTIVE: Self = Self(0b11);
    pub(super) const VARY: Self = Self(1 << 2);
    pub(super) const ALLOW: Self = Self(1 << 3);
    pub(super) const ENVOY_DEGRADED: Self = Self(1 << 4);
    pub(super) const ENVOY_FAIL: Self = Self(1 << 5);
    /// The Content Security Policy of the status page.
    #[cfg(feature = "html")]
    pub(super) const POLICY: Self = Self(1 << 6);

    /// The headers. The position of a header is the number of its bit. The headers for Envoy belong to its active
    /// health checks: <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/health_checking>.
    const ALL: &[(&'static str, HeaderValue)] = &[
        ("cache-control", HeaderValue::Static("no-store")),
        ("x-content-type-options", HeaderValue::Static("nosniff")),
        ("vary", HeaderValue::Static("Accept")),
        ("allow", HeaderValue::Static("GET, HEAD, OPTIONS")),
        ("x-envoy-degraded", HeaderValue::Static("true")),
        ("x-envoy-immediate-health-check-fail", HeaderValue::Static("true")),
        #[cfg(feature = "html")]
        ("content-security-policy", HeaderValue::Static(crate::render::html::POLICY)),
    ];

    pub(super) fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    fn iter(self) -> impl Iterator<Item = &'static (&'static str, HeaderValue)> {
        Self::ALL.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, header)| header)
    }
}

/// The value of a header, which consists of visible ASCII characters and spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderValue {
    /// A constant text.
    Static(&'static str),
    /// A text that the answer shares with a prepared body.
    Shared(Bytes),
    /// A number from the query of the request.
    Number(Digits),
}

/// A number of at most four digits as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    text: [u8; 4],
    length: u8,
}

impl Digits {
    /// Returns the digits of a number below 10,000; of a greater one, its last four.
    #[cfg(feature = "html")]
    pub(super) fn of(number: u16) -> Self {
        let mut digits = Self { text: [b'0'; 4], length: 0 };
        let (mut rest, mut reversed) = (number % 10_000, [b'0'; 4]);
        while rest > 0 || digits.length == 0 {
            reversed[usize::from(digits.length)] += u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            digits.length += 1;
        }
        let length = usize::from(digits.length);
        for (digit, from) in digits.text[..length].iter_mut().zip(reversed[..length].iter().rev()) {
            *digit = *from;
        }
        digits
    }
}

impl HeaderValue {
    /// Returns the value as it is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Static(text) => text.as_bytes(),
            Self::Shared(bytes) => bytes,
            Self::Number(digits) => digits.text.get(..usize::from(digits.length)).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "html")]
    #[test]
    fn digits_match_the_number() {
        for number in [0, 2, 5, 10, 60, 100, 1_204, 3_600, 9_999] {
            assert_eq!(HeaderValue::Number(Digits::of(number)).as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn header_lines_end_if_the_function_ignores_the_line_number() {
        let request = Request::new("GET", "/health", None, None, &|_, _| Some("application/json"));
        assert_eq!(request.header_lines("accept").count(), 100);
    }
}
