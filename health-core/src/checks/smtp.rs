//! Checks a mail server over the application's own lettre transport. Green proves that the server opens a session, with
//! the transport's credentials if it has any, and answers NOOP. It does not prove that a message is accepted or
//! delivered.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use lettre::{AsyncSmtpTransport, Tokio1Executor, transport::smtp::Error};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    check::{Check, CheckResult, deadline::time_left, error::CheckError, outcome::Outcome},
    model::status::Reason,
};

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// Checks a mail server by NOOP over the application's own transport.
///
/// Green proves that the server opens a session, with the transport's credentials if it has any, and answers NOOP. It
/// does not prove that a message is accepted or delivered.
///
/// - Least privilege: the right to log in, if the transport has credentials. The check starts no message.
/// - The feature `smtp` turns on lettre's pool, which is also lettre's default. The check uses an idle connection of
///   the pool, or opens a new one that stays in the pool. A dead pooled connection is not an outage: lettre takes the
///   next one, until a new one fails.
/// - After a timeout the request continues until it is answered or its connection ends. If it were dropped, lettre
///   would return the connection to its pool before the answer arrived, and the next message would be judged by the
///   answers to earlier commands. At most one request continues in this way. A later request that times out is
///   cancelled.
/// - The reply 535 and other refusals of the user, of the client or of its TLS are `rejected`. The reply 421 is
///   `unreachable`, or `saturated` if its text names a limit of connections. Other replies are `failed`.
/// - A server without room for one more session is Unhealthy, because it would refuse the application's next message,
///   too.
/// - With wrong credentials each run is one more failed login. If the server locks users out, set a longer
///   `.recheck(..)`.
/// - A server that closes idle sessions after a few minutes is not an outage.
///
/// ```no_run
/// use health_core::{CheckExt, Health, Smtp};
/// use lettre::{AsyncSmtpTransport, Tokio1Executor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let mailer = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("mail.internal").build();
/// let health = Health::builder().check("mail", Smtp::new(mailer.clone()).optional()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// The request of an earlier run that is still without an answer.
    left: Mutex<Option<Task>>,
}

/// Whether the server answered NOOP over the last connection that lettre took.
type Answer = Result<bool, Error>;

type Task = JoinHandle<Answer>;

impl Smtp {
    /// Creates a check that sends its requests over this transport.
    pub fn new(transport: AsyncSmtpTransport<Tokio1Executor>) -> Self {
        Self { transport, left: Mutex::default() }
    }

    /// Sends NOOP. Sends it once more if the connection ended between lettre's own test of it and the check's NOOP.
    async fn ask(&self) -> Result<Outcome, CheckError> {
        for _ in 0..2 {
            if self.question().await? {
                return Ok(Outcome::healthy());
            }
        }
        Err(CheckError::new("the server closed the session or refused NOOP").reason(Reason::Unreachable))
    }

    /// Sends one request, which continues if this future is dropped.
    async fn question(&self) -> Result<bool, CheckError> {
        let transport = self.transport.clone();
        let task = tokio::spawn(async move { transport.test_connection().await });
        let mut question = Question { check: self, task: Some(task) };
        let Some(task) = question.task.as_mut() else { return Ok(false) };
        let answer = task.await;
        question.task = None;
        match answer {
            Ok(answer) => answer.map_err(explain),
            // The scheduler reports the panic, and keeps its text out of the report.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Ok(false),
        }
    }

    /// Lets a request continue, unless an earlier one is still under way. In that case the request is cancelled. The
    /// server was already silent when this request began, so lettre is still testing or opening the connection of the
    /// request, and closes that connection on cancellation.
    fn leave(&self, task: Task) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.as_ref().is_some_and(|earlier| !earlier.is_finished()) {
            task.abort();
        } else {
            *left = Some(task);
        }
    }
}

/// A request under way.
struct Question<'a> {
    check: &'a Smtp,
    task: Option<Task>,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.check.leave(task);
        }
    }
}

/// Converts an error of lettre, with its reason.
fn explain(error: Error) -> CheckError {
    let by_code = error.status().map(|code| reason_of_reply(code.into(), &error.to_string()));
    let reason = by_code.or_else(|| reason_of_text(&error.to_string()));
    let error = CheckError::from(error);
    match reason {
        Some(reason) => error.reason(reason),
        None => error,
    }
}

/// Returns the public category of a negative reply.
fn reason_of_reply(code: u16, text: &str) -> Reason {
    match code {
        421 if names_a_limit(text) => Reason::Saturated,
        421 => Reason::Unreachable,
        // No service for this client, a refused sender, and the codes of RFC 4954 for a refused user.
        521 | 530 | 534 | 535 | 538 | 550 | 554 => Reason::Rejected,
        _ => Reason::Failed,
    }
}

/// Returns whether a reply 421 means too many connections. The code has several meanings, so the text decides. The
/// words are those of Postfix, Exim and Sendmail.
fn names_a_limit(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["too many", "limit exceeded", "connection rate", "concurrent"].iter().any(|words| text.contains(words))
}

/// Returns the public category of an error without a reply, from its text. Returns `None` if the text gives none.
fn reason_of_text(text: &str) -> Option<Reason> {
    if text.starts_with("tls error") || text.contains("authentication mechanism") || text.contains("STARTTLS is not") {
        Some(Reason::Rejected)
    } else if text.contains("incomplete response") || text.contains("could not resolve") {
        Some(Reason::Unreachable)
    } else {
        None
    }
}

#[async_trait]
impl Check for Smtp {
    async fn check(&self) -> CheckResult {
        let limit = time_left().unwrap_or(DEFAULT_LIMIT);
        let patience = limit.saturating_sub(limit / 100);
        timeout(patience, self.ask()).await.unwrap_or_else(|_| {
            let message = "no answer in time to NOOP, or to the commands that open a session";
            Ok(Outcome::unhealthy(message).reason(Reason::Timeout))
        })
    }

    fn proves(&self) -> &'static str {
        "The server opens a session, with the transport's credentials if it has any, and answers NOOP. It does not \
         prove that a message is accepted or delivered."
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_code_gives_the_reason_and_for_421_the_text_does() {
        for (code, text, expected) in [
            (421, "4.3.2 mail.internal Service shutting down", Reason::Unreachable),
            (421, "4.7.0 mail.internal Error: too many connections from 10.0.0.7", Reason::Saturated),
            (421, "Too many concurrent SMTP connections; please try again later.", Reason::Saturated),
            (421, "4.3.2 Connection rate limit exceeded.", Reason::Saturated),
            (451, "4.3.0 Temporary lookup failure", Reason::Failed),
            (454, "4.7.0 Temporary authentication failure", Reason::Failed),
            (500, "5.5.1 unrecognized command", Reason::Failed),
            (535, "5.7.8 Authentication credentials invalid", Reason::Rejected),
            (554, "5.7.1 No SMTP service here", Reason::Rejected),
        ] {
            assert_eq!(reason_of_reply(code, text), expected, "{code} {text}");
        }
    }

    #[test]
    fn an_error_without_a_reply_has_the_reason_of_its_text() {
        for (text, expected) in [
            ("tls error: certificate verify failed", Some(Reason::Rejected)),
            ("internal client error: No compatible authentication mechanism was found", Some(Reason::Rejected)),
            ("internal client error: STARTTLS is not supported on this server", Some(Reason::Rejected)),
            ("response error: incomplete response", Some(Reason::Unreachable)),
            ("response error: SMTP response too large", None),
            ("network error: Connection reset by peer (os error 104)", None),
        ] {
            assert_eq!(reason_of_text(text), expected, "{text}");
        }
    }
}
