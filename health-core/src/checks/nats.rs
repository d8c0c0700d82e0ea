//! Checks NATS over the application's own client. Green proves that the server answers a round trip on the live
//! connection. It does not prove that any subject has a subscriber, or that JetStream works.

use std::{fmt, future::poll_fn, pin::Pin, task::Poll, time::Duration};

use async_nats::{Client, Subscriber, connection::State};
use async_trait::async_trait;
use futures_core::Stream as _;
use tokio::time::timeout;

use crate::{
    check::{
        Check, CheckResult,
        deadline::time_left,
        error::{CheckError, InvalidCheck},
        outcome::Outcome,
    },
    model::status::Reason,
};

/// Checks a NATS server by a message to itself, over the application's own client.
///
/// Green proves that the server answers a round trip on the live connection. It does not prove that any subject has a
/// subscriber, or that JetStream works.
///
/// The check subscribes to a new inbox and publishes an empty message to it, which the server sends back. A flush is
/// not enough: it only fills the kernel's buffer and succeeds even if the server hangs.
///
/// A client with `no_echo` does not receive its own messages. For such a client the round trip ends with the server's
/// answer that there are no responders. A subscriber to all subjects prevents this answer, and then the check is
/// `timeout`. Other clients are not affected by such a subscriber. A JetStream stream of all subjects stores the
/// message of each run.
///
/// - Least privilege: the right to subscribe and publish to an inbox (`_INBOX.>` unless the client has another prefix),
///   or to [`subject`](Self::subject). Without the right the check is `timeout`, because only the client's event
///   callback receives the server's refusal.
/// - A client that is not connected is `unreachable` at once. Only the client's event callback receives the cause, so
///   that a refused connection and wrong credentials have the same reason. A client whose credentials were refused
///   stops connecting for good.
///
/// ```no_run
/// use health_core::{Health, Nats};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = async_nats::connect("localhost").await?;
/// let health = Health::builder().check("nats", Nats::new(client.clone())).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Nats {
    client: Client,
    subject: Option<String>,
}

impl Nats {
    /// Creates a check that sends its messages over this client.
    pub fn new(client: Client) -> Self {
        Self { client, subject: None }
    }

    /// Sets the subject that the check publishes and subscribes to instead of an inbox, for permissions that allow no
    /// inbox. Every other subscriber of the subject receives an empty message in each run. A subscriber's reply counts
    /// like the message itself. Default: a new inbox in each run.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

impl Nats {
    /// Publishes a message, and waits for the message or a reply to it.
    async fn round_trip(&self) -> CheckResult {
        // Each run has an inbox of its own, so that a cancelled run leaves nothing in the client.
        let inbox = self.client.new_inbox();
        let mut subscribers = vec![self.client.subscribe(inbox.clone()).await.map_err(unsent)?];
        match &self.subject {
            // The reply goes to the same inbox: a client with `no_echo` receives "no responders" instead of its
            // message.
            None => self.client.publish_with_reply(inbox.clone(), inbox, "".into()).await.map_err(unsent)?,
            Some(subject) => {
                subscribers.push(self.client.subscribe(subject.clone()).await.map_err(unsent)?);
                self.client.publish_with_reply(subject.clone(), inbox, "".into()).await.map_err(unsent)?;
            }
        }
        if first_message(&mut subscribers).await {
            Ok(Outcome::healthy())
        } else {
            Ok(unreachable("the client has been closed"))
        }
    }
}

/// Waits for a message of any subscription. Returns `false` if a subscription has ended.
async fn first_message(subscribers: &mut [Subscriber]) -> bool {
    poll_fn(|context| {
        for subscriber in &mut *subscribers {
            if let Poll::Ready(message) = Pin::new(subscriber).poll_next(context) {
                return Poll::Ready(message.is_some());
            }
        }
        Poll::Pending
    })
    .await
}

fn unsent(error: impl Into<CheckError>) -> CheckError {
    error.into().reason(Reason::Unreachable)
}

#[async_trait]
impl Check for Nats {
    async fn check(&self) -> CheckResult {
        match self.client.connection_state() {
            State::Connected => {}
            State::Pending => return Ok(unreachable("the client has not connected yet")),
            State::Disconnected => return Ok(unreachable("the client is disconnected")),
        }
        let patience = time_left().map_or(Duration::MAX, |left| left.saturating_sub(left / 100));
        timeout(patience, self.round_trip()).await.unwrap_or_else(|_| {
            let message = "no message came back: the server does not answer, or the user has no right to the subject";
            Ok(Outcome::unhealthy(message).reason(Reason::Timeout))
        })
    }

    fn proves(&self) -> &'static str {
        "The server answers a round trip on the live connection. It does not prove that any subject has a subscriber, \
         or that JetStream works."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        match &self.subject {
            Some(subject) if subject.is_empty() || subject.contains(['*', '>', ' ']) => {
                Err(format!("subject({subject:?}) cannot be published to: use one without wildcards and spaces").into())
            }
            _ => Ok(()),
        }
    }
}

fn unreachable(message: &str) -> Outcome {
    Outcome::unhealthy(message).reason(Reason::Unreachable)
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("subject", &self.subject).finish_non_exhaustive()
    }
}
