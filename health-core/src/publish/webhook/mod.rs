//! The `Webhook` publisher, which posts changes as JSON to an HTTP endpoint.

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

/// Posts every change of a check as JSON to a URL, over the application's own [`reqwest::Client`].
///
/// ```json
/// {"event":"change","at":"2026-01-05T08:00:00.123Z","service":"orders","status":"unhealthy",
///  "cause":"database unreachable","lifecycle":"ready","changes":[{"check":"database","from":"healthy",
///  "to":"unhealthy","reason":"unreachable","at":"2026-01-05T08:00:00.120Z"}],"missed":0}
/// ```
///
/// - The first change is sent at once. Changes that follow within the [`minimum_gap`](Self::minimum_gap) are sent
///   together.
/// - A receiver must assume that every check is Healthy until it is notified otherwise. Pending checks are ignored, and
///   the lifecycle changes neither status nor cause, so that a deployment sends nothing. If a check that was sent as
///   bad is removed, it is sent as Healthy.
/// - A status code from 200 to 299 means that the notice is delivered. After any other answer or an error the notice is
///   sent again: after about 1 s, 2 s and so on up to a minute, but not before the time in `Retry-After` (seconds or a
///   date) has passed, up to 5 minutes. A notice that is refused (400, 413, 415, 422, a redirect) is not sent again. A
///   retry can deliver a change twice. A change is identified by the instance that sends it (see
///   [`label`](Self::label)), its check and its time.
/// - Up to 100 changes wait. If there are more, the oldest changes whose checks have changed again are dropped and
///   counted as `missed`.
/// - While a notice is being delivered, further changes are received and wait. No check ever waits for a receiver.
/// - When the checks [stop](crate::Health::stop), the changes that wait are sent in one last attempt of less than a
///   second.
/// - A redirect counts as a refusal, but the client decides whether to follow it. Build the client with
///   `redirect(Policy::none())`, so that neither the notice nor its headers are sent elsewhere.
///
/// No output contains the URL, because a webhook URL is often a secret by itself.
///
/// ```no_run
/// use std::time::Duration;
/// use health_core::{Health, Webhook, serde_json::json};
///
/// # fn example(health: Health, client: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let alerts = Webhook::post(client.clone(), "https://alerts.internal/hook")?.header("authorization", "Bearer …");
/// health.publish(alerts.every(Duration::from_secs(60)));
///
/// // A body in another format, for example for a chat.
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
    /// Returns an error if the URL is not usable.
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

    /// Adds a label to the `labels` of every notice, for example the name of the instance that sends it:
    /// `.label("instance", hostname)`.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Sets a request header, such as a token. It replaces an earlier header of the same name. No output contains its
    /// value. A header that is not valid in HTTP is left out, and a warning is logged.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send_instead(name.as_ref(), value.as_ref());
        self
    }

    /// Sets the shortest time between a delivered notice with changes and the next one. Default 10 s.
    pub fn minimum_gap(mut self, gap: Duration) -> Self {
        self.gap = gap.min(LONGEST);
        self
    }

    /// Sets the interval of pings for a dead man's switch: a notice with `"event":"ping"` and the status is sent
    /// whenever no notice was sent for this time. Default: no pings. The shortest interval is 1 s. The first ping is
    /// sent as soon as any check has run. No ping is sent while *liveness* is Unhealthy. The absence of pings therefore
    /// means that the service has ended, cannot reach the receiver, or is not alive.
    ///
    /// A receiver that counts every request as a ping also receives the changes, unless
    /// [`pings_only`](Self::pings_only) is set.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = Some(every.clamp(Duration::from_secs(1), LONGEST));
        self
    }

    /// Sends pings only and no changes, for a receiver that expects only pings while another webhook sends the changes.
    /// It needs [`every`](Self::every).
    pub fn pings_only(mut self) -> Self {
        self.pings_only = true;
        self
    }

    /// Sets the time in which a receiver must begin its answer. Default 10 s. The rest of the answer may take one
    /// second more.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST);
        self
    }

    /// Sets which data is sent in addition to the name of the service, the labels and the lifecycle. Default
    /// [`Visibility::Checks`]: the status, the names of checks and the public reasons. `Full` adds the redacted error
    /// texts and the version. `Status` sends only the status, when it differs from the status that was sent last.
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Sets a function that returns the body, for receivers that need another JSON format. If the function panics, the
    /// notice is not sent.
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
