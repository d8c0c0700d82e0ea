//! Changes as JSON, posted to any HTTP endpoint.

mod news;
mod notice;
mod queue;

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Client, Method, Response};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at};

pub use self::notice::Notice;
use self::{
    news::News,
    notice::known,
    queue::{Delivery, Queue},
};
use super::{LONGEST_WAIT, Publisher, Source};
use crate::{
    checks::http::{Target, read},
    model::{
        change::Change,
        status::{Probe, Reason, Status, Visibility},
    },
    time::Jitter,
};

/// Of an answer so much is read, for so long, so that its connection can be used again.
const DRAINED: usize = 64 << 10;
const DRAINED_WITHIN: Duration = Duration::from_secs(1);
/// How often it looks for what changes without a change: a result that became too old.
const LOOK: Duration = Duration::from_secs(1);
/// What is left when the checks stop has this long for a last attempt, a little less than `stop` waits.
const LAST_WORDS: Duration = Duration::from_millis(900);
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
        self.gap = gap.min(LONGEST_WAIT);
        self
    }

    /// A dead man's ping: if nothing was sent for so long, `"event":"ping"` with the status is, the first as soon as
    /// any check has run. Its absence means that the service is gone, cut off, or not alive: while *liveness* is Unhealthy
    /// there is none. Default: none; at least 1 s.
    ///
    /// A receiver that takes every request for a sign of life is told of changes as well, unless
    /// [`pings_only`](Self::pings_only) is said.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = Some(every.clamp(Duration::from_secs(1), LONGEST_WAIT));
        self
    }

    /// Tells of no change: for a receiver that waits for pings alone, beside another that is told the changes.
    pub fn pings_only(mut self) -> Self {
        self.pings_only = true;
        self
    }

    /// How long a receiver may take to answer. Default 10 s. The rest of its answer has a second more.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST_WAIT);
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

/// One attempt under way.
struct Attempt<'w> {
    delivery: Delivery,
    /// The status that it tells.
    status: Status,
    result: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'w>>,
}

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
        let mut teller = Teller::new(&self);
        let mut under_way: Option<Attempt<'_>> = None;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = teller.queue.due().filter(|_| under_way.is_none());
            tokio::select! {
                // What is on its way first, so that a look finds nothing that a change is about to tell.
                biased;
                change = source.next() => match change {
                    Some(change) => teller.hear(change, &source),
                    None => break,
                },
                result = finished(&mut under_way) => teller.settle(under_way.take(), result),
                _ = looks.tick() => teller.look(&source),
                () = at(due) => under_way = teller.attempt(&source),
            }
        }
        teller.count_missed(&source);
        teller.last_words(under_way, &source).await;
    }
}

