//! The history of a check in bounded memory.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use crate::{
    model::{
        ring::{self, Packed, Ring},
        status::{Reason, Status},
        totals::Totals,
    },
    time::{Nanos, at_unix_millis, unix_millis},
};

/// The number of records per block of memory: for results, which every run adds, and for transitions, which are rare.
const RESULTS: usize = 15;
const TRANSITIONS: usize = 6;

/// The last results and transitions of a check, newest first, with its counts and its uptime since the registration.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct History {
    results: Ring<PastResult, RESULTS, { ring::blocks(RESULTS) }>,
    transitions: Ring<Transition, TRANSITIONS, { ring::blocks(TRANSITIONS) }>,
    pub(crate) flaps: u64,
    pub(crate) totals: Totals,
    /// The number of the registration, which distinguishes a check from a later check of the same name; 0 until the
    /// first record.
    registration: u64,
    /// The known time in which the check was not Unhealthy.
    good: Nanos,
    known: Nanos,
    unknown: Nanos,
    /// The time of the last record, or of the registration before the first record.
    last: Nanos,
    /// The time of the registration.
    since_millis: u64,
    reported: Option<Status>,
    /// Whether the check would be Unhealthy without a mute.
    is_failing: bool,
    has_failed: bool,
}

impl History {
    /// The maximum number of runs and of transitions that are kept.
    #[cfg(feature = "html")]
    pub(crate) const KEPT: usize = ring::KEPT;

    /// Iterates over the last runs, newest first, at most 60.
    #[must_use]
    pub fn results(&self) -> impl DoubleEndedIterator<Item = PastResult> + ExactSizeIterator {
        self.results.iter()
    }

    /// Iterates over the last transitions of the status, newest first, at most 60.
    #[must_use]
    pub fn transitions(&self) -> impl DoubleEndedIterator<Item = Transition> + ExactSizeIterator {
        self.transitions.iter()
    }

    /// Returns how often the status changed to Unhealthy or from Unhealthy since the first result.
    #[must_use]
    pub fn flaps(&self) -> u64 {
        self.flaps
    }

    /// Returns the counts since the check was registered.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }
}

/// One finished run in a [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastResult {
    pub(crate) at: SystemTime,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) duration: Duration,
}

impl PastResult {
    /// Returns the time at which the run finished, to the millisecond.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Returns the status of the run itself, before thresholds.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the reason of a Degraded or Unhealthy run; `None` for a Healthy one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Returns the duration of the run, to the microsecond; 25 days if it was longer.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// One change of a check's status in a [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    pub(crate) at: SystemTime,
    pub(crate) from: Option<Status>,
    pub(crate) to: Status,
    pub(crate) reason: Option<Reason>,
}

impl Transition {
    /// Returns the time of the change, to the millisecond.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Returns the previous status; `None` for the first status of the check.
    #[must_use]
    pub fn from(&self) -> Option<Status> {
        self.from
    }

    /// Returns the new status.
    #[must_use]
    pub fn to(&self) -> Status {
        self.to
    }

    /// Returns the reason of a Degraded or Unhealthy status; `None` for a Healthy one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }
}

impl History {
    /// Creates the history of a check that is registered now.
    pub(crate) fn begun(now: Nanos, at: SystemTime) -> Self {
        Self { last: now, since_millis: unix_millis(at), ..Self::default() }
    }

    /// Returns the uptime up to the last record of the status; `None` before the first verdict.
    #[must_use]
    pub fn uptime(&self) -> Option<UptimeShare> {
        self.uptime_with(Span::default())
    }

