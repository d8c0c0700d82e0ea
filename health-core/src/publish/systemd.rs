//! systemd's notifications: <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>.

use std::time::Duration;

use async_trait::async_trait;
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use super::{Publisher, Source, cause};
use crate::{Lifecycle, Probe, Status};

/// Tells systemd that the service is ready, how it is, that it stops, and that it lives. Needs the feature `systemd`.
///
/// - `READY=1` once the service is [`Ready`](Lifecycle::Ready): every readiness check has finished its first run.
/// - `STATUS=` whenever it changes: `unhealthy: database unreachable`, shown by `systemctl status`.
/// - `STOPPING=1` when it drains or stops.
/// - `WATCHDOG=1` twice in every `WatchdogSec=`, while *liveness* is not Unhealthy: a dependency that is away restarts
///   nothing, and a blocked runtime does not send it.
///
/// Without `$NOTIFY_SOCKET` nothing is sent and nothing fails. The unit needs `Type=notify`.
///
/// ```
/// use health_core::{Health, Systemd};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().start()?;
/// health.publish(Systemd::new());
/// # health.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Systemd {}

/// How often it is looked at where there is no watchdog: what became stale changes the status without a change.
const LOOK: Duration = Duration::from_secs(10);

impl Systemd {
    /// To the socket that systemd named in the environment.
    pub fn new() -> Self {
        Self {}
    }
}

/// What has been told so far, so that nothing is told twice.
#[derive(Debug, Default)]
struct Told {
    status: String,
    ready: bool,
    stopping: bool,
}

impl Told {
    fn tell(&mut self, source: &Source) {
        let report = source.report();
        let cause = cause(&report);
        let status = if cause.is_empty() { report.status.to_string() } else { format!("{}: {cause}", report.status) };
        let mut news = Vec::new();
        if report.lifecycle == Lifecycle::Ready && !self.ready {
            self.ready = true;
            news.push(NotifyState::Ready);
        }
        if report.lifecycle >= Lifecycle::Draining && !self.stopping {
            self.stopping = true;
            news.push(NotifyState::Stopping);
        }
        if status != self.status {
            news.push(NotifyState::Status(&status));
        }
        if !news.is_empty() {
            notify(&news);
        }
        self.status = status;
    }
}

fn notify(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::debug!(target: "health", %error, "systemd could not be told");
    }
}

#[async_trait]
impl Publisher for Systemd {
    async fn publish(self: Box<Self>, mut source: Source) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return;
        }
        let watchdog = sd_notify::watchdog_enabled();
        let mut ticks = interval(watchdog.map_or(LOOK, |patience| patience / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Told::default();
        loop {
            let ticked = tokio::select! {
                _ = ticks.tick() => true,
                change = source.next() => {
                    told.tell(&source);
                    if change.is_none() {
                        return;
                    }
                    false
                }
            };
            if ticked {
                told.tell(&source);
                if watchdog.is_some() && source.probe(Probe::Liveness).status != Status::Unhealthy {
                    notify(&[NotifyState::Watchdog]);
                }
            }
        }
    }
}
