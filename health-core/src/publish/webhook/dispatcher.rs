//! The dispatcher of a webhook, which receives changes, sends notices and retries them.

use std::{
    mem,
    pin::Pin,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use reqwest::Response;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at};

use crate::{
    checks::http::read,
    health::publisher::{Publisher, Source},
    model::{
        change::Change,
        status::{Probe, Reason, Status, Visibility},
    },
    publish::webhook::{
        Webhook,
        change_tracker::ChangeTracker,
        notice::{Notice, without_pending},
        queue::{Delivery, Queue},
    },
    time::Jitter,
};

/// The largest number of bytes of an answer that are read. An answer is read so that its connection can be used again.
const ANSWER_BYTES: usize = 64 << 10;
/// The time in which the rest of an answer must be read.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The time between two polls of the report, which find changes without an event, such as expired results.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The time for the last attempt when the checks stop. It is a little less than the time that `stop` waits.
const LAST_ATTEMPT: Duration = Duration::from_millis(900);
/// The longest pause that a receiver can request.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// An attempt in progress to deliver a notice.
struct Attempt<'w> {
    delivery: Delivery,
    /// The status in the notice.
    status: Status,
    result: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'w>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The notice may be accepted later, after the pause `retry_after` at the earliest.
    Temporary { what: String, retry_after: Duration },
    /// The notice will never be accepted.
    Permanent { what: String },
}

#[async_trait]
impl Publisher for Webhook {
    async fn publish(self: Box<Self>, mut source: Source) {
        if let Err(error) = self.target.validate() {
            tracing::warn!(target: "health", error, "webhook configuration ignored");
        }
        if self.pings_only && self.every.is_none() {
            tracing::warn!(target: "health", "webhook sends nothing: pings_only() needs every(..)");
        }
        let mut dispatcher = Dispatcher::new(&self);
        let mut attempt: Option<Attempt<'_>> = None;
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = dispatcher.queue.due().filter(|_| attempt.is_none());
            tokio::select! {
                // Changes come first, so that a poll does not find a change that is still in the channel.
                biased;
                change = source.next() => match change {
                    Some(change) => dispatcher.record(change, &source),
                    None => break,
                },
                result = finished(&mut attempt) => dispatcher.settle(attempt.take(), result),
                _ = ticks.tick() => dispatcher.poll(&source),
                () = until(due) => attempt = dispatcher.attempt(&source),
            }
        }
        dispatcher.count_missed(&source);
        dispatcher.finish(attempt, &source).await;
    }
}