    /// Returns the uptime including the time since the last record; `None` before the first verdict.
    pub(crate) fn uptime_with(&self, span: Span) -> Option<UptimeShare> {
        self.reported?;
        let is_good = !self.is_failing;
        let known = self.known.saturating_add(span.known);
        let good = if is_good { self.good.saturating_add(span.known) } else { self.good };
        let share = if known == 0 { ten_thousandths(Nanos::from(is_good), 1) } else { ten_thousandths(good, known) };
        Some(UptimeShare {
            // A failure without a duration still counts, so that a share of 1 means no failure.
            share: if self.has_failed { share.min(WHOLE - 1) } else { share },
            coverage: ten_thousandths(known, known.saturating_add(self.unknown).saturating_add(span.unknown).max(1)),
            since: at_unix_millis(self.since_millis),
        })
    }

    /// Returns the time of the last record, or of the registration before the first record.
    pub(crate) fn last(&self) -> Nanos {
        self.last
    }

    /// Assigns a unique number of registration at the first record.
    fn register(&mut self) {
        static REGISTRATIONS: AtomicU64 = AtomicU64::new(1);
        if self.registration == 0 {
            self.registration = REGISTRATIONS.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the counts since the previous reading, and updates `seen`. Returns all counts if `seen` belongs to
    /// another check of the same name.
    #[cfg(any(feature = "metrics", feature = "opentelemetry"))]
    pub(crate) fn since<'h>(&'h self, seen: &mut Seen) -> Since<impl Iterator<Item = Duration> + use<'h>> {
        let now = Seen { registration: self.registration, totals: self.totals.clone() };
        let then = std::mem::replace(seen, now);
        let seen = if then.registration == self.registration { then.totals } else { Totals::default() };
        let runs = std::array::from_fn(|status| self.totals.runs[status] - seen.runs[status]);
        let number = usize::try_from(runs.iter().sum::<u64>()).unwrap_or(usize::MAX);
        let durations = self.results.iter().take(number).map(|result| result.duration);
        Since { runs, transitions: self.totals.transitions - seen.transitions, durations }
    }

    /// Records a finished run.
    pub(crate) fn record_run(&mut self, at: SystemTime, status: Status, reason: Option<Reason>, duration: Duration) {
        self.register();
        self.results.push(PastResult { at, status, reason, duration });
        self.totals.record_run(at, status, duration);
    }

    /// Records that time has passed without a new verdict.
    pub(crate) fn pass(&mut self, now: Nanos, span: Span) {
        self.last = now;
        self.known = self.known.saturating_add(span.known);
        self.unknown = self.unknown.saturating_add(span.unknown);
        if !self.is_failing {
            self.good = self.good.saturating_add(span.known);
        }
    }

    /// Records the status at a point in time, and the time since the last record. A changed status is also recorded as
    /// a transition.
    pub(crate) fn record_status(
        &mut self,
        now: Nanos,
        at: SystemTime,
        span: Span,
        Verdict { status, reason, is_failing }: Verdict,
    ) {
        self.register();
        let from = self.reported.replace(status);
        // Time before the first verdict counts as unknown.
        let Span { known, unknown } = match from {
            Some(_) => span,
            None => Span { known: 0, unknown: span.known.saturating_add(span.unknown) },
        };
        self.pass(now, Span { known, unknown });
        self.is_failing = is_failing;
        self.has_failed |= is_failing;
        if from != Some(status) {
            self.transitions.push(Transition { at, from, to: status, reason });
            let turned = |from: Status| (from == Status::Unhealthy) != (status == Status::Unhealthy);
            self.totals.transitions += u64::from(from.is_some());
            self.flaps += u64::from(from.is_some_and(turned));
        }
    }
}

/// The verdict on a check at a point in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    /// Whether the status would be Unhealthy without a mute.
    pub(crate) is_failing: bool,
}

/// The time between two records of a status, split by whether the status was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) known: Nanos,
    pub(crate) unknown: Nanos,
}

/// The uptime of a check: the share of time in which the check was not Unhealthy, and the share of time in which its
/// status was known.
///
/// The uptime ignores mutes: a check that fails while it is muted counts as failing. The status is unknown before the
/// first verdict, while the last result is stale, while the runtime is stalled, and while the machine is suspended.
/// Unknown time lowers the [`coverage`](Self::coverage) and does not change the [`share`](Self::share). Both are
/// rounded down to four decimals: a share of 1 means no failure, a coverage of 1 means no gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UptimeShare {
    share: u32,
    coverage: u32,
    since: SystemTime,
}

