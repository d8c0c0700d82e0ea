//! Errors of checks: the error of one run, and the error of an invalid configuration.

#[cfg(any(feature = "anyhow", feature = "eyre"))]
use std::any::Any;
use std::{error::Error, fmt, io, sync::Arc};

use crate::{model::status::Reason, redact};

/// The error of a failed run: a public [`Reason`] and a private message.
///
/// Everything that converts into a boxed error converts into a `CheckError`, so `?` works inside a check: every error
/// type, boxed errors, `String`, `&'static str`, `anyhow::Error` and `eyre::Report`.
///
/// The reason comes from the source chain. A known [`io::ErrorKind`] or an elapsed Tokio timeout anywhere in the chain
/// determines the reason; any other error is [`Reason::Failed`]. The first error of an `anyhow::Error` or an
/// `eyre::Report` is classified only with the feature `anyhow` or `eyre`, because their boxed forms hide it.
///
/// The message contains the texts of the whole chain. It is redacted, and then shown in the log and to callers with
/// full visibility. No other response contains it.
///
/// `CheckError` does not implement [`Error`], because that would rule out the conversion from every error type.
pub struct CheckError {
    reason: Reason,
    message: String,
}

impl CheckError {
    /// Creates an error with this message and [`Reason::Failed`].
    pub fn new(message: impl Into<String>) -> Self {
        Self { reason: Reason::Failed, message: message.into() }
    }

