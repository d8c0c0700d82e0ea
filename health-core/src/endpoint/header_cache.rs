//! The core's constant headers in a framework's own types, converted once.

use std::{fmt, sync::OnceLock};

use bytes::Bytes;

use crate::endpoint::message::{HeaderValue, Headers};

/// The headers of requests that the core reads, in lower case.
const READ: [&str; 3] = ["accept", "health-local", "authorization"];

/// The number of slots, greater than the numbers of constant names and of constant values.
const SLOTS: usize = 32;

/// For adapters: the core's constant names and values of headers in a framework's own types `N` and `V`. Each is converted
/// at its first use, because frameworks check every byte of a name and of a value.
///
/// ```
/// use health_core::HeaderCache;
///
/// static HEADERS: HeaderCache<&'static str, &'static str> = HeaderCache::new(|name| name, |value| value);
/// assert_eq!(HEADERS.with_read_name("accept", |name| *name), Some("accept"));
/// assert_eq!(HEADERS.with_read_name("x-other", |name| *name), None);
/// ```
pub struct HeaderCache<N, V> {
    read: [OnceLock<N>; READ.len()],
    names: Constants<N>,
    values: Constants<V>,
}

impl<N: Clone, V: Clone> HeaderCache<N, V> {
    /// Creates an empty cache over the framework's conversions of constants.
    #[must_use]
    pub const fn new(name: fn(&'static str) -> N, value: fn(&'static str) -> V) -> Self {
        Self {
            read: [const { OnceLock::new() }; READ.len()],
            names: Constants { slots: [const { OnceLock::new() }; SLOTS], convert: name },
            values: Constants { slots: [const { OnceLock::new() }; SLOTS], convert: value },
        }
    }

    /// Passes the name of a request's header in the framework's type to `read`; `None` if it is not one of the names that
    /// the core itself reads.
    pub fn with_read_name<R>(&self, name: &str, read: impl FnOnce(&N) -> R) -> Option<R> {
        let position = READ.iter().position(|known| *known == name)?;
        let convert = || (self.names.convert)(READ[position]);
        Some(read(self.read[position].get_or_init(convert)))
    }

    /// Converts every header of an answer and passes its name and value to `insert`: constants from the cache, and other values
    /// through `shared`. A value that the framework refuses is left out; the values of the core are visible ASCII, which
    /// every framework accepts.
    pub fn for_each<E>(&self, headers: &Headers, shared: impl Fn(Bytes) -> Result<V, E>, mut insert: impl FnMut(N, V)) {
        for (name, value) in headers.iter() {
            let value = match value {
                HeaderValue::Static(text) => Some(self.values.get(text)),
                HeaderValue::Shared(bytes) => shared(bytes.clone()).ok(),
            };
            if let Some(value) = value {
                insert(self.names.get(name), value);
            }
        }
    }
}

impl<N, V> fmt::Debug for HeaderCache<N, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderCache").finish_non_exhaustive()
    }
}

/// Constants, each with what it was converted to.
struct Constants<T> {
    slots: [OnceLock<(&'static str, T)>; SLOTS],
    convert: fn(&'static str) -> T,
}

impl<T: Clone> Constants<T> {
    fn get(&self, text: &'static str) -> T {
        for slot in &self.slots {
            let (known, converted) = slot.get_or_init(|| (text, (self.convert)(text)));
            // A text at two addresses takes two slots.
            if std::ptr::eq(*known, text) {
                return converted.clone();
            }
        }
        (self.convert)(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static CONVERTED: AtomicUsize = AtomicUsize::new(0);

    fn convert(text: &'static str) -> String {
        CONVERTED.fetch_add(1, Ordering::Relaxed);
        text.to_owned()
    }

    #[test]
    fn a_constant_is_converted_once_and_too_many_constants_are_right_all_the_same() {
        let constants = Constants { slots: [const { OnceLock::new() }; SLOTS], convert };
        let texts: Vec<&'static str> = (0..SLOTS + 3).map(|number| &*format!("text-{number}").leak()).collect();
        for _ in 0..2 {
            texts.iter().for_each(|text| assert_eq!(constants.get(text), **text));
        }
        assert_eq!(CONVERTED.load(Ordering::Relaxed), SLOTS + 3 + 3);
    }
}
