//! Service checks of DogStatsD, Datadog's protocol of datagrams:
//! <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/?tab=servicechecks>.

use std::{
    fmt::{self, Write as _},
    io,
    net::{SocketAddr, ToSocketAddrs, UdpSocket},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    health::publisher::{Publisher, Source},
    model::{
        change::Change,
        report::{CheckReport, Report},
        status::{Reason, Status, Visibility},
    },
    publish::summary::{cause, without_lifecycle},
    time::LONGEST,
};

/// What a UDP datagram to an agent may have; longer messages are cut.
const MAX_DATAGRAM: usize = 1_432;

/// Sends a service check for the whole service and one for each check to a Datadog Agent.
///
/// `health.status` is the whole, `health.check.status` with the tag `check:NAME` is one check: 0 OK, 1 WARNING for Degraded,
/// 2 CRITICAL for Unhealthy, 3 UNKNOWN for what is pending or stale. Each is sent when it changes, and all of them every ten
/// seconds. The phase of life changes none of them, so that a deploy pages nobody. Datagrams that do not arrive are lost, as
/// is the way of DogStatsD; an agent that is absent or hangs touches no check.
///
/// ```
/// use health_core::{Dogstatsd, Health};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().service("orders").start()?;
/// health.publish(Dogstatsd::udp("127.0.0.1:8125")?.tag("env:production"));
/// # health.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Dogstatsd {
    agent: Agent,
    tags: Vec<String>,
    hostname: Option<String>,
    every: Duration,
    visibility: Visibility,
}

/// Without its tags, which may hold what only Datadog is to see.
impl fmt::Debug for Dogstatsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dogstatsd")
            .field("agent", &self.agent)
            .field("every", &self.every)
            .field("visibility", &self.visibility)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Agent {
    Udp(UdpSocket, SocketAddr),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixDatagram, std::path::PathBuf),
}

impl Dogstatsd {
    /// To an agent's UDP port, 8125 by default. A name is looked up here and now, which blocks; its first address is used.
    ///
    /// # Errors
    ///
    /// The name has no address, or there is no socket to be had.
    pub fn udp(agent: impl ToSocketAddrs) -> io::Result<Self> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "the agent's name has no address");
        let address = agent.to_socket_addrs()?.next().ok_or_else(none)?;
        let local: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        Ok(Self::to(Agent::Udp(socket, address)))
    }

    /// To an agent's Unix socket of datagrams, often `/var/run/datadog/dsd.socket`. It need not be there yet.
    ///
    /// # Errors
    ///
    /// There is no socket to be had.
    #[cfg(unix)]
    pub fn unix(agent: impl Into<std::path::PathBuf>) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self::to(Agent::Unix(socket, agent.into())))
    }

    fn to(agent: Agent) -> Self {
        let every = Duration::from_secs(10);
        Self { agent, tags: Vec::new(), hostname: None, every, visibility: Visibility::Checks }
    }

    /// A tag for everything that is sent, for instance `env:production`; those that no longer fit into a datagram are left out. What Datadog takes in no tag
    /// (anything but letters, digits and `_-:/.`) is replaced by `_`.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tags.push(tag_text(tag.as_ref()));
        self
    }

    /// The host that it is about. Default: the agent's own.
    pub fn hostname(mut self, hostname: impl AsRef<str>) -> Self {
        self.hostname = Some(tag_text(hostname.as_ref()));
        self
    }

    /// How often everything is sent, changed or not. Default 10 s, at least 1 s.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(Duration::from_secs(1), LONGEST);
        self
    }

    /// How much a message tells: at [`Visibility::Checks`], the default, names and public reasons; at `Full` the redacted
    /// text of the error; at `Status` nothing, and the whole alone is sent.
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    fn send(&self, datagram: &str) {
        let sent = match &self.agent {
            Agent::Udp(socket, address) => socket.send_to(datagram.as_bytes(), address),
            #[cfg(unix)]
            Agent::Unix(socket, path) => socket.send_to(datagram.as_bytes(), path),
        };
        if let Err(error) = sent {
            tracing::debug!(target: "health", %error, "a service check did not reach the agent of DogStatsD");
        }
    }

    fn send_whole(&self, source: &Source, at: SystemTime) {
        let report = source.report();
        let known = without_lifecycle(Report::clone(&report));
        let message = if self.visibility > Visibility::Status { cause(&known) } else { String::new() };
        self.send(&self.datagram(
            "health.status",
            source.severity(),
            at,
            &self.tags_of(&report.service, None),
            &message,
        ));
    }

    fn send_check(&self, source: &Source, check: &CheckReport, at: SystemTime) {
        let reason = check.reason.map_or("", Reason::as_str);
        let message = match (&check.message, self.visibility) {
            (Some(message), Visibility::Full) if check.status > Status::Healthy => format!("{reason}: {message}"),
            _ => reason.to_owned(),
        };
        let tags = self.tags_of(&source.report().service, Some(&check.name));
        self.send(&self.datagram("health.check.status", check.severity(), at, &tags, &message));
    }

    fn tags_of(&self, service: &Option<std::sync::Arc<str>>, check: Option<&str>) -> Vec<String> {
        let check = check.map(|check| format!("check:{}", tag_text(check)));
        let service = service.as_deref().map(|service| format!("service:{}", tag_text(service)));
        check.into_iter().chain(service).chain(self.tags.iter().cloned()).collect()
    }

    fn datagram(&self, name: &str, status: u8, at: SystemTime, tags: &[String], message: &str) -> String {
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        let mut text = format!("_sc|{name}|{status}|d:{seconds}");
        // Writing into memory cannot fail.
        if let Some(hostname) = &self.hostname {
            let _ = write!(text, "|h:{hostname}");
        }
        for (position, tag) in tags.iter().enumerate() {
            let before = if position == 0 { "|#" } else { "," };
            if text.len() + before.len() + tag.len() < MAX_DATAGRAM / 2 {
                let _ = write!(text, "{before}{tag}");
            }
        }
        let message = message_text(message);
        if !message.is_empty() {
            let mut room = (MAX_DATAGRAM - 1).saturating_sub(text.len() + 3).min(message.len());
            while !message.is_char_boundary(room) {
                room -= 1;
            }
            let _ = write!(text, "|m:{}", &message[..room]);
        }
        text.push('\n');
        text
    }
}

/// What Datadog keeps of a tag: letters, digits and a few marks; so nothing ends a tag, a field or the datagram.
fn tag_text(text: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '/' | '.');
    text.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

/// As the agent reads it: it splits at every `|`, and `m:` would begin the message anew.
fn message_text(text: &str) -> String {
    text.replace('|', "/").replace('\n', "\\n").replace("m:", "m\\:").replace(char::is_control, " ")
}

#[async_trait]
impl Publisher for Dogstatsd {
    async fn publish(self: Box<Self>, mut source: Source) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let change = tokio::select! {
                _ = ticks.tick() => None,
                change = source.next() => match change {
                    Some(change) => Some(change),
                    None => return,
                },
            };
            let at = SystemTime::now();
            let names = self.visibility > Visibility::Status;
            match change {
                Some(Change::Check(change)) => {
                    if let Some(check) = source.report().check(&change.check).filter(|_| names) {
                        self.send_check(&source, check, at);
                    }
                    self.send_whole(&source, at);
                }
                Some(Change::Lifecycle(_)) => {}
                None => {
                    self.send_whole(&source, at);
                    for check in source.report().checks.iter().filter(|_| names) {
                        self.send_check(&source, check, at);
                    }
                }
            }
        }
    }
}
