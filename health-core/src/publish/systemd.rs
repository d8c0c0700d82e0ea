//! The `Systemd` publisher: notifications to systemd,
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>.

use std::{env, io, process, time::Duration};

use async_trait::async_trait;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    health::publisher::{Publisher, Source},
    model::status::{Lifecycle, Probe, Status},
    publish::{listens::Listens, summary::cause},
};

/// Notifies systemd of the readiness, the status, the stop and the liveness of the service, with the protocol of
/// `sd_notify(3)`.
///
/// - `READY=1` once the service is [`Ready`](Lifecycle::Ready): every readiness check has finished its first run.
/// - `STATUS=` when its text changes, such as `unhealthy: database unreachable`, at most 512 characters. The command
///   `systemctl status` shows it.
/// - `STOPPING=1` when the service drains or stops.
/// - `WATCHDOG=1` at least twice in every `WatchdogSec=`, while *liveness* is not Unhealthy. A failing dependency
///   therefore restarts nothing, and a blocked runtime, which sends nothing, leads to a restart.
///
/// The unit needs `Type=notify`. Without `$NOTIFY_SOCKET` the publisher sends nothing and reports no error. Each
/// message goes to the process that listens on the socket at that time. A message that could not be sent is sent
/// again at most one second later, together with the current state, and nothing waits for it. The first failure and the
/// end of the failures are logged. `vsock:` sockets are not supported.
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

/// The time between two polls of the report, unless the watchdog needs a shorter one. Polls are needed because an
/// expired result changes the status without an event.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The longest text of `STATUS=`, in characters. systemd drops a datagram of more than 4096 bytes.
const DESCRIBED: usize = 512;

impl Systemd {
    /// Creates a publisher that sends to the socket in the environment variable `NOTIFY_SOCKET`, which systemd sets.
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
    /// Whether the service was ever Ready, also if that could not be sent.
    was_ready: bool,
    /// The identity of the socket to which the state was sent.
    socket: Option<Identity>,
}

impl LastSent {
    fn send_changes(&mut self, source: &Source, manager: &mut Manager) {
        let socket = manager.identity();
        self.forget_if(socket != self.socket);
        let report = source.report();
        let cause = cause(&report);
        let status = if cause.is_empty() { report.status.to_string() } else { format!("{}: {cause}", report.status) };
        let status: String = status.chars().take(DESCRIBED).collect();
        self.was_ready |= report.lifecycle == Lifecycle::Ready;
        let ready = self.was_ready;
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
        if message.is_empty() {
            return;
        }
        if manager.send(&message) {
            *self = Self { status, ready, stopping, was_ready: self.was_ready, socket };
        }
        self.forget_if(manager.listens.fails());
    }

    /// Forgets the state that was sent if the receiver is lost: nothing listens on the socket, or another process does,
    /// which has not received the state.
    fn forget_if(&mut self, is_lost: bool) {
        if is_lost {
            *self = Self { was_ready: self.was_ready, ..Self::default() };
        }
    }
}

#[async_trait]
impl Publisher for Systemd {
    async fn publish(self: Box<Self>, mut source: Source) {
        let mut manager = match Manager::from_env() {
            Ok(Some(manager)) => manager,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(target: "health", %error, "systemd notifications disabled: NOTIFY_SOCKET is not usable");
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
                    last_sent.send_changes(&source, &mut manager);
                    let is_alive = source.probe(Probe::Liveness).status != Status::Unhealthy;
                    if watchdog.is_some() && is_alive {
                        manager.send("WATCHDOG=1\n");
                        last_sent.forget_if(manager.listens.fails());
                    }
                }
                change = source.next() => {
                    last_sent.send_changes(&source, &mut manager);
                    if change.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

/// Returns the longest time between two `WATCHDOG=1` that systemd accepts; `None` if it expects none from this process.
fn watchdog() -> Option<Duration> {
    let variable = |name: &str| env::var(name).ok();
    patience(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), process::id())
}

/// Parses the two environment variables of the watchdog as `sd_watchdog_enabled(3)` does. Returns `None` if the time is
/// 0, infinity or not a number, or if the process id is not that of this process.
fn patience(microseconds: Option<&str>, process: Option<&str>, own: u32) -> Option<Duration> {
    let is_ours = process.is_none_or(|process| process.trim().parse() == Ok(own));
    let microseconds: u64 = microseconds?.trim().parse().ok()?;
    (is_ours && !matches!(microseconds, 0 | u64::MAX)).then(|| Duration::from_micros(microseconds))
}

/// The identity of a socket, which differs from that of another socket that was bound at the same path later: device,
/// inode number, and change time of the file in seconds and nanoseconds.
type Identity = (u64, u64, i64, i64);

/// The socket of systemd's service manager. Sending never blocks: the socket takes a datagram at once or not at all.
#[cfg(unix)]
#[derive(Debug)]
struct Manager {
    address: std::os::unix::net::SocketAddr,
    /// The socket that sends. It is not connected, so that each message goes to the process that listens at that
    /// moment. `None` until a socket could be created.
    socket: Option<std::os::unix::net::UnixDatagram>,
    listens: Listens,
}

#[cfg(unix)]
impl Manager {
    fn from_env() -> io::Result<Option<Self>> {
        use std::os::unix::net::SocketAddr;
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Ok(None) };
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
                    "NOTIFY_SOCKET is neither a path nor an abstract name: vsock is not supported",
                ));
            }
        };
        Ok(Some(Self { address, socket: None, listens: Listens::new("systemd") }))
    }

    /// Returns the identity of the receiving socket; `None` if it does not exist or has no path.
    fn identity(&self) -> Option<Identity> {
        use std::os::unix::fs::MetadataExt as _;
        let file = std::fs::metadata(self.address.as_pathname()?).ok()?;
        Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
    }

    /// Sends a message. Returns whether the receiver took it.
    fn send(&mut self, message: &str) -> bool {
        let sent = self.try_send(message);
        self.listens.record(sent)
    }

    fn try_send(&mut self, message: &str) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = std::os::unix::net::UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket
            }
        };
        let sent = socket.send_to_addr(message.as_bytes(), &self.address);
        self.socket = Some(socket);
        sent.map(drop)
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Manager {
    listens: Listens,
}

#[cfg(not(unix))]
impl Manager {
    #[expect(clippy::unnecessary_wraps, reason = "the function can fail on Unix")]
    fn from_env() -> io::Result<Option<Self>> {
        Ok(None)
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    fn send(&mut self, _: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_variables_are_read_as_sd_watchdog_enabled_does() {
        let waits = Some(Duration::from_secs(30));
        for (microseconds, process, expected) in [
            (Some("30000000"), None, waits),
            (Some("30000000"), Some("7"), waits),
            (Some("30000000"), Some("8"), None),
            (Some("30000000"), Some("0"), None),
            (Some("30000000"), Some(""), None),
            (Some("30000000"), Some("seven"), None),
            (Some("0"), None, None),
            (Some("18446744073709551615"), None, None),
            (Some("-1"), None, None),
            (Some("infinity"), None, None),
            (Some(""), Some("7"), None),
            (None, Some("7"), None),
        ] {
            assert_eq!(patience(microseconds, process, 7), expected, "{microseconds:?} {process:?}");
        }
    }
}