/// Waits for the result of an attempt. Never returns for `None`.
async fn finished(attempt: &mut Option<Attempt<'_>>) -> Result<(), Failure> {
    match attempt {
        Some(attempt) => attempt.result.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Waits until a point in time. Never returns for `None`.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The state of one webhook: the state that its receiver knows, the changes that wait, and the result of the last
/// delivery.
struct Dispatcher<'w> {
    webhook: &'w Webhook,
    tracker: ChangeTracker,
    queue: Queue,
    jitter: Jitter,
    /// The value of [`Source::missed`] at the last call of `count_missed`.
    missed: u64,
    /// The status that was delivered last with a change.
    status: Status,
    /// Whether the last notice was refused and will not be sent again, which is already logged.
    is_refused: bool,
}

impl<'w> Dispatcher<'w> {
    fn new(webhook: &'w Webhook) -> Self {
        Self {
            webhook,
            tracker: ChangeTracker::new(webhook.visibility),
            queue: Queue::new(webhook.gap, webhook.every, Instant::now()),
            jitter: Jitter::new(),
            missed: 0,
            status: Status::Healthy,
            is_refused: false,
        }
    }

    /// Queues the notification of a change, if it is new for the receiver.
    fn record(&mut self, change: Change, source: &Source) {
        self.count_missed(source);
        if self.webhook.pings_only {
            return;
        }
        if let Change::Check(change) = change
            && let Some(notification) = self.tracker.record_change(change)
        {
            self.queue.push(notification);
        }
        self.record_status(source);
    }

    /// Queues the notifications of changes without an event.
    fn poll(&mut self, source: &Source) {
        self.count_missed(source);
        if !self.webhook.pings_only {
            let notifications = self.tracker.poll(&source.report(), SystemTime::now());
            notifications.into_iter().for_each(|notification| self.queue.push(notification));
            self.record_status(source);
        }
    }

    fn record_status(&mut self, source: &Source) {
        if let Some(notification) = self.tracker.record_status(&without_pending(&source.report())) {
            self.queue.push(notification);
        }
    }

    fn count_missed(&mut self, source: &Source) {
        self.queue.add_missed(source.missed() - self.missed);
        self.missed = source.missed();
    }

    /// Begins to deliver the changes that wait, or a ping; `None` if there is nothing to deliver.
    fn attempt(&mut self, source: &Source) -> Option<Attempt<'w>> {
        let now = Instant::now();
        let delivery = self.queue.take(now);
        if delivery.is_ping() {
            let report = source.report();
            let is_known = report.checks.is_empty() || !without_pending(&report).checks.is_empty();
            if !is_known || source.probe(Probe::Liveness).status == Status::Unhealthy {
                self.queue.add_missed(delivery.missed);
                self.queue.postpone_ping(now, POLL_INTERVAL);
                return None;
            }
        }
        self.begin(delivery, source, self.webhook.timeout)
    }

    fn begin(&mut self, delivery: Delivery, source: &Source, patience: Duration) -> Option<Attempt<'w>> {
        let report = source.report();
        let known = without_pending(&report);
        let visibility = self.webhook.visibility;
        // The status changed and changed back before it was delivered.
        if visibility < Visibility::Checks && !delivery.is_ping() && known.status == self.status {
            self.queue.add_missed(delivery.missed);
            return None;
        }
        let notice = Notice::new(&report, &known, &delivery, visibility, &self.webhook.labels);
        let Some(body) = self.webhook.written(&notice) else {
            self.refuse(&delivery, "the function of body_with(..) panicked");
            return None;
        };
        let (webhook, redact) = (self.webhook, source.redactor());
        let result = Box::pin(async move {
            let temporary = |what| Err(Failure::Temporary { what, retry_after: Duration::ZERO });
            match timeout(patience, webhook.target.send_out(body)).await {
                Ok(Ok((response, is_elsewhere))) => judge(response, is_elsewhere).await,
                Ok(Err(error)) => {
                    let (reason, text) = error.into_parts();
                    temporary(format!("{reason}: {}", redact(&text)))
                }
                Err(_) => temporary(Reason::Timeout.to_string()),
            }
        });
        Some(Attempt { delivery, status: known.status, result })
    }

    /// Records the result of an attempt.
    fn settle(&mut self, attempt: Option<Attempt<'_>>, result: Result<(), Failure>) {
        let Some(Attempt { delivery, status, .. }) = attempt else { return };
        let now = Instant::now();
        match result {
            Ok(()) => {
                // A ping has a status, too, but a receiver of changes may ignore pings.
                if !delivery.is_ping() {
                    self.status = status;
                }
                if (self.queue.failures() > 0) | mem::take(&mut self.is_refused) {
                    tracing::info!(target: "health", "webhook delivery succeeds again");
                }
                self.queue.delivered(&delivery, now);
            }
            Err(Failure::Permanent { what }) => self.refuse(&delivery, &what),
            Err(Failure::Temporary { what, retry_after }) => {
                // One line per outage of the receiver.
                if self.queue.failures() == 0 {
                    tracing::warn!(target: "health", what, "webhook delivery failed and is retried");
                }
                let pause = self.jitter.around(self.queue.failed(delivery)).max(retry_after);
                self.queue.pause_until(now + pause);
            }
        }
    }

    /// Drops a notice that will never be accepted.
    fn refuse(&mut self, delivery: &Delivery, what: &str) {
        if !mem::replace(&mut self.is_refused, true) {
            tracing::warn!(target: "health", what, "webhook delivery refused and not retried");
        }
        self.queue.refused(delivery, Instant::now());
    }

    /// Makes a last attempt to deliver when the checks have stopped. If changes wait, an attempt in progress has half
    /// of the time.
    async fn finish(&mut self, attempt: Option<Attempt<'w>>, source: &Source) {
        let end = Instant::now() + LAST_ATTEMPT;
        if let Some(mut attempt) = attempt {
            let until = if self.queue.waiting() > 0 { end - LAST_ATTEMPT / 2 } else { end };
            match timeout_at(until, attempt.result.as_mut()).await {
                Ok(result) => self.settle(Some(attempt), result),
                Err(_) => drop(self.queue.failed(attempt.delivery)),
            }
        }
        if self.queue.waiting() > 0 {
            let delivery = self.queue.take_all();
            let mut last = self.begin(delivery, source, LAST_ATTEMPT);
            if let Ok(result) = timeout_at(end, finished(&mut last)).await {
                self.settle(last, result);
            } else if let Some(attempt) = last {
                self.queue.failed(attempt.delivery);
            }
        }
        let waiting = self.queue.waiting();
        if waiting > 0 {
            tracing::warn!(target: "health", waiting, "webhook stopped before all changes were delivered");
        }
    }
}

