//! The agent that HAProxy asks with `agent-check`:
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

/// Longer descriptions are cut; HAProxy shows them in its statistics.
const DESCRIBED: usize = 80;
/// No `agent-send` is longer.
const SENT: u64 = 4_096;
/// A client that does not take its line is left alone after this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers HAProxy's `agent-check` with what readiness says. Needs the feature `agent_check`.
///
/// | readiness | line |
/// |---|---|
/// | Healthy, Degraded | `ready up 100%`; Degraded with [`degraded_weight`](Self::degraded_weight) less |
/// | Unhealthy | `ready down #database unreachable` |
/// | draining | `drain up`: no new clients, and those who stay are served |
/// | stopped | the port is closed; HAProxy's own check decides |
///
/// Every line undoes what the one before said, as nobody else can. Percentages count only for a server with a weight of its
/// own, for instance `weight 100`: of the default weight 1 every part is 0, so leave `degraded_weight` out there.
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
    /// Listens here, for `agent-addr` and `agent-port`. Anyone who can connect is told the names of failing checks.
    ///
    /// # Errors
    ///
    /// The address cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, degraded_weight: 100 })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The part of its weight that a Degraded service takes, in percent: 1 to 100, default 100.
    pub fn degraded_weight(mut self, percent: u8) -> Self {
        self.degraded_weight = percent.clamp(1, 100);
        self
    }
}

/// The line, with its end: HAProxy ignores one without.
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
    // Whoever goes away without the line has lost nothing.
    let _ = timeout(PATIENCE, async {
        client.write_all(line.as_bytes()).await?;
        client.shutdown().await?;
        // What `agent-send` sent must be read, or the system takes the line back with a reset.
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
                tracing::error!(target: "health", %error, "no agent of HAProxy's can be served");
                return;
            }
        };
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => {
                        tokio::spawn(answer(client, line(&source.probe(Probe::Readiness), self.degraded_weight)));
                    }
                    // No descriptors, for instance: others need the processor meanwhile.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                change = source.next() => if change.is_none() {
                    return;
                },
            }
        }
    }
}
