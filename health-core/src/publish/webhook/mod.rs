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
/// - The first change is told at once, those that follow it within the [`minimum_gap`](Self::minimum_gap) together.
/// - A check is taken for healthy until it is told otherwise, one that has not run yet counts for nothing, and the phases of
///   life change neither status nor cause: a deploy tells nobody anything. One that was told as bad and is removed is told as
///   healthy.
/// - Any code from 200 to 299 is taken for delivered. After anything else it is told again: after about 1 s, 2 s and so on up
///   to a minute, and not before the seconds have passed that `Retry-After` asks for, up to 5 minutes. What is refused for
///   good (400, 413, 415, 422, a redirect) is not. Something can so be told twice: a change is known by the instance that
///   tells it (see [`label`](Self::label)), its check and its moment.
/// - 100 changes wait; of more, the oldest whose check has changed since are dropped and counted as `missed`.
/// - While one notice is under way, changes are received and wait; no check ever waits for a receiver.
/// - When the checks [stop](crate::Health::stop), what still waits has one last attempt of less than a second.
/// - A redirect is not taken, but whether it is followed is the client's setting: build it with `redirect(Policy::none())`, so
///   that nothing, and no header, is sent elsewhere.
///
/// The URL appears in no output, as it is often a secret by itself.
///
/// ```no_run
/// use std::time::Duration;
/// use health_core::{Health, Webhook, serde_json::json};
///
/// # fn example(health: Health, client: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let alerts = Webhook::post(client.clone(), "https://alerts.internal/hook")?.header("authorization", "Bearer …");
/// health.publish(alerts.every(Duration::from_secs(60)));
///
/// // A body of another kind, here that of a chat.
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
    /// To this URL.
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

    /// Says which instance tells, where it runs and the like, under `labels`: `.label("instance", hostname)`.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// A header to send, such as a token, instead of one by the same name. Its value appears in no output. One that HTTP
    /// cannot carry is left out, with a warning in the log.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send_instead(name.as_ref(), value.as_ref());
        self
    }

    /// The shortest time between a delivered notice of changes and the next. Default 10 s.
    pub fn minimum_gap(mut self, gap: Duration) -> Self {
        self.gap = gap.min(LONGEST);
        self
    }

    /// A dead man's ping: if nothing was sent for so long, `"event":"ping"` with the status is, the first as soon as
    /// any check has run. Its absence means that the service is gone, cut off, or not alive: while *liveness* is Unhealthy
    /// there is none. Default: none; at least 1 s.
    ///
    /// A receiver that takes every request for a sign of life is told of changes as well, unless
    /// [`pings_only`](Self::pings_only) is said.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = Some(every.clamp(Duration::from_secs(1), LONGEST));
        self
    }

    /// Tells of no change: for a receiver that waits for pings alone, beside another that is told the changes.
    pub fn pings_only(mut self) -> Self {
        self.pings_only = true;
        self
    }

    /// How long a receiver may take to answer. Default 10 s. The rest of its answer has a second more.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST);
        self
    }

    /// How much is told, besides the service's name, the labels and the phase of life: at [`Visibility::Checks`], the default,
    /// the status, names and public reasons; at `Full` the redacted text of the error and the version, too; at `Status` the
    /// status alone, and only when it is another than was told last.
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Writes another JSON than ours, for receivers that want their own. A notice for which it panics is not told.
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
