//! A task that ends with its owner, and one that ends it in time.

use std::time::Duration;

use tokio::{task::JoinHandle, time::sleep};

/// A task that ends with its owner, unless it is let go.
pub(super) struct Task {
    /// The task, and the one that watches it.
    tasks: Vec<JoinHandle<()>>,
}

impl Task {
    /// A task that is about to be started.
    pub(super) const fn none() -> Self {
        Self { tasks: Vec::new() }
    }

    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { tasks: vec![tokio::spawn(future)] }
    }

    /// Asks again and again how long the task may still take, until it is `None`: then it is over, or was given up.
    pub(super) fn watched(mut self, left: impl Fn() -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.tasks.push(tokio::spawn(async move {
            while let Some(left) = left() {
                sleep(left).await;
            }
        }));
        self
    }

    /// Lets the task come to its own end, unwatched.
    pub(super) fn let_go(&mut self) {
        self.tasks.drain(..).skip(1).for_each(|watch| watch.abort());
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
