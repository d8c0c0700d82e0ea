//! Whether anybody listens to a publisher: one line in the log when nobody does any more, and one when somebody does again.

use std::io;

/// The error number of a full buffer on macOS and BSD (ENOBUFS), which have no kind for it.
const NO_BUFFERS: i32 = 55;

/// Whether a datagram was not taken because the receiver has taken none for a while.
pub(super) fn is_full(error: &io::Error) -> bool {
    let is_bsd = cfg!(all(unix, not(any(target_os = "linux", target_os = "android"))));
    error.kind() == io::ErrorKind::WouldBlock || is_bsd && error.raw_os_error() == Some(NO_BUFFERS)
}

/// What is known of a receiver of datagrams.
#[derive(Debug)]
pub(super) struct Listens {
    receiver: &'static str,
    fails: bool,
}

impl Listens {
    pub(super) fn new(receiver: &'static str) -> Self {
        Self { receiver, fails: false }
    }

    /// Whether nobody listened when the last message was sent.
    pub(super) fn fails(&self) -> bool {
        self.fails
    }

    /// Records whether a message was taken, and returns it. A receiver whose buffer is full listens: it is only slow.
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
                tracing::debug!(target: "health", receiver, %error, "publisher drops a message");
                false
            }
            Err(error) => {
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::warn!(target: "health", receiver, %error, "publisher reaches nobody, and tries again");
                }
                false
            }
        }
    }
}
