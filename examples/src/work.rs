//! The work of the example services: a queue of jobs and the worker that does them.

use std::time::Duration;

use health_core::{CheckExt as _, Gauge, Heartbeat, Registration};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

/// The largest number of jobs in the queue.
const CAPACITY: usize = 1000;

/// The queue to which the application adds jobs.
#[derive(Clone, Debug)]
pub struct Queue(mpsc::Sender<Job>);

/// A job of the worker.
#[derive(Debug)]
struct Job;

impl Queue {
    /// Adds a job. Returns `false` if the queue is full.
    #[must_use]
    pub fn push(&self) -> bool {
        self.0.try_send(Job).is_ok()
    }

    /// Returns a check of the length of the queue.
    pub(crate) fn check(&self) -> Registration {
        let jobs = self.0.downgrade();
        Gauge::new(move || jobs.upgrade().map_or(0, |jobs| jobs.max_capacity() - jobs.capacity()))
            .unit("jobs")
            .warn_above(CAPACITY / 2)
            .fail_above(CAPACITY * 9 / 10)
            .local()
    }
}

/// Starts the worker, which sends heartbeats while it works and while it waits.
pub(crate) fn start_worker() -> (Queue, Heartbeat) {
    let (queue, mut jobs) = mpsc::channel(CAPACITY);
    let heartbeat = Heartbeat::new().warn_after(Duration::from_secs(5)).fail_after(Duration::from_secs(20));
    let heart = heartbeat.clone();
    tokio::spawn(async move {
        let mut pulse = interval(Duration::from_secs(1));
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                job = jobs.recv() => if job.is_none() { break },
                _ = pulse.tick() => {}
            }
            heart.beat();
        }
    });
    (Queue(queue), heartbeat)
}
