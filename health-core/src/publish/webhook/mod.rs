//! The `Webhook` publisher: changes as JSON, posted to any HTTP endpoint.

mod change_tracker;
mod dispatcher;
pub(crate) mod notice;
mod queue;

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{Client, Method};

use crate::{checks::http::Target, model::status::Visibility, publish::webhook::notice::Notice, time::LONGEST};

/// Posts every change of a check to a URL, as JSON, over the application's own [`reqwest::Client`]. Needs the feature
/// `webhook`.
///
/// ```json
/// {"event":"change","at":"2026-01-05T08:00:00.123Z","service":"orders","status":"unhealthy",
///  "cause":"database unreachable","lifecycle":"ready","changes":[{"check":"database","from":"healthy",
///  "to":"unhealthy","reason":"unreachable","at":"2026-01-05T08:00:00.120Z"}],"missed":0}
/// ```
///
/// - The first change is sent at once. Changes that follow within the [`minimum_gap`](Self::minimum_gap) are sent
///   together.
/// - A receiver takes every check for Healthy until it is notified otherwise. A pending check counts for nothing, and
///   the lifecycle changes neither status nor cause, so that a deploy sends nothing. A check that was sent as bad and
///   is then removed is sent as Healthy.
/// - Any code from 200 to 299 means delivered. After any other answer or an error the notice is sent again: after about
///   1 s, 2 s and so on up to a minute, but not before the time in `Retry-After` (seconds or a date) has passed, up to 5 minutes. A
///   notice that is refused for good (400, 413, 415, 422, a redirect) is not sent again. A retry can deliver a change
///   twice. A change is identified by the instance that sends it (see [`label`](Self::label)), its check and its
///   moment.
/// - Up to 100 changes wait. Of more, the oldest whose checks have changed since are dropped and counted as `missed`.
/// - While a notice is under way, further changes are received and wait. No check ever waits for a receiver.
/// - When the checks [stop](crate::Health::stop), the changes that wait are sent in one last attempt of less than a
///   second.
/// - A redirect counts as a refusal, but the client decides whether to follow it. Build the client with
///   `redirect(Policy::none())`, so that nothing, and no header, is sent elsewhere.
///
/// The URL appears in no output, because it is often a secret by itself.
///
/// ```no_run
/// use std::time::Duration;
/// use health_core::{Health, Webhook, serde_json::json};
///
/// # fn example(health: Health, client: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let alerts = Webhook::post(client.clone(), "https://alerts.internal/hook")?.header("authorization", "Bearer …");
/// health.publish(alerts.every(Duration::from_secs(60)));
///
/// // A body in another format, here for a chat.
/// let chat = Webhook::post(client, "https://chat.example/hook")?.minimum_gap(Duration::from_secs(60));
/// health.publish(chat.body_with(|notice| json!({"text": format!("{}: {}", notice.status, notice.cause)})));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Webhook {
    target: Target,
    gap: Duration,
    every: Option<Duration>,
    pings_only: bool,
    timeout: Duration,
    visibility: Visibility,
    labels: Vec<(String, String)>,
    body: Option<Box<Body>>,
}

type Body = dyn Fn(&Notice) -> serde_json::Value + Send + Sync;

impl Webhook {
    /// Creates a webhook that posts to this URL.
    ///
    /// # Errors
    ///
    /// The URL cannot be used.
    pub fn post(client: Client, url: impl AsRef<str>) -> io::Result<Self> {
        let mut target = Target::new(client, Method::POST, url.as_ref());
        target.send_instead("content-type", "application/json");
        target.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Self {
            target,
            gap: Duration::from_secs(10),
            every: None,
            pings_only: false,
            timeout: Duration::from_secs(10),
            visibility: Visibility::Checks,
            labels: Vec::new(),
            body: None,
        })
    }

    /// Adds a label to the `labels` of every notice, for instance which instance sends it or where it runs:
    /// `.label("instance", hostname)`.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Sets a request header, such as a token, in place of an earlier header of the same name. Its value appears in no
    /// output. A header that HTTP cannot carry is left out, with a warning in the log.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send_instead(name.as_ref(), value.as_ref());
        self
    }

    /// Sets the shortest time between a delivered notice of changes and the next. Default 10 s.
    pub fn minimum_gap(mut self, gap: Duration) -> Self {
        self.gap = gap.min(LONGEST);
        self
    }

    /// Sends pings for a dead man's switch: `"event":"ping"` with the status, whenever no notice was sent for this
    /// time. The first ping is sent as soon as any check has run. The absence of pings means that the service is gone,
    /// cut off, or not alive: none is sent while *liveness* is Unhealthy. Default: no pings; at least 1 s.
    ///
    /// A receiver that takes every request for a ping receives changes as well, unless [`pings_only`](Self::pings_only)
    /// is set.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = Some(every.clamp(Duration::from_secs(1), LONGEST));
        self
    }

    /// Sends no changes: for a receiver that waits for pings alone, beside another that receives the changes.
    pub fn pings_only(mut self) -> Self {
        self.pings_only = true;
        self
    }

    /// Sets how long a receiver may take to begin its answer. Default 10 s. The rest of the answer may take a second
    /// more.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST);
        self
    }

    /// Sets how much is sent besides the name of the service, the labels and the lifecycle: at [`Visibility::Checks`],
    /// the default, the status, names and public reasons; at `Full` also the redacted text of the error and the
    /// version; at `Status` the status alone, and only when it differs from the status sent last.
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Sets a function that writes the body, for receivers that need another JSON. If the function
    /// panics, the notice is not sent.
    pub fn body_with(mut self, body: impl Fn(&Notice) -> serde_json::Value + Send + Sync + 'static) -> Self {
        self.body = Some(Box::new(body));
        self
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("gap", &self.gap)
            .field("every", &self.every)
            .field("timeout", &self.timeout)
            .field("visibility", &self.visibility)
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// Returns the body of a notice; `None` if the function of [`body_with`](Self::body_with) panicked.
    fn written(&self, notice: &Notice) -> Option<Bytes> {
        match &self.body {
            Some(body) => catch_unwind(AssertUnwindSafe(|| body(notice))).ok().map(|json| json.to_string().into()),
            None => Some(notice.json()),
        }
    }
}
