//! A cache of the core's headers in a framework's own types.

use std::{fmt, sync::OnceLock};

use crate::endpoint::message::{Constants, HeaderValue, Headers};

/// The number of slots. A service uses far fewer distinct sets of headers.
const SLOTS: usize = 32;

/// A cache of the headers of answers in a framework's own type `M`, for adapters. Each set of headers is converted at
/// its first use and then reused, because a conversion makes the framework check every byte of a name and of a value.
///
/// ```
/// use health_core::{HeaderCache, Headers};
///
/// static HEADERS: HeaderCache<Vec<&'static str>> =
///     HeaderCache::new(|headers| headers.iter().map(|(name, _)| name).collect());
/// assert_eq!(HEADERS.with(&Headers::default(), Vec::len), 0);
/// ```
pub struct HeaderCache<M> {
    slots: [OnceLock<(Key, M)>; SLOTS],
    convert: fn(&Headers) -> M,
}

/// The key of a set of headers. The content type is compared by address, so that equal texts at two addresses take two
/// slots.
type Key = (Option<&'static str>, Constants);

impl<M> HeaderCache<M> {
    /// Creates an empty cache. `convert` converts headers into the framework's type.
    #[must_use]
    pub const fn new(convert: fn(&Headers) -> M) -> Self {
        Self { slots: [const { OnceLock::new() }; SLOTS], convert }
    }

    /// Calls `read` with the headers of an answer in the framework's type, and returns its result. Headers with values
    /// that are not constant, and sets for which no slot is left, are converted at each call.
    pub fn with<R>(&self, headers: &Headers, read: impl FnOnce(&M) -> R) -> R {
        let content_type = match headers.content_type {
            None => None,
            Some(HeaderValue::Static(text)) => Some(text),
            Some(_) => return read(&(self.convert)(headers)),
        };
        if headers.refresh.is_some() {
            return read(&(self.convert)(headers));
        }
        for slot in &self.slots {
            let ((known_type, constants), converted) =
                slot.get_or_init(|| ((content_type, headers.constants), (self.convert)(headers)));
            if *constants == headers.constants && known_type.map(str::as_ptr) == content_type.map(str::as_ptr) {
                return read(converted);
            }
        }
        read(&(self.convert)(headers))
    }
}

impl<M> fmt::Debug for HeaderCache<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static CONVERTED: AtomicUsize = AtomicUsize::new(0);

    fn convert(headers: &Headers) -> Vec<(&'static str, String)> {
        CONVERTED.fetch_add(1, Ordering::Relaxed);
        headers.iter().map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
    }

    #[test]
    fn a_header_set_is_converted_once_and_sets_without_a_slot_every_time() {
        let cache = HeaderCache::new(convert);
        let texts: Vec<&'static str> = (0..SLOTS + 3).map(|number| &*format!("text/{number}").leak()).collect();
        for _ in 0..2 {
            for text in &texts {
                let headers = Headers {
                    content_type: Some(HeaderValue::Static(text)),
                    constants: Constants::VARY,
                    refresh: None,
                };
                let expected = vec![("content-type", (*text).to_owned()), ("vary", "Accept".to_owned())];
                cache.with(&headers, |converted| assert_eq!(converted, &expected));
            }
        }
        assert_eq!(CONVERTED.load(Ordering::Relaxed), SLOTS + 3 + 3);
    }
}