/// When an attempt has ended; never, where there is none.
async fn finished(attempt: &mut Option<Attempt<'_>>) -> Result<(), Failure> {
    match attempt {
        Some(attempt) => attempt.result.as_mut().await,
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

/// What has been told, what waits, and how it went.
struct Teller<'w> {
    webhook: &'w Webhook,
    news: News,
    queue: Queue,
    jitter: Jitter,
    missed: u64,
    /// The status that was delivered last, with a change.
    status: Status,
    /// The last answer was a refusal, which is in the log.
    is_refused: bool,
}

impl<'w> Teller<'w> {
    fn new(webhook: &'w Webhook) -> Self {
        let queue = Queue::new(webhook.gap, webhook.every, Instant::now());
        let news = News::new(webhook.visibility);
        let status = Status::Healthy;
        Self { webhook, news, queue, jitter: Jitter::new(), missed: 0, status, is_refused: false }
    }

    fn hear(&mut self, change: Change, source: &Source) {
        self.count_missed(source);
        if self.webhook.pings_only {
            return;
        }
        if let Change::Check(change) = change
            && let Some(item) = self.news.heard(change)
        {
            self.queue.push(item);
        }
        self.hear_of_the_whole(source);
    }

    fn look(&mut self, source: &Source) {
        self.count_missed(source);
        if !self.webhook.pings_only {
            let items = self.news.seen(&source.report(), SystemTime::now());
            items.into_iter().for_each(|item| self.queue.push(item));
            self.hear_of_the_whole(source);
        }
    }

    fn hear_of_the_whole(&mut self, source: &Source) {
        if let Some(item) = self.news.whole(&known(&source.report())) {
            self.queue.push(item);
        }
    }

    fn count_missed(&mut self, source: &Source) {
        self.queue.lost(source.missed() - self.missed);
        self.missed = source.missed();
    }

    /// Begins to tell what waits, unless there is nothing to be told after all.
    fn attempt(&mut self, source: &Source) -> Option<Attempt<'w>> {
        let now = Instant::now();
        let delivery = self.queue.take(now);
        if delivery.is_sign_of_life() {
            let report = source.report();
            let is_known = report.checks.is_empty() || !known(&report).checks.is_empty();
            if !is_known || source.probe(Probe::Liveness).status == Status::Unhealthy {
                self.queue.lost(delivery.missed);
                self.queue.put_sign_off(now, LOOK);
                return None;
            }
        }
        self.begin(delivery, source, self.webhook.timeout)
    }

    fn begin(&mut self, delivery: Delivery, source: &Source, patience: Duration) -> Option<Attempt<'w>> {
        let report = source.report();
        let known = known(&report);
        let visibility = self.webhook.visibility;
        // It has turned, and turned back before it was told.
        if visibility < Visibility::Checks && !delivery.is_sign_of_life() && known.status == self.status {
            self.queue.lost(delivery.missed);
            return None;
        }
        let notice = Notice::new(&report, &known, &delivery, visibility, &self.webhook.labels);
        let Some(body) = self.webhook.written(&notice) else {
            self.refused(&delivery, "its body_with(..) panicked");
            return None;
        };
        let (webhook, board) = (self.webhook, Arc::clone(&source.board));
        let result = Box::pin(async move {
            let now = |what| Err(Failure::Now { what, not_within: Duration::ZERO });
            match timeout(patience, webhook.target.send_out(body)).await {
                Ok(Ok((response, is_elsewhere))) => taken(response, is_elsewhere).await,
                Ok(Err(error)) => {
                    let (reason, text) = error.into_parts();
                    now(format!("{reason}: {}", board.secrets().redact(&text)))
                }
                Err(_) => now(Reason::Timeout.to_string()),
            }
        });
        Some(Attempt { delivery, status: known.status, result })
    }

    fn settle(&mut self, attempt: Option<Attempt<'_>>, result: Result<(), Failure>) {
        let Some(Attempt { delivery, status, .. }) = attempt else { return };
        let now = Instant::now();
        match result {
            Ok(()) => {
                // A ping may tell it, too, but is no news to those who wait for changes.
                if !delivery.is_sign_of_life() {
                    self.status = status;
                }
                if (self.queue.failures() > 0) | std::mem::take(&mut self.is_refused) {
                    tracing::info!(target: "health", "a webhook takes notices again");
                }
                self.queue.delivered(&delivery, now);
            }
            Err(Failure::ForGood { what }) => self.refused(&delivery, &what),
            Err(Failure::Now { what, not_within }) => {
                // One line for as long as it lasts.
                if self.queue.failures() == 0 {
                    tracing::warn!(target: "health", what, "a webhook does not take a notice, which is told again");
                }
                let pause = self.jitter.around(self.queue.failed(delivery)).max(not_within);
                self.queue.pause_until(now + pause);
            }
        }
    }

    fn refused(&mut self, delivery: &Delivery, what: &str) {
        if !std::mem::replace(&mut self.is_refused, true) {
            tracing::warn!(target: "health", what, "a webhook refused a notice, which is not told again");
        }
        self.queue.refused(delivery, Instant::now());
    }

    /// What waits is told once more. An attempt that hangs has half of the time, if there is more to tell than it does.
    async fn last_words(&mut self, under_way: Option<Attempt<'w>>, source: &Source) {
        let end = Instant::now() + LAST_WORDS;
        if let Some(mut attempt) = under_way {
            let until = if self.queue.waiting() > 0 { end - LAST_WORDS / 2 } else { end };
            match timeout_at(until, attempt.result.as_mut()).await {
                Ok(result) => self.settle(Some(attempt), result),
                Err(_) => drop(self.queue.failed(attempt.delivery)),
            }
        }
        if self.queue.waiting() > 0 {
            let delivery = self.queue.take_all();
            let mut last = self.begin(delivery, source, LAST_WORDS);
            if let Ok(result) = timeout_at(end, finished(&mut last)).await {
                self.settle(last, result);
            } else if let Some(attempt) = last {
                self.queue.failed(attempt.delivery);
            }
        }
        let waiting = self.queue.waiting();
        if waiting > 0 {
            tracing::warn!(target: "health", waiting, "a webhook was not told the last changes");
        }
    }
}

impl Webhook {
    fn written(&self, notice: &Notice) -> Option<Bytes> {
        match &self.body {
            Some(body) => catch_unwind(AssertUnwindSafe(|| body(notice))).ok().map(|json| json.to_string().into()),
            None => Some(notice.json()),
        }
    }
}

/// What a receiver says by its code; what it says besides is read and thrown away.
async fn taken(mut response: Response, is_elsewhere: bool) -> Result<(), Failure> {
    let code = response.status().as_u16();
    if is_elsewhere || (300..=399).contains(&code) {
        return Err(Failure::ForGood { what: "it redirects elsewhere: name the final URL".to_owned() });
    }
    let what = format!("it answers {code}");
    match code {
        200..=299 => {
            let _ = timeout(DRAINED_WITHIN, read(&mut response, DRAINED)).await;
            Ok(())
        }
        400 | 413 | 415 | 422 => Err(Failure::ForGood { what }),
        _ => {
            let seconds =
                response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let wish = seconds.map_or(Duration::ZERO, Duration::from_secs);
            Err(Failure::Now { what, not_within: wish.min(LONGEST_WISH) })
        }
    }
}
