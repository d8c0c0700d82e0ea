//! The server: accepts connections, limits their number, and ends.

use std::{io, pin::pin, time::Duration};

use tokio::{
    select,
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    connection::serve_connection,
    listener::{Accepted, Listener},
    service::HealthService,
};

/// The default limit of open connections. It leaves most of the usual 1,024 file descriptors to the application.
const MOST_CONNECTIONS: usize = 256;

/// How long the end of the server waits for responses in progress.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The pause after an error of `accept`. It doubles with each further error in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The minimum time between two log lines about `accept`.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// A prepared server, from [`serve`](crate::serve).
#[derive(Debug)]
#[must_use = "a server does nothing until `until` is awaited or `spawn` is called"]
pub struct Serve {
    service: HealthService,
    listener: Listener,
    most_connections: usize,
}

impl Serve {
    pub(crate) fn new(service: HealthService, listener: Listener) -> Self {
        Self { service, listener, most_connections: MOST_CONNECTIONS }
    }

    /// Sets the maximum number of open connections. Default 256, at least 2. Further connections wait in the queue of
    /// the listener until one ends. When a connection takes the last place, the server closes every other connection
    /// that has no request in progress.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.most_connections = most.max(2);
        self
    }

    /// Serves until the future completes. Then closes the listener and idle connections, waits up to 1 s for responses
    /// in progress, and cuts off the remaining connections. Dropping the returned future ends the server at once.
    pub async fn until(self, end: impl Future<Output = ()>) {
        let Self { service, listener, most_connections } = self;
        let mut end = pin!(end);
        let mut connections = JoinSet::new();
        // Each change requests the end of the connections that are open at that time.
        let closing = watch::Sender::new(());
        let mut failures = Failures::default();
        loop {
            let is_full = connections.len() >= most_connections;
            let accepted = select! {
                biased;
                () = &mut end => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&listener, failures.pause_end), if !is_full => accepted,
            };
            match accepted {
                Ok(accepted) => {
                    failures.end();
                    if connections.len() + 1 >= most_connections {
                        // Sent before the new connection subscribes, so that it is not closed itself.
                        closing.send_replace(());
                    }
                    let (service, closes) = (service.clone(), closing.subscribe());
                    match accepted {
                        Accepted::Tcp(stream, peer) => {
                            connections.spawn(serve_connection(stream, Some(peer), service, closes));
                        }
                        #[cfg(unix)]
                        Accepted::Unix(stream) => {
                            connections.spawn(serve_connection(stream, None, service, closes));
                        }
                    }
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    failures.add(&error);
                    // The process may lack free descriptors, which closing idle connections releases.
                    closing.send_replace(());
                }
            }
        }
        drop(listener);
        closing.send_replace(());
        let finished = async { while connections.join_next().await.is_some() {} };
        // Dropping the set cuts off the remaining connections.
        let _ = timeout(LAST_ANSWERS, finished).await;
    }

    /// Serves on a task of the current runtime until the returned value is dropped or [`Server::end`] is called.
    ///
    /// # Panics
    ///
    /// Panics if the call is made outside a Tokio runtime. The runtime must have I/O and time enabled.
    #[track_caller]
    pub fn spawn(self) -> Server {
        let (end, ended) = oneshot::channel::<()>();
        let task = tokio::spawn(self.until(async {
            // An error means that the value was dropped.
            let _ = ended.await;
        }));
        Server { end, task }
    }
}

/// A server that runs on a task, from [`Serve::spawn`]. Dropping the value ends the server in the background, as the
/// completed future of [`Serve::until`] does.
#[derive(Debug)]
#[must_use = "dropping the server ends it"]
pub struct Server {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Ends the server, and waits up to 1 s for responses in progress.
    pub async fn end(self) {
        let Self { end, task } = self;
        drop(end);
        // An error means that the runtime, and with it the server, has ended.
        let _ = task.await;
    }
}

/// The state of errors of `accept` in a row.
#[derive(Debug, Default)]
struct Failures {
    pause: Duration,
    pause_end: Option<Instant>,
    logged_at: Option<Instant>,
}

impl Failures {
    fn add(&mut self, error: &io::Error) {
        let now = Instant::now();
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.pause_end = Some(now + self.pause);
        if self.logged_at.is_none_or(|at| now - at >= BETWEEN_LINES) {
            self.logged_at = Some(now);
            tracing::warn!(target: "health", %error, "health server cannot accept connections");
        }
    }

    fn end(&mut self) {
        self.pause = Duration::ZERO;
        self.pause_end = None;
    }
}

/// Returns whether the error means that a client disconnected before its connection was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Accepts a connection after the end of a pause.
async fn accept(listener: &Listener, pause_end: Option<Instant>) -> io::Result<Accepted> {
    if let Some(end) = pause_end {
        sleep_until(end).await;
    }
    listener.accept().await
}