    /// Sets the public reason.
    #[must_use]
    pub fn reason(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    /// Creates an error from an error and its sources.
    pub(crate) fn from_chain(error: &(dyn Error + 'static)) -> Self {
        Self { reason: classify(error).unwrap_or(Reason::Failed), message: chain(error) }
    }

    /// Returns the public reason.
    #[must_use]
    pub fn get_reason(&self) -> Reason {
        self.reason
    }

    /// Returns the private message, not redacted.
    #[must_use]
    pub fn get_message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_parts(self) -> (Reason, String) {
        (self.reason, self.message)
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>> + 'static> From<E> for CheckError {
    fn from(error: E) -> Self {
        // The boxed forms of `anyhow::Error` and `eyre::Report` hide the first error of their chain.
        #[cfg(feature = "anyhow")]
        if let Some(error) = (&error as &dyn Any).downcast_ref::<anyhow::Error>() {
            return Self::from_chain(&**error);
        }
        #[cfg(feature = "eyre")]
        if let Some(error) = (&error as &dyn Any).downcast_ref::<eyre::Report>() {
            return Self::from_chain(&**error);
        }
        Self::from_chain(&*error.into())
    }
}

/// The error of a check that cannot work as it is configured, from [`Check::validate`](crate::Check::validate). The
/// text says what is wrong and what to change.
///
/// ```
/// use health_core::{Check, CheckResult, InvalidCheck, Outcome, async_trait};
///
/// struct License { days: u32 }
///
/// #[async_trait]
/// impl Check for License {
///     async fn check(&self) -> CheckResult {
///         Ok(Outcome::healthy())
///     }
///
///     fn validate(&self) -> Result<(), InvalidCheck> {
///         if self.days == 0 {
///             return Err("days is 0: use the number of days to warn ahead".into());
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidCheck {
    message: String,
}

impl InvalidCheck {
    /// Creates an error with this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<String> for InvalidCheck {
    fn from(message: String) -> Self {
        Self { message }
    }
}

impl From<&str> for InvalidCheck {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl fmt::Display for InvalidCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for InvalidCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for InvalidCheck {}

impl fmt::Debug for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckError")
            .field("reason", &self.reason)
            .field("message", &redact::shapes(&self.message))
            .finish()
    }
}

/// Joins the texts of an error and its sources. Omits a source whose text the result already contains.
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

/// Returns the reason of the first error in the source chain that can be classified; `None` if there is none.
pub(crate) fn classify(error: &(dyn Error + 'static)) -> Option<Reason> {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<tokio::time::error::Elapsed>() {
            return Some(Reason::Timeout);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // `io::Error` hides the error that it wraps from `source()`.
            let wrapped = || error.get_ref().and_then(|inner| classify(inner));
            if let Some(reason) = classify_io(error).or_else(wrapped) {
                return Some(reason);
            }
        }
        // `Arc<dyn Error>` hides its inner error from `source()`.
        let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>();
        if let Some(reason) = shared.and_then(|shared| classify(&**shared)) {
            return Some(reason);
        }
        next = error.source();
    }
    None
}

/// Parts of error texts that mean a failed TLS handshake. The last one is from OpenSSL, the others are from rustls.
const TLS_REFUSALS: [&str; 11] = [
    "invalid peer certificate",
    "received fatal alert",
    "received corrupt message",
    "received unexpected message: got",
    "received unexpected handshake message: got",
    "peer is incompatible",
    "peer misbehaved",
    "peer sent excess record size",
    "peer sent no certificates",
    "peer doesn't support any known protocol",
    "certificate verify failed",
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
        // TLS libraries report a refused handshake with one of these kinds, which also have other uses.
        Kind::InvalidData | Kind::InvalidInput | Kind::Other
            if TLS_REFUSALS.iter().any(|words| error.to_string().contains(words)) =>
        {
            Some(Reason::Rejected)
        }
        // The standard library has no error kind for failed name resolution, only this text.
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
    fn an_io_error_kind_anywhere_in_the_source_chain_sets_the_reason() {
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
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(reason(io::Error::other(refused())), Reason::Unreachable);
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(refused());
        assert_eq!(reason(io::Error::other(shared)), Reason::Unreachable);
        assert_eq!(reason(io::Error::other("failed to lookup address information: no")), Reason::Unreachable);
    }

    /// The texts are from rustls 0.23 and OpenSSL 3.
    #[test]
    fn a_refused_tls_handshake_is_classified_by_its_text() {
        use io::ErrorKind::{InvalidData, InvalidInput, Other};
        for (kind, text, expected) in [
            (
                InvalidData,
                "invalid peer certificate: certificate expired: verification time 1 (UNIX)",
                Reason::Rejected,
            ),
            (InvalidData, "invalid peer certificate: certificate not valid for name \"db\"", Reason::Rejected),
            (InvalidData, "invalid peer certificate: UnknownIssuer", Reason::Rejected),
            (InvalidInput, "invalid peer certificate: UnknownIssuer", Reason::Rejected),
            (Other, "invalid peer certificate: UnknownIssuer", Reason::Rejected),
            (InvalidData, "received fatal alert: HandshakeFailure", Reason::Rejected),
            (InvalidData, "received corrupt message of type InvalidContentType", Reason::Rejected),
            (
                InvalidData,
                "received unexpected message: got ApplicationData when expecting Handshake",
                Reason::Rejected,
            ),
            (InvalidData, "peer sent excess record size", Reason::Rejected),
            (Other, "error:0A000086:SSL routines::certificate verify failed", Reason::Rejected),
            (InvalidData, "stream did not contain valid UTF-8", Reason::Failed),
            (Other, "the worker is gone", Reason::Failed),
        ] {
            assert_eq!(reason(io::Error::new(kind, text)), expected, "{kind:?} {text}");
            // A library may wrap the error once more.
            assert_eq!(reason(io::Error::other(io::Error::new(kind, text))), expected, "{kind:?} {text}");
        }
        // The end of a connection is `unreachable`, whatever the text.
        let ended = io::Error::new(io::ErrorKind::UnexpectedEof, "received fatal alert");
        assert_eq!(reason(ended), Reason::Unreachable);
    }

    #[test]
    fn the_message_contains_each_source_once() {
        let error = CheckError::from(io::Error::new(io::ErrorKind::ConnectionRefused, "no one there"));
        assert_eq!(error.into_parts(), (Reason::Unreachable, "no one there".to_owned()));
    }

    #[test]
    fn debug_output_redacts_passwords() {
        let error = CheckError::new("postgres://app:hunter2@db/orders refused");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
