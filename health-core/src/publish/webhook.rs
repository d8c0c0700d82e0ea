//! Changes as JSON, posted to any HTTP endpoint.

mod notice;
mod queue;

use std::{
    collections::HashMap,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Client, Method};
use tokio::time::{Instant, sleep_until, timeout};

pub use self::notice::Notice;
use self::queue::{Delivery, Queue};
use super::{Publisher, Source};
use crate::{
    Change, CheckChange, Probe, Reason, Status, Visibility,
    checks::http::{Answer, Target},
    scheduler::Jitter,
};

/// Of an answer so much is read, so that its connection can be used again.
const DRAINED: usize = 64 << 10;
/// What is left when the checks stop has this long for a last attempt.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// No receiver can ask for a longer pause.
const LONGEST_WISH: Duration = Duration::from_secs(300);

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
/// - A first verdict that is Healthy is no news, and the phases of life change neither status nor cause: a deploy tells
///   nobody anything.
/// - Any code from 200 to 299 is taken for delivered. After anything else it is told again: after 1 s, 2 s and so on up to
///   60 s, or after what `Retry-After` asks for, up to 5 minutes. What is refused for good (400, 413, 415, 422) is not.
///   Something can so be told twice; a change is known by its check and its moment.
/// - 100 changes wait; of more, the oldest are dropped and counted as `missed`.
/// - While one notice is under way, changes are received and wait; no check ever waits for a receiver.
/// - When the checks stop, what still waits has one last attempt of a second.
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
    timeout: Duration,
    visibility: Visibility,
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
        target.send("content-type", "application/json");
        target.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Self {
            target,
            gap: Duration::from_secs(10),
            every: None,
            timeout: Duration::from_secs(10),
            visibility: Visibility::Checks,
            body: None,
        })
    }

    /// A header to send, such as a token. Its value appears in no output. One that no HTTP can carry is left out, with a
    /// warning in the log.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send(name.as_ref(), value.as_ref());
        self
    }

    /// The least time from one delivered notice to the next. Default 10 s.
    pub fn minimum_gap(mut self, gap: Duration) -> Self {
        self.gap = gap;
        self
    }

    /// A dead man's ping: where nothing else was told for so long, `"event":"ping"` with the status is, the first at once.
    /// Its absence means that the service is gone, cut off, or not alive: while *liveness* is Unhealthy there is none.
    /// Default: none; at least 1 s.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = Some(every.max(Duration::from_secs(1)));
        self
    }

    /// How long one attempt may take. Default 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How much is told. At [`Visibility::Checks`], the default, names and public reasons; at `Full` the redacted text of the
    /// error and the version, too; at `Status` the status alone, and only when it changes.
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

/// One attempt, with what it wants to tell.
type Attempt<'w> = Pin<Box<dyn Future<Output = (Delivery, Result<(), Failure>)> + Send + 'w>>;

#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// It may be taken later, not before this has passed.
    Now { what: String, not_within: Duration },
    /// It will never be taken.
    ForGood { what: String },
}

#[async_trait]
impl Publisher for Webhook {
    async fn publish(self: Box<Self>, mut source: Source) {
        if let Err(error) = self.target.validate() {
            tracing::warn!(target: "health", error, "a webhook leaves something out");
        }
        let mut queue = Queue::new(self.gap, self.every, Instant::now());
        let mut news = News::new(&source, self.visibility);
        news.already_bad(&source, &mut queue);
        let mut jitter = Jitter::new();
        let mut under_way: Option<Attempt<'_>> = None;
        loop {
            let due = queue.due().filter(|_| under_way.is_none());
            tokio::select! {
                change = source.next() => match change {
                    Some(Change::Check(change)) => news.heard(change, &source, &mut queue),
                    Some(Change::Lifecycle(_)) => {}
                    None => break,
                },
                (delivery, result) = finished(&mut under_way) => {
                    under_way = None;
                    settle(&mut queue, delivery, result, &mut jitter);
                }
                () = at(due) => under_way = self.attempt(&source, &mut queue, self.timeout),
            }
        }
        let last_words = async {
            if under_way.is_some() {
                let (delivery, result) = finished(&mut under_way).await;
                under_way = None;
                settle(&mut queue, delivery, result, &mut jitter);
            }
            if queue.has_changes() {
                under_way = self.attempt(&source, &mut queue, LAST_WORDS);
                let _ = finished(&mut under_way).await;
            }
        };
        let _ = timeout(LAST_WORDS, last_words).await;
    }
}