impl UptimeShare {
    /// Returns the part of the known time in which the check was not Unhealthy: 0 to 1, rounded down to four decimals.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.share) / f64::from(WHOLE)
    }

    /// Returns the part of the time since the registration in which the status was known: 0 to 1, rounded down to four
    /// decimals.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        f64::from(self.coverage) / f64::from(WHOLE)
    }

    /// Returns the time at which the check was registered, to the millisecond.
    #[must_use]
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// Returns the share in ten thousandths.
    #[cfg(any(test, feature = "html"))]
    pub(crate) fn share_in_ten_thousandths(&self) -> u32 {
        self.share
    }

    /// Returns the coverage in ten thousandths.
    #[cfg(any(test, feature = "html"))]
    pub(crate) fn coverage_in_ten_thousandths(&self) -> u32 {
        self.coverage
    }
}

/// The value 1 in ten thousandths.
const WHOLE: u32 = 10_000;

/// Returns `part / whole` in ten thousandths, rounded down.
fn ten_thousandths(part: Nanos, whole: Nanos) -> u32 {
    let share = u128::from(part.min(whole)) * u128::from(WHOLE) / u128::from(whole.max(1));
    u32::try_from(share).unwrap_or(WHOLE)
}

/// Packs the time in milliseconds, the duration in microseconds, and the status with its reason.
impl Packed for PastResult {
    fn pack(&self) -> [u32; 3] {
        let longest = u64::MAX >> (64 - DURATION_BITS);
        let micros = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX).min(longest);
        packed(self.at, micros, judgement(self.status, self.reason))
    }

    fn unpack(words: [u32; 3]) -> Self {
        let (at, micros, judgement) = unpacked(words);
        let (status, reason) = judged(judgement);
        Self { at, status, reason, duration: Duration::from_micros(micros) }
    }
}

/// Packs the time in milliseconds, the previous status, and the new status with its reason.
impl Packed for Transition {
    fn pack(&self) -> [u32; 3] {
        packed(self.at, self.from.map_or(0, |from| from as u64 + 1), judgement(self.to, self.reason))
    }

    fn unpack(words: [u32; 3]) -> Self {
        let (at, from, judgement) = unpacked(words);
        let (to, reason) = judged(judgement);
        Self { at, from: from.checked_sub(1).map(status_of), to, reason }
    }
}

/// The layout of a record of 96 bits, from the lowest bit: a status (2 bits), a reason (5 bits), a duration of up to 25
/// days in microseconds or the previous status (41 bits), and the time in milliseconds (48 bits).
const STATUS_BITS: u32 = 2;
const JUDGEMENT_BITS: u32 = STATUS_BITS + 5;
const DURATION_BITS: u32 = 41;

fn packed(at: SystemTime, value: u64, judgement: u64) -> [u32; 3] {
    let lower = (value << JUDGEMENT_BITS) | judgement;
    let bits = (u128::from(unix_millis(at)) << (JUDGEMENT_BITS + DURATION_BITS)) | u128::from(lower);
    [0, 32, 64].map(|shift| u32::try_from((bits >> shift) & u128::from(u32::MAX)).unwrap_or_default())
}

fn unpacked([low, middle, high]: [u32; 3]) -> (SystemTime, u64, u64) {
    let bits = u128::from(low) | (u128::from(middle) << 32) | (u128::from(high) << 64);
    let field = |shift: u32, length: u32| u64::try_from((bits >> shift) & ((1 << length) - 1)).unwrap_or_default();
    let at = at_unix_millis(field(JUDGEMENT_BITS + DURATION_BITS, 48));
    (at, field(JUDGEMENT_BITS, DURATION_BITS), field(0, JUDGEMENT_BITS))
}

