//! The error of a run.

use std::{error::Error, fmt, io, sync::Arc};

use crate::{model::status::Reason, redact};

/// Why a check failed. Opaque: a public [`Reason`] and a private text.
///
/// Any error converts, so `?` works inside a check. The reason is found by walking the source chain: an
/// [`io::ErrorKind`] anywhere in it, or an elapsed Tokio timeout, is classified; all else is [`Reason::Failed`].
/// The text of the whole chain is kept for logs and for callers with full visibility, and is redacted before it
/// gets there; no public answer ever carries it.
///
/// It does not implement [`Error`] itself, as otherwise the conversion could not exist.
pub struct CheckError {
    reason: Reason,
    message: String,
}

impl CheckError {
    /// An error of our own wording, with [`Reason::Failed`].
    pub fn new(message: impl Into<String>) -> Self {
        Self { reason: Reason::Failed, message: message.into() }
    }

    /// The same as the conversion from an error type, for one that is already boxed.
    #[must_use]
    pub fn from_boxed(error: Box<dyn Error + Send + Sync>) -> Self {
        Self::from_chain(&*error)
    }

    /// Sets the public category.
    #[must_use]
    pub fn reason(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    pub(crate) fn from_chain(error: &(dyn Error + 'static)) -> Self {
        Self { reason: classify(error).unwrap_or(Reason::Failed), message: chain(error) }
    }

    pub(crate) fn into_parts(self) -> (Reason, String) {
        (self.reason, self.message)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for CheckError {
    fn from(error: E) -> Self {
        Self::from_chain(&error)
    }
}

impl fmt::Debug for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckError")
            .field("reason", &self.reason)
            .field("message", &redact::shapes(&self.message))
            .finish()
    }
}

/// The text of an error and its sources, without repeating a text that already contains the next one.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

/// The public reason that the source chain tells by itself, if any.
pub(crate) fn classify(error: &(dyn Error + 'static)) -> Option<Reason> {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<tokio::time::error::Elapsed>() {
            return Some(Reason::Timeout);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // What an io::Error wraps is not its source.
            let wrapped = || error.get_ref().and_then(|inner| classify(inner));
            if let Some(reason) = classify_io(error).or_else(wrapped) {
                return Some(reason);
            }
        }
        // Nor is what an Arc holds: its source is that of what it holds.
        let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>();
        if let Some(reason) = shared.and_then(|shared| classify(&**shared)) {
            return Some(reason);
        }
        next = error.source();
    }
    None
}

/// Words of rustls.
const TLS_REFUSALS: [&str; 7] = [
    "invalid peer certificate",
    "received fatal alert",
    "received corrupt message",
    "peer is incompatible",
    "peer misbehaved",
    "peer sent no certificates",
    "peer doesn't support any known protocol",
];

fn classify_io(error: &io::Error) -> Option<Reason> {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::TimedOut | Kind::WouldBlock => Some(Reason::Timeout),
        Kind::PermissionDenied => Some(Reason::Rejected),
        Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::NotConnected
        | Kind::BrokenPipe
        | Kind::UnexpectedEof
        | Kind::AddrNotAvailable
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown => Some(Reason::Unreachable),
        // How rustls and what it sits in tell of a handshake that one of the two would not go on with.
        Kind::InvalidData if TLS_REFUSALS.iter().any(|words| error.to_string().contains(words)) => {
            Some(Reason::Rejected)
        }
        // The standard library gives failed name resolution no kind of its own, only this text.
        _ if error.to_string().contains("failed to lookup address information") => Some(Reason::Unreachable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(error: impl Into<CheckError>) -> Reason {
        error.into().reason
    }

    #[test]
    fn an_io_kind_anywhere_in_the_chain_is_the_reason() {
        #[derive(Debug)]
        struct Driver(io::Error);
        impl fmt::Display for Driver {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("driver")
            }
        }
        impl Error for Driver {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, Reason::Unreachable),
            (io::ErrorKind::UnexpectedEof, Reason::Unreachable),
            (io::ErrorKind::TimedOut, Reason::Timeout),
            (io::ErrorKind::PermissionDenied, Reason::Rejected),
            (io::ErrorKind::InvalidData, Reason::Failed),
        ] {
            assert_eq!(reason(Driver(kind.into())), expected, "{kind:?}");
            assert_eq!(reason(io::Error::from(kind)), expected, "{kind:?}");
        }
        let tls = io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: Expired");
        assert_eq!(reason(tls), Reason::Rejected);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(reason(io::Error::other(refused())), Reason::Unreachable);
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(refused());
        assert_eq!(reason(io::Error::other(shared)), Reason::Unreachable);
        assert_eq!(reason(io::Error::other("failed to lookup address information: no")), Reason::Unreachable);
    }

    #[test]
    fn the_text_names_every_source_once() {
        let error = CheckError::from(io::Error::new(io::ErrorKind::ConnectionRefused, "no one there"));
        assert_eq!(error.into_parts(), (Reason::Unreachable, "no one there".to_owned()));
    }

    #[test]
    fn debug_shows_no_password() {
        let error = CheckError::new("postgres://app:hunter2@db/orders refused");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
