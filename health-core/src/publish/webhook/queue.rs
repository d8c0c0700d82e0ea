//! What is still to be told, and when: decided here, done in `webhook`.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::CheckChange;

/// Changes that wait; one more, and the oldest is dropped and counted.
pub(super) const LONGEST: usize = 100;
/// The pause after a first failure, doubled with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<CheckChange>,
    missed: u64,
    gap: Duration,
    every: Option<Duration>,
    /// When the next sign of life is due.
    sign_at: Option<Instant>,
    /// Nothing is sent before.
    not_before: Instant,
    failures: u32,
}

/// What is told at once: the changes since the last time, and how many are not among them. Nothing: a sign of life.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    pub(super) changes: Vec<CheckChange>,
    pub(super) missed: u64,
}

impl Queue {
    pub(super) fn new(gap: Duration, every: Option<Duration>, now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            missed: 0,
            gap,
            every,
            sign_at: every.map(|_| now),
            not_before: now,
            failures: 0,
        }
    }

    pub(super) fn push(&mut self, change: CheckChange) {
        self.waiting.push_back(change);
        self.bound();
    }

    /// So many changes were lost elsewhere.
    pub(super) fn lost(&mut self, number: u64) {
        self.missed += number;
    }

    /// When the next delivery may begin, if there is anything to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        let wanted = if self.waiting.is_empty() { self.sign_at? } else { self.not_before };
        Some(wanted.max(self.not_before))
    }

    /// What is to be told now.
    pub(super) fn take(&mut self) -> Delivery {
        Delivery { changes: self.waiting.drain(..).collect(), missed: std::mem::take(&mut self.missed) }
    }

    /// It was taken.
    pub(super) fn delivered(&mut self, now: Instant) {
        self.failures = 0;
        self.not_before = now + self.gap;
        self.sign_at = self.every.map(|every| now + every);
    }

    /// It was not, and is told again: after how long, if the receiver does not wish otherwise.
    pub(super) fn failed(&mut self, delivery: Delivery) -> Duration {
        for change in delivery.changes.into_iter().rev() {
            self.waiting.push_front(change);
        }
        self.missed += delivery.missed;
        self.bound();
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6)).min(LONGEST_PAUSE);
        self.failures += 1;
        pause
    }

    /// It never will be, so nobody tells it again.
    pub(super) fn refused(&mut self, delivery: &Delivery, now: Instant) {
        self.delivered(now);
        self.missed += delivery.missed + delivery.changes.len() as u64;
    }

    pub(super) fn wait_until(&mut self, moment: Instant) {
        self.not_before = moment;
    }

    /// No sign of life this time.
    pub(super) fn skip_sign(&mut self, now: Instant) {
        self.sign_at = self.every.map(|every| now + every);
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How often it was tried in vain.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    fn bound(&mut self) {
        while self.waiting.len() > LONGEST {
            self.waiting.pop_front();
            self.missed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::Status;

    const GAP: Duration = Duration::from_secs(10);

    fn change(number: usize) -> CheckChange {
        CheckChange {
            check: number.to_string().into(),
            from: None,
            to: Status::Unhealthy,
            reason: None,
            message: None,
            log_message: None,
            caused_by: Vec::new(),
            at: SystemTime::UNIX_EPOCH,
        }
    }

    fn names(delivery: &Delivery) -> Vec<&str> {
        delivery.changes.iter().map(|change| &*change.check).collect()
    }

    #[test]
    fn the_first_change_is_told_at_once_and_others_after_the_gap() {
        let now = Instant::now();
        let mut queue = Queue::new(GAP, None, now);
        assert_eq!(queue.due(), None);
        queue.push(change(1));
        assert_eq!(queue.due(), Some(now));
        assert_eq!(names(&queue.take()), ["1"]);
        queue.delivered(now);
        assert_eq!(queue.due(), None);
        queue.push(change(2));
        queue.push(change(3));
        assert_eq!(queue.due(), Some(now + GAP));
        assert_eq!(names(&queue.take()), ["2", "3"]);
    }

    #[test]
    fn what_failed_is_told_again_in_order_and_ever_more_rarely() {
        let now = Instant::now();
        let mut queue = Queue::new(GAP, None, now);
        queue.push(change(1));
        let mut pauses = Vec::new();
        for number in 2..=9 {
            let delivery = queue.take();
            queue.push(change(number));
            pauses.push(queue.failed(delivery).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(names(&queue.take()), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        queue.delivered(now);
        queue.push(change(10));
        let delivery = queue.take();
        assert_eq!(queue.failed(delivery), FIRST_PAUSE, "it begins anew");
    }

    #[test]
    fn the_queue_is_bounded_and_counts_what_it_dropped() {
        let now = Instant::now();
        let mut queue = Queue::new(GAP, None, now);
        (0..LONGEST).for_each(|number| queue.push(change(number)));
        let delivery = queue.take();
        (0..5).for_each(|number| queue.push(change(1_000 + number)));
        queue.lost(2);
        queue.failed(delivery);
        let again = queue.take();
        assert_eq!((again.changes.len(), again.missed), (LONGEST, 7));
        assert_eq!((names(&again)[0], names(&again)[LONGEST - 1]), ("5", "1004"));
        queue.refused(&again, now);
        assert_eq!(queue.due(), None, "a number alone is told with the next change");
        queue.push(change(1));
        assert_eq!(queue.take().missed, 107);
    }

    #[test]
    fn a_sign_of_life_comes_when_nothing_else_has_come_for_so_long() {
        let now = Instant::now();
        let (gap, every) = (GAP, Duration::from_secs(60));
        let mut queue = Queue::new(gap, Some(every), now);
        assert_eq!(queue.due(), Some(now), "at once, so that its absence is noticed");
        assert!(queue.take().changes.is_empty());
        queue.delivered(now);
        assert_eq!(queue.due(), Some(now + every));
        queue.push(change(1));
        assert_eq!(queue.due(), Some(now + gap));
        queue.take();
        queue.delivered(now + gap);
        assert_eq!(queue.due(), Some(now + gap + every));
        queue.skip_sign(now + every + every);
        assert_eq!(queue.due(), Some(now + every * 3));
        queue.wait_until(now + every * 5);
        assert_eq!(queue.due(), Some(now + every * 5), "a pause holds for signs of life, too");
    }
}
