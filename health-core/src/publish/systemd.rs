//! The `Systemd` publisher: notifications to systemd,
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>.

use std::{env, io, process, time::Duration};

use async_trait::async_trait;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    health::publisher::{Publisher, Source},
    model::status::{Lifecycle, Probe, Status},
    publish::summary::cause,
};

/// Notifies systemd of the readiness, the status, the stop and the liveness of the service.
///
/// - `READY=1` once the service is [`Ready`](Lifecycle::Ready): every readiness check has finished its first run.
/// - `STATUS=` whenever its text changes, at most 512 characters, such as `unhealthy: database unreachable`. `systemctl
///   status` shows it.
/// - `STOPPING=1` when the service drains or stops.
/// - `WATCHDOG=1` at least twice in every `WatchdogSec=`, while *liveness* is not Unhealthy. So a failing dependency
///   restarts nothing, and a blocked runtime sends nothing.
///
/// Without `$NOTIFY_SOCKET` nothing is sent and nothing fails. A message that could not be sent is sent again at most a
/// second later, and nothing waits for it. The unit needs `Type=notify`. `vsock:` sockets are not supported.
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

/// The time between two looks at the report, unless the watchdog needs a shorter one: results that have expired change
/// the status without an event.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The longest text of `STATUS=`, in characters. systemd drops a datagram of more than 4096 bytes as a whole.
const DESCRIBED: usize = 512;

impl Systemd {
    /// Creates a publisher that sends to the socket that systemd names in the environment.
    pub fn new() -> Self {
        Self {}
    }
}

/// The state that was last sent successfully. Only differences from it are sent.
#[derive(Debug, Default)]
struct LastSent {
    status: String,
    ready: bool,
    stopping: bool,
}

impl LastSent {
    fn send_changes(&mut self, source: &Source, manager: &Manager) {
        let report = source.report();
        let cause = cause(&report);
        let status = if cause.is_empty() { report.status.to_string() } else { format!("{}: {cause}", report.status) };
        let status: String = status.chars().take(DESCRIBED).collect();
        let ready = self.ready || report.lifecycle == Lifecycle::Ready;
        let stopping = self.stopping || report.lifecycle >= Lifecycle::Draining;
        let mut message = String::new();
        if ready && !self.ready {
            message.push_str("READY=1\n");
        }
        if stopping && !self.stopping {
            message.push_str("STOPPING=1\n");
        }
        if status != self.status {
            message.push_str(&format!("STATUS={status}\n"));
        }
        if !message.is_empty() && manager.send(&message) {
            *self = Self { status, ready, stopping };
        }
    }
}

#[async_trait]
impl Publisher for Systemd {
    async fn publish(self: Box<Self>, mut source: Source) {
        let manager = match Manager::from_env() {
            Ok(Some(manager)) => manager,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(target: "health", %error, "systemd cannot be told how the service is");
                return;
            }
        };
        let watchdog = watchdog();
        let mut ticks = interval(
            watchdog.map_or(POLL_INTERVAL, |patience| POLL_INTERVAL.min(patience / 2)).max(Duration::from_millis(1)),
        );
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_sent = LastSent::default();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    last_sent.send_changes(&source, &manager);
                    if watchdog.is_some() && source.probe(Probe::Liveness).status != Status::Unhealthy {
                        manager.send("WATCHDOG=1\n");
                    }
                }
                change = source.next() => {
                    last_sent.send_changes(&source, &manager);
                    if change.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

/// Returns how long systemd waits for `WATCHDOG=1`; `None` if it does not wait for this process.
fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(process::id()));
    number("WATCHDOG_USEC").filter(|_| is_ours).map(Duration::from_micros)
}

/// The socket of systemd's service manager. It does not block: it takes a datagram at once or not at all.
#[derive(Debug)]
struct Manager(#[cfg(unix)] std::os::unix::net::UnixDatagram);

#[cfg(unix)]
impl Manager {
    fn from_env() -> io::Result<Option<Self>> {
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let Some(name) = env::var_os("NOTIFY_SOCKET") else { return Ok(None) };
        let address = match name.as_encoded_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(&name)?,
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt as _;
                SocketAddr::from_abstract_name(name)?
            }
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "NOTIFY_SOCKET is of a kind that is not spoken",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(Some(Self(socket)))
    }

    fn send(&self, message: &str) -> bool {
        let sent = self.0.send(message.as_bytes());
        if let Err(error) = &sent {
            tracing::debug!(target: "health", %error, "systemd could not be told");
        }
        sent.is_ok()
    }
}

#[cfg(not(unix))]
impl Manager {
    fn from_env() -> io::Result<Option<Self>> {
        Ok(None)
    }

    fn send(&self, _: &str) -> bool {
        false
    }
}
