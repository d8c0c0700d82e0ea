//! Whether anybody listens to a publisher: one line in the log when nobody does any more, and one when somebody does again.

use std::io;

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
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
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