/// Packs a status and its reason.
fn judgement(status: Status, reason: Option<Reason>) -> u64 {
    let reason = reason.map_or(0, |reason| reason as u64 + 1);
    (reason << STATUS_BITS) | status as u64
}

fn judged(judgement: u64) -> (Status, Option<Reason>) {
    let reason = (judgement >> STATUS_BITS).checked_sub(1);
    let reason = reason.and_then(|position| Reason::ALL.get(usize::try_from(position).ok()?)).copied();
    (status_of(judgement & ((1 << STATUS_BITS) - 1)), reason)
}

fn status_of(position: u64) -> Status {
    let position = usize::try_from(position).unwrap_or_default();
    Status::ALL.get(position).copied().unwrap_or(Status::Unhealthy)
}

/// The counts of a check at the time of a reader's previous reading.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
#[derive(Debug, Default)]
pub(crate) struct Seen {
    registration: u64,
    totals: Totals,
}

/// The counts between two readings.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
pub(crate) struct Since<D> {
    pub(crate) runs: [u64; 3],
    pub(crate) transitions: u64,
    /// The durations of the runs, newest first; only the last 60 if there were more.
    pub(crate) durations: D,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ring::KEPT;

    fn verdict(status: Status) -> Verdict {
        Verdict { status, reason: None, is_failing: status == Status::Unhealthy }
    }

    #[test]
    fn a_history_is_bounded_and_newest_first() {
        let mut history = History::default();
        for second in 0..200 {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            let status = if second % 2 == 0 { Status::Healthy } else { Status::Unhealthy };
            history.record_run(at, status, None, Duration::ZERO);
            let span = Span { known: if second == 0 { 0 } else { 1_000_000_000 }, unknown: 0 };
            history.record_status(second * 1_000_000_000, at, span, verdict(status));
        }
        assert_eq!((history.results().len(), history.transitions().len()), (KEPT, KEPT));
        assert_eq!(history.results().next().unwrap().at, SystemTime::UNIX_EPOCH + Duration::from_secs(199));
        assert_eq!(history.flaps, 199);
        assert_eq!(history.uptime().map(|uptime| uptime.share_in_ten_thousandths()), Some(100 * 10_000 / 199));
    }

