//! NATS over the application's own client. Green proves that the server answers a round trip on the live connection; it
//! does not prove that anybody listens to any subject, nor that JetStream works.

use std::fmt;

use async_nats::{Client, Request, client::RequestErrorKind, connection::State};
use async_trait::async_trait;

use crate::{
    check::{
        Check, CheckResult,
        error::{CheckError, InvalidCheck},
        outcome::Outcome,
    },
    model::status::Reason,
};

/// Asks a NATS server over the application's own client. Needs the feature `nats`.
///
/// It flushes what the client has buffered and then sends an empty request to a subject that nobody listens to, which the
/// server itself answers with "no responders": flushing alone only fills the kernel's buffer and succeeds towards a
/// server that hangs.
///
/// - Least privilege: publishing to a fresh inbox (or to [`subject`](Self::subject)) and subscribing to one. No
///   subscriber of the application sees it.
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

    /// Sends the request to this subject instead, where permissions allow no inbox. An answer of somebody who listens to
    /// it is as good as the server's.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

#[async_trait]
impl Check for Nats {
    async fn check(&self) -> CheckResult {
        match self.client.connection_state() {
            State::Connected => {}
            State::Pending => return Ok(unreachable("the client has not connected yet")),
            State::Disconnected => return Ok(unreachable("the client is disconnected")),
        }
        self.client.flush().await.map_err(|error| CheckError::from(error).reason(Reason::Unreachable))?;
        let subject = self.subject.clone().unwrap_or_else(|| self.client.new_inbox());
        // An inbox of its own, so that a run that is given up leaves nothing in the client.
        let request = Request::new().timeout(None).inbox(self.client.new_inbox());
        match self.client.send_request(subject, request).await {
            Ok(_) => Ok(Outcome::healthy()),
            Err(error) => match error.kind() {
                RequestErrorKind::NoResponders => Ok(Outcome::healthy()),
                RequestErrorKind::TimedOut => Err(CheckError::from(error).reason(Reason::Timeout)),
                RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => Err(error.into()),
                RequestErrorKind::Other => Err(CheckError::from(error).reason(Reason::Unreachable)),
            },
        }
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
