//! A task that is aborted with its owner, and a second task that limits its duration.

use std::time::Duration;

use tokio::{task::JoinHandle, time::sleep};

/// A task that is aborted when its owner is dropped, unless [`let_go`](Self::let_go) detaches it.
pub(super) struct Task {
    /// The task, then the task that watches it.
    tasks: Vec<JoinHandle<()>>,
}

impl Task {
    /// Creates a placeholder for a task that is about to be started.
    pub(super) const fn none() -> Self {
        Self { tasks: Vec::new() }
    }

    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { tasks: vec![tokio::spawn(future)] }
    }

    /// Starts a watching task. It calls `left` for the time that the task may still take, sleeps for that time, and
    /// repeats this until `left` returns `None`, because the task has ended or was given up.
    pub(super) fn watched(mut self, left: impl Fn() -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.tasks.push(tokio::spawn(async move {
            while let Some(left) = left() {
                sleep(left).await;
            }
        }));
        self
    }

    /// Detaches the task, which then runs to its own end without being watched.
    pub(super) fn let_go(&mut self) {
        self.tasks.drain(..).skip(1).for_each(|watch| watch.abort());
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
