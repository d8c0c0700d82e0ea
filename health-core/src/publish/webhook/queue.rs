//! What is still to be told, and when: decided here, done in `webhook`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::news::Item;

/// Changes that wait; one more, and the oldest whose check has changed since is dropped and counted; where there is none, the
/// oldest.
pub(super) const LONGEST: usize = 100;
/// The pause after a first failure, doubled with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Item>,
    missed: u64,
    gap: Duration,
    every: Option<Duration>,
    /// When the next sign of life is due.
    sign_at: Option<Instant>,
    /// No changes are told before; signs of life neither set nor heed it.
    gap_until: Instant,
    /// Nothing is told before, as it was not taken.
    pause_until: Instant,
    failures: u32,
}

/// What is told at once: the changes since the last time, and how many are not among them. Nothing: a sign of life.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    pub(super) items: Vec<Item>,
    pub(super) missed: u64,
}

impl Delivery {
    pub(super) fn is_sign_of_life(&self) -> bool {
        self.items.is_empty()
    }
}

impl Queue {
    pub(super) fn new(gap: Duration, every: Option<Duration>, now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            missed: 0,
            gap,
            every,
            sign_at: every.map(|_| now),
            gap_until: now,
            pause_until: now,
            failures: 0,
        }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.waiting.push_back(item);
        self.bound();
    }

    /// So many changes were lost elsewhere.
    pub(super) fn lost(&mut self, number: u64) {
        self.missed += number;
    }

    /// When the next delivery may begin, if there is anything to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        let changes_at = (!self.waiting.is_empty()).then_some(self.gap_until);
        let wanted = changes_at.into_iter().chain(self.sign_at).min()?;
        Some(wanted.max(self.pause_until))
    }

    /// What is to be told now: within the gap a sign of life alone.
    pub(super) fn take(&mut self, now: Instant) -> Delivery {
        if now < self.gap_until { Delivery::default() } else { self.take_all() }
    }

    /// All that waits, whatever the gap.
    pub(super) fn take_all(&mut self) -> Delivery {
        Delivery { items: self.waiting.drain(..).collect(), missed: std::mem::take(&mut self.missed) }
    }

    /// It was taken.
    pub(super) fn delivered(&mut self, delivery: &Delivery, now: Instant) {
        self.failures = 0;
        if !delivery.is_sign_of_life() {
            self.gap_until = now + self.gap;
        }
        self.sign_at = self.every.map(|every| now + every);
    }

    /// It was not, and is told again: after how long, if the receiver does not wish otherwise.
    pub(super) fn failed(&mut self, delivery: Delivery) -> Duration {
        for item in delivery.items.into_iter().rev() {
            self.waiting.push_front(item);
        }
        self.missed += delivery.missed;
        self.bound();
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6)).min(LONGEST_PAUSE);
        self.failures += 1;
        pause
    }

    /// It never will be, so nobody tells it again.
    pub(super) fn refused(&mut self, delivery: &Delivery, now: Instant) {
        self.delivered(delivery, now);
        self.missed += delivery.missed + delivery.items.len() as u64;
    }

    pub(super) fn pause_until(&mut self, moment: Instant) {
        self.pause_until = moment;
    }

    /// No sign of life before this has passed.
    pub(super) fn put_sign_off(&mut self, now: Instant, longer: Duration) {
        self.sign_at = self.every.map(|_| now + longer);
    }

    /// How many changes wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How often it was tried in vain.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    fn bound(&mut self) {
        while self.waiting.len() > LONGEST {
            let name = |item: &Item| item.as_ref().map(|change| Arc::clone(&change.check));
            let is_outdated = |(position, item): &(usize, &Item)| {
                self.waiting.iter().skip(position + 1).any(|later| name(later) == name(item))
            };
            let outdated = self.waiting.iter().enumerate().find(is_outdated).map(|(position, _)| position);
            self.waiting.remove(outdated.unwrap_or(0));
            self.missed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::model::{change::CheckChange, status::Status};

    const GAP: Duration = Duration::from_secs(10);

    fn change(number: usize) -> Item {
        Some(CheckChange {
            check: number.to_string().into(),
            from: None,
            to: Status::Unhealthy,
            reason: None,
            message: None,
            log_message: None,
            caused_by: Vec::new(),
            at: SystemTime::UNIX_EPOCH,
        })
    }

    fn names(delivery: &Delivery) -> Vec<&str> {
        delivery.items.iter().flatten().map(|change| &*change.check).collect()
    }

    #[test]
    fn the_first_change_is_told_at_once_and_others_after_the_gap() {
        let now = Instant::now();
        let mut queue = Queue::new(GAP, None, now);
        assert_eq!(queue.due(), None);
        queue.push(change(1));
        assert_eq!(queue.due(), Some(now));
        let first = queue.take(now);
        assert_eq!(names(&first), ["1"]);
        queue.delivered(&first, now);
        assert_eq!(queue.due(), None);
        queue.push(change(2));
        queue.push(change(3));
        assert_eq!(queue.due(), Some(now + GAP));
        assert_eq!(names(&queue.take(now + GAP)), ["2", "3"]);
    }

    #[test]
    fn what_failed_is_told_again_in_order_and_ever_more_rarely() {
        let now = Instant::now();
        let mut queue = Queue::new(GAP, None, now);
        queue.push(change(1));
        let mut pauses = Vec::new();
        for number in 2..=9 {
            let delivery = queue.take(now);
            queue.push(change(number));
            pauses.push(queue.failed(delivery).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        let all = queue.take(now);
        assert_eq!(names(&all), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        queue.delivered(&all, now);
        queue.push(change(10));
        let delivery = queue.take(now);
        assert_eq!(queue.failed(delivery), FIRST_PAUSE, "it begins anew");
    }

    #[test]
    fn the_queue_is_bounded_and_counts_what_it_dropped() {
        let now = Instant::now();
        let mut queue = Queue::new(GAP, None, now);
        (0..LONGEST).for_each(|number| queue.push(change(number)));
        let delivery = queue.take(now);
        (0..5).for_each(|number| queue.push(change(1_000 + number)));
        queue.lost(2);
        queue.failed(delivery);
        let again = queue.take(now);
        assert_eq!((again.items.len(), again.missed), (LONGEST, 7));
        assert_eq!((names(&again)[0], names(&again)[LONGEST - 1]), ("5", "1004"));
        queue.refused(&again, now);
        assert_eq!(queue.due(), None, "a number alone is told with the next change");
        queue.push(change(1));
        assert_eq!(queue.take(now + GAP).missed, 107);
    }

    #[test]
    fn what_flaps_does_not_push_out_what_lasts() {
        let mut queue = Queue::new(GAP, None, Instant::now());
        queue.push(change(1));
        (0..3 * LONGEST).for_each(|_| queue.push(change(2)));
        let delivery = queue.take_all();
        assert_eq!((names(&delivery)[0], delivery.items.len()), ("1", LONGEST));
        assert_eq!(delivery.missed, 201);
    }

    #[test]
    fn signs_of_life_come_when_nothing_else_has_come_and_take_no_change_its_turn() {
        let now = Instant::now();
        let every = Duration::from_secs(4);
        let mut queue = Queue::new(GAP, Some(every), now);
        assert_eq!(queue.due(), Some(now), "at once, so that its absence is noticed");
        let sign = queue.take(now);
        assert!(sign.is_sign_of_life());
        queue.delivered(&sign, now);
        assert_eq!(queue.due(), Some(now + every), "the gap is not for signs");
        queue.push(change(1));
        assert_eq!(queue.due(), Some(now), "and a sign makes no gap");
        let first = queue.take(now);
        queue.delivered(&first, now);
        queue.push(change(2));
        assert_eq!(queue.due(), Some(now + every));
        let sign = queue.take(now + every);
        assert!(sign.is_sign_of_life(), "within the gap it comes alone");
        queue.delivered(&sign, now + every);
        assert_eq!(queue.due(), Some(now + every * 2));
        assert_eq!(names(&queue.take_all()), ["2"]);
        queue.put_sign_off(now, every * 3);
        assert_eq!(queue.due(), Some(now + every * 3));
        queue.pause_until(now + every * 5);
        assert_eq!(queue.due(), Some(now + every * 5), "a pause holds for signs of life, too");
    }
}
