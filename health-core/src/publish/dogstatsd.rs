//! The `Dogstatsd` publisher, which sends service checks over DogStatsD, the datagram protocol of Datadog:
//! <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/?tab=servicechecks>.

mod agent;

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    io,
    net::ToSocketAddrs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::time::{MissedTickBehavior, interval};

use self::agent::Agent;
use crate::{
    health::publisher::{Publisher, Source},
    model::{
        change::Change,
        group::GroupReport,
        report::{CheckReport, Report, severity},
        status::{Reason, Status, Visibility},
    },
    publish::summary::{cause, without_lifecycle},
    time::LONGEST,
};

/// The longest UDP datagram to an agent, in bytes. Longer messages are truncated.
const MAX_DATAGRAM: usize = 1_432;

/// Sends service checks to a Datadog Agent: one for the whole service, and one for each check or group.
///
/// `health.status` is the status of the whole service, and `health.check.status` with the tag `check:NAME` is the
/// status of one check. `health.group.status` with the tag `group:NAME` is the status of a group, whose members are not
/// sent. The values are 0 OK, 1 WARNING for Degraded, 2 CRITICAL for Unhealthy, and 3 UNKNOWN for pending or stale.
///
/// Each service check is sent when it changes, and all of them every ten seconds (see [`every`](Self::every)). The
/// lifecycle changes no value, so that a deployment causes no alert. DogStatsD does not confirm datagrams: a datagram
/// that does not arrive is lost. An agent that is absent or hangs affects no check. One warning is logged when no agent
/// listens, and one line at the level info when an agent listens again.
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

/// Omits the tags, which may hold data that only Datadog should see.
impl fmt::Debug for Dogstatsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dogstatsd")
            .field("agent", &self.agent)
            .field("every", &self.every)
            .field("visibility", &self.visibility)
            .finish_non_exhaustive()
    }
}

