//! NATS over the application's own client. Green proves that the server answers a round trip on the live connection; it
//! does not prove that anybody listens to any subject, nor that JetStream works.

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

/// Asks a NATS server over the application's own client. Needs the feature `nats`.
///
/// It subscribes to a fresh inbox and publishes an empty message to it, which the server brings back: flushing alone only
/// fills the kernel's buffer and succeeds towards a server that hangs. A listener to every subject changes nothing, but for a
/// client with `no_echo`, which is told that nobody responds, and is told nothing while somebody listens. A stream of
/// JetStream that takes every subject takes this message, too.
///
/// - Least privilege: subscribing and publishing to an inbox (`_INBOX.>` unless the client has another prefix), or to
///   [`subject`](Self::subject). Without that right it is `timeout`: the server's refusal goes to the client's event
///   callback only.
/// - The client tells why it is not connected to its event callback only: refused and wrong credentials alike are
///   `unreachable`, told at once. A client whose credentials were refused gives up for good.
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
    /// Asks over this client.
    pub fn new(client: Client) -> Self {
        Self { client, subject: None }
    }

    /// Publishes to this subject instead, where permissions allow no inbox, and subscribes to it. Every other subscriber
    /// receives an empty message in each run, and an answer of one is as good as the message itself.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

impl Nats {
    /// Publishes a message and waits until it comes back, or an answer to it.
    async fn round_trip(&self) -> CheckResult {
        // An inbox of its own, so that a run that is given up leaves nothing in the client.
        let inbox = self.client.new_inbox();
        let mut subscribers = vec![self.client.subscribe(inbox.clone()).await.map_err(unsent)?];
        match &self.subject {
            // The message is its own reply: a client that does not want its own messages back is told that nobody responds.
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

/// Waits for a message of any subscription. Returns `false` if one of them has ended.
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
            let message =
                "no message came back: the server does not answer, or the user may not publish to the subject";
            Ok(Outcome::unhealthy(message).reason(Reason::Timeout))
        })
    }

    fn proves(&self) -> &'static str {
        "The server answers a round trip on the live connection. It does not prove that anybody listens to any \
         subject, nor that JetStream works."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        match &self.subject {
            Some(subject) if subject.is_empty() || subject.contains(['*', '>', ' ']) => {
                Err(format!("{subject:?} is not a subject to publish to: use one without wildcards and spaces").into())
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
