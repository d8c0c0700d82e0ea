//! Tracks whether the receiver of a publisher listens. One line is logged when the receiver cannot be reached, and one
//! when it can be reached again.

use std::io;

/// The error number of a full buffer on macOS and BSD (ENOBUFS), for which the standard library has no error kind.
const NO_BUFFERS: i32 = 55;

/// Returns whether a datagram was dropped because the buffer is full, that is, because the receiver reads too slowly.
pub(super) fn is_full(error: &io::Error) -> bool {
    let is_bsd = cfg!(all(unix, not(any(target_os = "linux", target_os = "android"))));
    error.kind() == io::ErrorKind::WouldBlock || is_bsd && error.raw_os_error() == Some(NO_BUFFERS)
}

/// The state of a receiver of datagrams.
#[derive(Debug)]
pub(super) struct Listens {
    receiver: &'static str,
    fails: bool,
}

impl Listens {
    pub(super) fn new(receiver: &'static str) -> Self {
        Self { receiver, fails: false }
    }

    /// Whether the receiver could not be reached with the last message.
    pub(super) fn fails(&self) -> bool {
        self.fails
    }

    /// Records the result of sending a message. Returns whether the message was sent. A receiver with a full buffer
    /// counts as listening, because it is only slow.
    pub(super) fn record(&mut self, sent: io::Result<()>) -> bool {
        let receiver = self.receiver;
        match sent {
            Ok(()) => {
                if std::mem::take(&mut self.fails) {
                    tracing::info!(target: "health", receiver, "publisher reaches its receiver again");
                }
                true
            }
            Err(error) if is_full(&error) => {
                tracing::debug!(
                    target: "health",
                    receiver,
                    %error,
                    "publisher dropped a message: the buffer of the receiver is full"
                );
                false
            }
            Err(error) => {
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::warn!(
                        target: "health",
                        receiver,
                        %error,
                        "publisher cannot reach its receiver, and tries again"
                    );
                }
                false
            }
        }
    }
}
