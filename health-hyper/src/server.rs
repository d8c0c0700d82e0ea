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

/// Few enough to leave most of the usual 1,024 descriptors to the application.
const MOST_CONNECTIONS: usize = 256;

/// How long the end waits for answers in progress.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The pause after an error of `accept`. It is doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The shortest time between two lines of the log about `accept`.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// A server that [`serve`](crate::serve) has prepared.
#[derive(Debug)]
#[must_use = "a server answers nobody until `until` is awaited or `spawn` is called"]
pub struct Serve {
    service: HealthService,
    listener: Listener,
    most_connections: usize,
}

impl Serve {
    pub(crate) fn new(service: HealthService, listener: Listener) -> Self {
        Self { service, listener, most_connections: MOST_CONNECTIONS }
    }

    /// Sets how many connections are open at most; default 256, at least 2. Others wait in the queue of the listener
    /// until one ends. Whoever takes the last place has every other connection closed that has no request in progress.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.most_connections = most.max(2);
        self
    }

    /// Serves until the future completes. Then the listener and idle connections are closed, answers in progress are
    /// finished within a second, and the rest is cut off. Dropping the returned future ends the server at once.
    pub async fn until(self, end: impl Future<Output = ()>) {
        let Self { service, listener, most_connections } = self;
        let mut end = pin!(end);
        let mut connections = JoinSet::new();
        // Each change asks the connections that are open at that moment to end.
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
                        // Before the new connection is among those that are asked.
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
                    // Idle connections hold descriptors, which may be what is missing.
                    closing.send_replace(());
                }
            }
        }
        drop(listener);
        closing.send_replace(());
        let finished = async { while connections.join_next().await.is_some() {} };
        // Whoever is left is cut off with the set of connections.
        let _ = timeout(LAST_ANSWERS, finished).await;
    }

    /// Serves as a task of the current runtime until the returned value is dropped or [`Server::end`] is called.
    ///
    /// # Panics
    ///
    /// The call was made outside a Tokio runtime. The runtime must have I/O and time enabled.
    #[track_caller]
    pub fn spawn(self) -> Server {
        let (end, ended) = oneshot::channel::<()>();
        let task = tokio::spawn(self.until(async {
            // An error says that the value was dropped.
            let _ = ended.await;
        }));
        Server { end, task }
    }
}

/// A server as a task, from [`Serve::spawn`]. Dropping it ends the server as the completed future of [`Serve::until`]
/// does, without waiting.
#[derive(Debug)]
#[must_use = "dropping the server ends it"]
pub struct Server {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Ends the server, and waits up to a second for answers in progress.
    pub async fn end(self) {
        let Self { end, task } = self;
        drop(end);
        // An error says that the runtime has ended, and the server with it.
        let _ = task.await;
    }
}

/// Errors of `accept` in a row.
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

/// Whether a client left before its connection was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Accepts a connection, not before the end of a pause.
async fn accept(listener: &Listener, pause_end: Option<Instant>) -> io::Result<Accepted> {
    if let Some(end) = pause_end {
        sleep_until(end).await;
    }
    listener.accept().await
}
