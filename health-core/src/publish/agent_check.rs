//! The `AgentCheck` publisher: an agent for HAProxy's `agent-check`,
//! <https://docs.haproxy.org/2.6/configuration.html#5.2-agent-check>.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    health::publisher::{Publisher, Source},
    model::{
        report::Report,
        status::{Lifecycle, Probe, Status},
    },
    publish::summary::cause,
};

/// The longest description in a line, in characters. A longer one is truncated. HAProxy shows it in its statistics.
const DESCRIBED: usize = 80;
/// The largest number of bytes that are read from a client, more than any `agent-send` string has.
const SENT: u64 = 4_096;
/// The time in which a client must receive its line. The connection is closed after this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers HAProxy's `agent-check` with the status of readiness.
///
/// | readiness | line |
/// |---|---|
/// | Healthy, Degraded | `ready up 100%`; for Degraded less with [`degraded_weight`](Self::degraded_weight) |
/// | Unhealthy | `ready down #database unreachable` |
/// | draining | `drain up`: HAProxy sends no new clients, and serves the existing ones |
/// | stopped | none: the port is closed, and HAProxy's own check decides |
///
/// Each line resets the state that an earlier line has set, because only the agent can reset it. A percentage is a
/// share of the server's weight in HAProxy. It needs an explicit weight there, for example `weight 100`. A share of the
/// default weight 1 below 100 % is 0, so leave `degraded_weight` unset for a server with the default weight.
///
/// ```
/// use health_core::{AgentCheck, Health};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// health.publish(AgentCheck::bind(([127, 0, 0, 1], 0).into())?);
/// # health.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct AgentCheck {
    listener: StdListener,
    degraded_weight: u8,
}

impl AgentCheck {
    /// Creates an agent that listens on this address. Configure HAProxy with the address as `agent-addr` and
    /// `agent-port`. Any client that can connect reads the names of failing checks.
    ///
    /// # Errors
    ///
    /// Returns an error if the address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, degraded_weight: 100 })
    }

    /// Returns the address on which the agent listens.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system does not return the address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets the share of the server's weight that a Degraded service gets, in percent: 1 to 100. A value outside this
    /// range is set to the nearest limit. Default 100.
    pub fn degraded_weight(mut self, percent: u8) -> Self {
        self.degraded_weight = percent.clamp(1, 100);
        self
    }
}

/// Returns the line with its line feed. HAProxy ignores a line without a line feed.
fn line(report: &Report, degraded_weight: u8) -> String {
    if report.lifecycle >= Lifecycle::Draining {
        return "drain up\n".to_owned();
    }
    match report.status {
        Status::Healthy => "ready up 100%\n".to_owned(),
        Status::Degraded => format!("ready up {degraded_weight}%\n"),
        Status::Unhealthy => {
            let plain = |c: char| if c.is_ascii_graphic() && c != '#' { c } else { ' ' };
            let cause: String = cause(report).chars().take(DESCRIBED).map(plain).collect();
            format!("ready down #{cause}\n")
        }
    }
}

async fn answer(mut client: TcpStream, line: String) {
    // Failures are ignored, because they only mean that the client has disconnected.
    let _ = timeout(PATIENCE, async {
        client.write_all(line.as_bytes()).await?;
        client.shutdown().await?;
        // The `agent-send` string must be read. Otherwise the system resets the connection, and the line is lost.
        let mut sent = client.take(SENT);
        let mut bytes = [0; 64];
        while sent.read(&mut bytes).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
}

#[async_trait]
impl Publisher for AgentCheck {
    async fn publish(self: Box<Self>, mut source: Source) {
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(target: "health", %error, "agent for HAProxy not started: the listener cannot be used");
                return;
            }
        };
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => {
                        tokio::spawn(answer(client, line(&source.probe(Probe::Readiness), self.degraded_weight)));
                    }
                    // The process may have no free file descriptor. The pause prevents a busy loop.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                change = source.next() => if change.is_none() {
                    return;
                },
            }
        }
    }
}