impl Dogstatsd {
    /// Creates a publisher that sends to the UDP port of an agent. The agent's default port is 8125. A host name is
    /// resolved during this call, which blocks. If it has several addresses, such as `::1` and `127.0.0.1` for
    /// `localhost`, and no agent listens on one of them, the next one is used.
    ///
    /// # Errors
    ///
    /// Returns an error if the host name has no address, or if no socket can be created.
    pub fn udp(agent: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::to(Agent::udp(agent.to_socket_addrs()?.collect())?))
    }

    /// Creates a publisher that sends to the Unix datagram socket of an agent, often `/var/run/datadog/dsd.socket`. The
    /// socket is given as a path, or as a `unix://` URL, as in `DD_DOGSTATSD_URL`. It need not exist yet.
    ///
    /// # Errors
    ///
    /// Returns an error if no socket can be created, or if the path is empty, too long, or a URL of another kind.
    #[cfg(unix)]
    pub fn unix(agent: impl Into<std::path::PathBuf>) -> io::Result<Self> {
        Ok(Self::to(Agent::unix(&agent.into())?))
    }

    fn to(agent: Agent) -> Self {
        let every = Duration::from_secs(10);
        Self { agent, tags: Vec::new(), hostname: None, every, visibility: Visibility::Checks }
    }

    /// Adds a tag to every service check, for example `env:production`. Tags that do not fit into a datagram are left
    /// out. Characters that Datadog does not accept in a tag, which are all except letters, digits and `_-:/.`, are
    /// replaced with `_`.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tags.push(tag_text(tag.as_ref()));
        self
    }

    /// Sets the host name in the service checks. Default: the agent uses the name of its own host. Characters that
    /// Datadog does not accept in a tag are replaced with `_`.
    pub fn hostname(mut self, hostname: impl AsRef<str>) -> Self {
        self.hostname = Some(tag_text(hostname.as_ref()));
        self
    }

    /// Sets the interval at which all service checks are sent, even if they have not changed. Default 10 s. The
    /// shortest interval is 1 s.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(Duration::from_secs(1), LONGEST);
        self
    }

    /// Sets which data is sent. Default [`Visibility::Checks`]: messages contain the names of checks and the public
    /// reasons. `Full` adds the redacted error texts. `Status` sends only the service check of the whole service,
    /// without a message.
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    fn send_whole(&mut self, source: &Source, at: SystemTime) {
        let report = source.report();
        let known = without_lifecycle(Report::clone(&report));
        let message = if self.visibility > Visibility::Status { cause(&known) } else { String::new() };
        let tags = self.tags_of(&report.service, None);
        let datagram = self.datagram("health.status", source.severity(), at, &tags, &message);
        self.agent.send(&datagram);
    }

    fn send_check(&mut self, source: &Source, check: &CheckReport, at: SystemTime) {
        let reason = check.reason.map_or("", Reason::as_str);
        let message = match (&check.message, self.visibility) {
            (Some(message), Visibility::Full) if check.status > Status::Healthy => format!("{reason}: {message}"),
            _ => reason.to_owned(),
        };
        let tags = self.tags_of(&source.report().service, Some(("check", &check.name)));
        let datagram = self.datagram("health.check.status", check.severity(), at, &tags, &message);
        self.agent.send(&datagram);
    }

    fn send_group(&mut self, service: &Option<Arc<str>>, group: &GroupReport, at: SystemTime) {
        let (severity, message) = words(group);
        let tags = self.tags_of(service, Some(("group", &group.name)));
        let datagram = self.datagram("health.group.status", severity, at, &tags, &message);
        self.agent.send(&datagram);
    }

    fn tags_of(&self, service: &Option<Arc<str>>, about: Option<(&str, &str)>) -> Vec<String> {
        let check = about.map(|(kind, name)| format!("{kind}:{}", tag_text(name)));
        let service = service.as_deref().map(|service| format!("service:{}", tag_text(service)));
        check.into_iter().chain(service).chain(self.tags.iter().cloned()).collect()
    }

    fn datagram(&self, name: &str, status: u8, at: SystemTime, tags: &[String], message: &str) -> String {
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        let mut text = format!("_sc|{name}|{status}|d:{seconds}");
        // Writing to memory cannot fail.
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

/// Returns the severity and the message of a group.
fn words(group: &GroupReport) -> (u8, String) {
    let message = group
        .reason
        .map_or_else(String::new, |reason| format!("{reason}, {} of {}", group.count(group.status), group.checks()));
    (severity(group.status, group.is_unknown), message)
}

/// Returns a text with the characters that Datadog keeps in a tag: letters, digits and a few marks. None of them ends a
/// tag, a field or the datagram.
fn tag_text(text: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '/' | '.');
    text.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

/// Escapes a message for the agent, which splits a datagram at every `|`, and reads `m:` as the beginning of a message.
fn message_text(text: &str) -> String {
    text.replace('|', "/").replace('\n', "\\n").replace("m:", "m\\:").replace(char::is_control, " ")
}

#[async_trait]
impl Publisher for Dogstatsd {
    async fn publish(mut self: Box<Self>, mut source: Source) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = HashMap::new();
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
                    let report = source.report();
                    if let Some(check) = report.check(&change.check).filter(|_| names) {
                        if check.has_metrics {
                            self.send_check(&source, check, at);
                        }
                        let group = report.groups.iter().find(|group| check.group() == Some(group.name()));
                        // Sent only if it differs from the last one, because hundreds of members can change at once.
                        if let Some(group) = group.filter(|group| told.get(&group.name) != Some(&words(group))) {
                            told.insert(Arc::clone(&group.name), words(group));
                            self.send_group(&report.service, group, at);
                        }
                    }
                    self.send_whole(&source, at);
                }
                Some(Change::Lifecycle(_)) => {}
                None => {
                    self.send_whole(&source, at);
                    let report = source.report();
                    for check in report.checks_with_metrics().filter(|_| names) {
                        self.send_check(&source, check, at);
                    }
                    for group in report.groups.iter().filter(|_| names) {
                        told.insert(Arc::clone(&group.name), words(group));
                        self.send_group(&report.service, group, at);
                    }
                }
            }
        }
    }
}
