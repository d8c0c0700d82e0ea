//! Waiting for a moment, also outside of Tokio, where timers do not work.

use std::thread;

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until},
};

/// Waits until a moment. Outside of a Tokio runtime a thread waits in the place of a timer.
pub(super) async fn pause_until(moment: Instant) {
    if Handle::try_current().is_ok() {
        return sleep_until(moment).await;
    }
    let (over, passed) = oneshot::channel::<()>();
    let wait = move || {
        thread::sleep(moment.saturating_duration_since(Instant::now()));
        drop(over);
    };
    match thread::Builder::new().name("health-pause".to_owned()).spawn(wait) {
        Ok(_) => drop(passed.await),
        // Without a thread, too, the moment must pass.
        Err(_) => thread::sleep(moment.saturating_duration_since(Instant::now())),
    }
}
