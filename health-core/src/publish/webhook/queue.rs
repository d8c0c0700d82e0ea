//! The queue of a webhook: the notifications that wait for delivery, and the time of the next delivery. It does no I/O
//! and reads no clock.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::publish::webhook::change_tracker::Notification;

/// The largest number of notifications that wait. A further one drops the oldest notification whose check has changed
/// again, or otherwise the oldest one, which counts as missed.
pub(super) const CAPACITY: usize = 100;
/// The pause after the first failure in a row. Every further failure doubles it, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The notifications that wait, and the times that decide when they are delivered.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Notification>,
    missed: u64,
    gap: Duration,
    every: Option<Duration>,
    /// The time of the next ping.
    ping_at: Option<Instant>,
    /// The time from which changes may be delivered. Pings neither set it nor wait for it.
    gap_until: Instant,
    /// The time from which changes and pings may be delivered again after a failure.
    pause_until: Instant,
    failures: u32,
}

/// The content of one notice: the changes since the last notice, and the number of missed changes. A delivery without
/// changes is a ping.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    pub(super) notifications: Vec<Notification>,
    pub(super) missed: u64,
}

impl Delivery {
    pub(super) fn is_ping(&self) -> bool {
        self.notifications.is_empty()
    }
}

impl Queue {
    pub(super) fn new(gap: Duration, every: Option<Duration>, now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            missed: 0,
            gap,
            every,
            ping_at: every.map(|_| now),
            gap_until: now,
            pause_until: now,
            failures: 0,
        }
    }

    pub(super) fn push(&mut self, notification: Notification) {
        self.waiting.push_back(notification);
        self.bound();
    }

    /// Adds to the number of missed changes.
    pub(super) fn add_missed(&mut self, number: u64) {
        self.missed += number;
    }

    /// The time at which the next delivery may begin; `None` if nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        let changes_at = (!self.waiting.is_empty()).then_some(self.gap_until);
        let wanted = changes_at.into_iter().chain(self.ping_at).min()?;
        Some(wanted.max(self.pause_until))
    }

    /// Takes the content of the next notice: a ping within the gap, otherwise all notifications that wait.
    pub(super) fn take(&mut self, now: Instant) -> Delivery {
        if now < self.gap_until { Delivery::default() } else { self.take_all() }
    }

    /// Takes all notifications that wait, also within the gap.
    pub(super) fn take_all(&mut self) -> Delivery {
        Delivery { notifications: self.waiting.drain(..).collect(), missed: std::mem::take(&mut self.missed) }
    }

    /// Records that a delivery was accepted.
    pub(super) fn delivered(&mut self, delivery: &Delivery, now: Instant) {
        self.failures = 0;
        if !delivery.is_ping() {
            self.gap_until = now + self.gap;
        }
        self.ping_at = self.every.map(|every| now + every);
    }

    /// Puts a failed delivery back into the queue, and returns the pause before the next attempt.
    pub(super) fn failed(&mut self, delivery: Delivery) -> Duration {
        for notification in delivery.notifications.into_iter().rev() {
            self.waiting.push_front(notification);
        }
        self.missed += delivery.missed;
        self.bound();
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6)).min(LONGEST_PAUSE);
        self.failures += 1;
        pause
    }

    /// Drops a delivery that will never be accepted, and counts its changes as missed.
    pub(super) fn refused(&mut self, delivery: &Delivery, now: Instant) {
        self.delivered(delivery, now);
        self.missed += delivery.missed + delivery.notifications.len() as u64;
    }

    pub(super) fn pause_until(&mut self, moment: Instant) {
        self.pause_until = moment;
    }

    /// Postpones the next ping.
    pub(super) fn postpone_ping(&mut self, now: Instant, longer: Duration) {
        self.ping_at = self.every.map(|_| now + longer);
    }

    /// The number of notifications that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The number of failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    fn bound(&mut self) {
        while self.waiting.len() > CAPACITY {
            let name = |notification: &Notification| notification.check().map(|change| Arc::clone(&change.check));
            let is_outdated = |(position, notification): &(usize, &Notification)| {
                self.waiting.iter().skip(position + 1).any(|later| name(later) == name(notification))
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

    fn change(number: usize) -> Notification {
        Notification::Check(CheckChange {
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
        delivery.notifications.iter().filter_map(Notification::check).map(|change| &*change.check).collect()
    }

    #[test]
    fn the_first_change_is_due_at_once_and_others_after_the_gap() {
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
    fn failed_deliveries_are_retried_in_order_after_ever_longer_pauses() {
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
        assert_eq!(queue.failed(delivery), FIRST_PAUSE, "a success does not reset the pause");
    }

    #[test]
    fn the_queue_is_bounded_and_counts_dropped_changes() {
        let now = Instant::now();
        let mut queue = Queue::new(GAP, None, now);
        (0..CAPACITY).for_each(|number| queue.push(change(number)));
        let delivery = queue.take(now);
        (0..5).for_each(|number| queue.push(change(1_000 + number)));
        queue.add_missed(2);
        queue.failed(delivery);
        let again = queue.take(now);
        assert_eq!((again.notifications.len(), again.missed), (CAPACITY, 7));
        assert_eq!((names(&again)[0], names(&again)[CAPACITY - 1]), ("5", "1004"));
        queue.refused(&again, now);
        assert_eq!(queue.due(), None, "missed changes alone start a delivery");
        queue.push(change(1));
        assert_eq!(queue.take(now + GAP).missed, 107);
    }

    #[test]
    fn a_flapping_check_does_not_push_out_changes_of_other_checks() {
        let mut queue = Queue::new(GAP, None, Instant::now());
        queue.push(change(1));
        (0..3 * CAPACITY).for_each(|_| queue.push(change(2)));
        let delivery = queue.take_all();
        assert_eq!((names(&delivery)[0], delivery.notifications.len()), ("1", CAPACITY));
        assert_eq!(delivery.missed, 201);
    }

    #[test]
    fn a_ping_is_sent_in_the_absence_of_notices_and_delays_no_change() {
        let now = Instant::now();
        let every = Duration::from_secs(4);
        let mut queue = Queue::new(GAP, Some(every), now);
        assert_eq!(queue.due(), Some(now), "the first ping is not due at once");
        let ping = queue.take(now);
        assert!(ping.is_ping());
        queue.delivered(&ping, now);
        assert_eq!(queue.due(), Some(now + every), "a ping waits for the gap");
        queue.push(change(1));
        assert_eq!(queue.due(), Some(now), "a ping starts a gap");
        let first = queue.take(now);
        queue.delivered(&first, now);
        queue.push(change(2));
        assert_eq!(queue.due(), Some(now + every));
        let ping = queue.take(now + every);
        assert!(ping.is_ping(), "a ping within the gap carries changes");
        queue.delivered(&ping, now + every);
        assert_eq!(queue.due(), Some(now + every * 2));
        assert_eq!(names(&queue.take_all()), ["2"]);
        queue.postpone_ping(now, every * 3);
        assert_eq!(queue.due(), Some(now + every * 3));
        queue.pause_until(now + every * 5);
        assert_eq!(queue.due(), Some(now + every * 5), "a ping is due during a pause");
    }
}