/// When an attempt has ended; never, where there is none.
async fn finished(attempt: &mut Option<Attempt<'_>>) -> (Delivery, Result<(), Failure>) {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

/// At a moment; never, where there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn settle(queue: &mut Queue, delivery: Delivery, result: Result<(), Failure>, jitter: &mut Jitter) {
    let now = Instant::now();
    match result {
        Ok(()) => {
            if queue.failures() > 0 {
                tracing::info!(target: "health", "a webhook takes notices again");
            }
            queue.delivered(now);
        }
        Err(Failure::ForGood { what }) => {
            tracing::warn!(target: "health", what, "a webhook refused a notice, which is not told again");
            queue.refused(&delivery, now);
        }
        Err(Failure::Now { what, not_within }) => {
            // One line for as long as it lasts.
            if queue.failures() == 0 {
                tracing::warn!(target: "health", what, "a webhook does not take a notice, which is told again");
            }
            let pause = jitter.around(queue.failed(delivery)).max(not_within);
            queue.wait_until(now + pause);
        }
    }
}

impl Webhook {
    /// Begins an attempt to tell what waits, unless there is nothing to be told after all.
    fn attempt(&self, source: &Source, queue: &mut Queue, patience: Duration) -> Option<Attempt<'_>> {
        let delivery = queue.take();
        let is_sign = delivery.changes.is_empty();
        if is_sign && source.probe(Probe::Liveness).status == Status::Unhealthy {
            queue.lost(delivery.missed);
            queue.skip_sign(Instant::now());
            return None;
        }
        let notice = Notice::new(source, &delivery, self.visibility);
        let Some(body) = self.written(&notice, if is_sign { "ping" } else { "change" }) else {
            tracing::error!(target: "health", "a webhook's body_with(..) panicked: its notice is not told");
            queue.refused(&delivery, Instant::now());
            return None;
        };
        let board = Arc::clone(&source.board);
        Some(Box::pin(async move {
            let now = |what| Err(Failure::Now { what, not_within: Duration::ZERO });
            let result = match timeout(patience, self.target.ask_with(body, DRAINED)).await {
                Ok(Ok(answer)) => judge(&answer),
                Ok(Err(error)) => {
                    let (reason, text) = error.into_parts();
                    now(format!("{reason}: {}", board.secrets().redact(&text)))
                }
                Err(_) => now(Reason::Timeout.to_string()),
            };
            (delivery, result)
        }))
    }

    fn written(&self, notice: &Notice, event: &str) -> Option<Bytes> {
        match &self.body {
            Some(body) => catch_unwind(AssertUnwindSafe(|| body(notice))).ok().map(|json| json.to_string().into()),
            None => Some(notice.json(event)),
        }
    }
}

/// What a receiver says by its code.
fn judge(answer: &Answer) -> Result<(), Failure> {
    let what = || format!("it answers {}", answer.code);
    match answer.code {
        200..=299 => Ok(()),
        400 | 413 | 415 | 422 => Err(Failure::ForGood { what: what() }),
        _ => {
            let seconds = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let wish = seconds.map_or(Duration::ZERO, Duration::from_secs);
            Err(Failure::Now { what: what(), not_within: wish.min(LONGEST_WISH) })
        }
    }
}

/// Which changes are news.
struct News {
    visibility: Visibility,
    /// The status that was told last, where nothing else is told.
    status: Status,
    /// Changes up to these moments were seen in the first report, whether they are heard of again or not.
    known: HashMap<Arc<str>, SystemTime>,
    missed: u64,
}

impl News {
    fn new(source: &Source, visibility: Visibility) -> Self {
        let report = source.report();
        let known = report.checks.iter().filter_map(|check| Some((Arc::clone(&check.name), check.since?)));
        Self { visibility, status: Status::Healthy, known: known.collect(), missed: source.missed() }
    }

    /// What was bad already when it began to publish: the checks may have been faster.
    fn already_bad(&mut self, source: &Source, queue: &mut Queue) {
        for check in source.report().checks.iter().filter(|check| check.status > Status::Healthy) {
            let Some(at) = self.known.get(&check.name).copied().filter(|at| Some(*at) == check.since) else { continue };
            let change = CheckChange {
                check: Arc::clone(&check.name),
                from: None,
                to: check.status,
                reason: check.reason,
                message: check.message.clone(),
                log_message: None,
                caused_by: check.caused_by.clone(),
                at,
            };
            self.tell(change, source, queue);
        }
    }

    fn heard(&mut self, change: CheckChange, source: &Source, queue: &mut Queue) {
        queue.lost(source.missed() - self.missed);
        self.missed = source.missed();
        let is_known = self.known.get(&change.check).is_some_and(|at| change.at <= *at);
        let is_first = change.from.is_none() && change.to == Status::Healthy;
        if !is_known && !is_first {
            self.tell(change, source, queue);
        }
    }

    fn tell(&mut self, change: CheckChange, source: &Source, queue: &mut Queue) {
        if self.visibility >= Visibility::Checks {
            queue.push(change);
            return;
        }
        let status = source.board.verdicts(|verdicts| verdicts.status);
        if std::mem::replace(&mut self.status, status) != status {
            queue.push(change);
        }
    }
}
