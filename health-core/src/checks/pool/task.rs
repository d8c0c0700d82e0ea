//! A task that ends with its owner.

use tokio::task::JoinHandle;

/// A task that ends with its owner, unless it is let go.
pub(super) struct Task(Option<JoinHandle<()>>);

impl Task {
    /// A task that is about to be started.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(tokio::spawn(future)))
    }

    pub(super) fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