    #[test]
    fn an_uptime_of_one_means_no_failure_and_no_gap() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_000_000_123);
        let mut history = History::begun(5, at);
        assert_eq!(history.uptime(), None);
        let mut record = |known, unknown, status| {
            history.record_status(0, at, Span { known, unknown }, verdict(status));
            let uptime = history.uptime().unwrap();
            assert_eq!(uptime.since(), at);
            (uptime.share_in_ten_thousandths(), uptime.coverage_in_ten_thousandths())
        };
        // The time before the first verdict counts as unknown.
        assert_eq!(record(30, 10, Status::Healthy), (10_000, 0));
        assert_eq!(record(60, 0, Status::Degraded), (10_000, 6_000));
        assert_eq!(record(1_000_000, 0, Status::Unhealthy), (9_999, 9_999));
        // A failure of one hundred-thousandth of the time still lowers the share.
        assert_eq!(record(10, 0, Status::Healthy), (9_999, 9_999));
        assert_eq!(record(0, 1_000_100, Status::Healthy), (9_999, 4_999));
    }

    #[test]
    fn the_uptime_after_the_first_verdict_is_0_or_1() {
        for (status, share) in [(Status::Healthy, 1.0), (Status::Degraded, 1.0), (Status::Unhealthy, 0.0)] {
            let mut history = History::default();
            history.record_status(0, SystemTime::UNIX_EPOCH, Span::default(), verdict(status));
            let uptime = history.uptime().unwrap();
            assert!((uptime.share() - share).abs() < 1e-9 && uptime.coverage() < 1e-9, "{status:?}");
        }
    }

    proptest! {
        /// The share and the coverage are computed from the sums of all spans, whatever the order of the records.
        #[test]
        fn uptime_is_weighted_by_time(
            records in prop::collection::vec((0_u64..1 << 50, 0_u64..1 << 50, 0_usize..3), 1..80),
        ) {
            let mut history = History::default();
            let (mut good, mut known, mut all, mut before, mut failed) = (0_u128, 0_u128, 0_u128, None, false);
            for (knew, not, status) in records {
                let status = Status::ALL[status];
                history.record_status(0, SystemTime::UNIX_EPOCH, Span { known: knew, unknown: not }, verdict(status));
                all += u128::from(knew + not);
                failed |= status == Status::Unhealthy;
                if let Some(before) = before.replace(status) {
                    known += u128::from(knew);
                    good += if before == Status::Unhealthy { 0 } else { u128::from(knew) };
                }
            }
            let uptime = history.uptime().unwrap();
            if let Some(exact) = (good * 10_000).checked_div(known) {
                let share = if failed { exact.min(9_999) } else { 10_000 };
                prop_assert_eq!(u128::from(uptime.share_in_ten_thousandths()), share);
            }
            if let Some(exact) = (known * 10_000).checked_div(all) {
                prop_assert_eq!(u128::from(uptime.coverage_in_ten_thousandths()), exact);
            }
        }
    }

    #[test]
    fn packed_records_are_unpacked_without_loss() {
        let reasons = Reason::ALL.iter().copied().map(Some).chain([None]);
        let froms = [None, Some(Status::Healthy), Some(Status::Unhealthy)];
        for (reason, status) in reasons.flat_map(|reason| Status::ALL.iter().map(move |status| (reason, *status))) {
            for (millis, from) in [0, 1, 1_764_000_000_123].into_iter().zip(froms) {
                let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
                let result = PastResult { at, status, reason, duration: Duration::from_micros(millis) };
                assert_eq!(PastResult::unpack(result.pack()), result);
                let transition = Transition { at, from, to: status, reason };
                assert_eq!(Transition::unpack(transition.pack()), transition);
            }
        }
        let long =
            PastResult { at: SystemTime::UNIX_EPOCH, status: Status::Healthy, reason: None, duration: Duration::MAX };
        let days = PastResult::unpack(long.pack()).duration.as_secs() / 86_400;
        assert_eq!(days, 25);
    }

    #[cfg(any(feature = "metrics", feature = "opentelemetry"))]
    #[test]
    fn since_returns_only_the_records_after_the_previous_reading() {
        let mut history = History::default();
        let mut run = |status, millis| {
            history.record_run(SystemTime::UNIX_EPOCH, status, None, Duration::from_millis(millis));
            history.record_status(0, SystemTime::UNIX_EPOCH, Span::default(), verdict(status));
            history.clone()
        };
        let counted = |history: &History, seen: &mut Seen| {
            let since = history.since(seen);
            (since.runs, since.transitions, since.durations.map(|it| it.as_millis()).collect::<Vec<_>>())
        };
        let mut seen = Seen::default();
        let first = run(Status::Healthy, 1);
        assert_eq!(counted(&first, &mut seen), ([1, 0, 0], 0, vec![1]));
        assert_eq!(counted(&first, &mut seen), ([0, 0, 0], 0, vec![]));
        run(Status::Unhealthy, 2);
        let third = run(Status::Unhealthy, 3);
        assert_eq!(counted(&third, &mut seen), ([0, 0, 2], 1, vec![3, 2]));
        // The check was removed, and another check of the same name was inserted and has had the same number of runs.
        let mut another = History::default();
        (0..3).for_each(|_| {
            another.record_run(SystemTime::UNIX_EPOCH, Status::Unhealthy, None, Duration::from_millis(4));
        });
        assert_eq!(counted(&another, &mut seen), ([0, 0, 3], 0, vec![4, 4, 4]));
    }
}