/// Returns the result of a delivery, according to the status code of the answer. Reads the rest of a successful answer.
async fn judge(mut response: Response, is_elsewhere: bool) -> Result<(), Failure> {
    let code = response.status().as_u16();
    if is_elsewhere || (300..=399).contains(&code) {
        return Err(Failure::Permanent { what: "the receiver redirects the request: use the final URL".to_owned() });
    }
    let what = format!("the receiver answers {code}");
    match code {
        200..=299 => {
            let _ = timeout(ANSWER_TIMEOUT, read(&mut response, ANSWER_BYTES)).await;
            Ok(())
        }
        // A 413 with `Retry-After` is temporary.
        413 if response.headers().contains_key("retry-after") => temporary(&response, what),
        400 | 413 | 415 | 422 => Err(Failure::Permanent { what }),
        _ => temporary(&response, what),
    }
}

/// Returns a failure after which the notice is sent again, not before the time that the answer allows.
fn temporary(response: &Response, what: String) -> Result<(), Failure> {
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let asked = header("retry-after").map_or(Duration::ZERO, |value| pause(value, header("date"), SystemTime::now()));
    Err(Failure::Temporary { what, retry_after: asked.min(LONGEST_RETRY_AFTER) })
}

/// Returns the pause that a `Retry-After` requests, in either form of RFC 9110: seconds or a date. The date is compared
/// with the `Date` of the answer, so that a wrong clock on either side has no effect.
fn pause(retry_after: &str, date: Option<&str>, now: SystemTime) -> Duration {
    let seconds = retry_after.trim();
    if !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit()) {
        return Duration::from_secs(seconds.parse().unwrap_or(u64::MAX));
    }
    let moment = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    let now = date.and_then(moment).unwrap_or(now);
    moment(retry_after).and_then(|at| at.duration_since(now).ok()).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (retry_after, date, seconds) in [
            ("6", None, 6),
            (" 6 ", None, 6),
            ("0", None, 0),
            ("99999999999999999999", None, u64::MAX),
            ("Sun, 06 Nov 1994 08:49:43 GMT", None, 6),
            // The two older forms of a date.
            ("Sunday, 06-Nov-94 08:49:43 GMT", None, 6),
            ("Sun Nov  6 08:49:43 1994", None, 6),
            // Compared with the date of the answer.
            ("Sun, 06 Nov 1994 10:00:06 GMT", Some("Sun, 06 Nov 1994 10:00:00 GMT"), 6),
            ("Sun, 06 Nov 1994 08:49:43 GMT", Some("yesterday"), 6),
            // In the past, or in no valid form.
            ("Sun, 06 Nov 1994 08:49:30 GMT", None, 0),
            ("-5", None, 0),
            ("1.5", None, 0),
            ("soon", None, 0),
            ("", None, 0),
        ] {
            assert_eq!(pause(retry_after, date, now), Duration::from_secs(seconds), "{retry_after:?} {date:?}");
        }
    }
}
