//! The dedicated server: serves the endpoint on its own thread, runtime and port, and so answers while every worker of
//! the application's runtime is blocked.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::{Mutex, PoisonError, mpsc},
    task::{Context, Poll},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

/// The maximum time for which dropping the server waits for responses in progress. A client that never finishes its
/// request cannot delay the drop any longer.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A health server on its own thread, runtime and port, from `serve_dedicated` of an adapter. Dropping the value ends
/// the server and waits up to 1 s for responses in progress.
///
/// The server reports Unhealthy if the application's runtime stalls, because the checks still run on that runtime:
/// readiness turns 503 when their results become stale. Every view, liveness included, turns 503 once the scheduler
/// has not run for 30 s. After [`stop`](crate::Health::stop) the server keeps the last verdict on liveness, as every
/// endpoint does.
#[derive(Debug)]
#[must_use = "dropping the server ends it"]
pub struct DedicatedServer {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    // The receiver is in a mutex, because a receiver is not `Sync` and the server must be `Sync`.
    finished: Mutex<mpsc::Receiver<()>>,
}

/// A future that completes when its [`DedicatedServer`] is dropped.
#[must_use = "a server that does not await it never ends"]
pub struct DedicatedServerEnd(oneshot::Receiver<()>);

impl Future for DedicatedServerEnd {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // An error means that the sender was dropped, which also ends the server.
        Pin::new(&mut self.0).poll(context).map(|_| ())
    }
}

impl fmt::Debug for DedicatedServerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedicatedServerEnd").finish_non_exhaustive()
    }
}

impl DedicatedServer {
    /// Runs the server of an adapter on its own thread until the returned value is dropped.
    ///
    /// `serve` receives the listener in non-blocking mode, and must return after its second argument completes. An
    /// error that `serve` returns is logged.
    ///
    /// # Errors
    ///
    /// Returns an error if the listener cannot be set to non-blocking or has no address, or if the system cannot start
    /// a thread.
    pub fn run(
        listener: TcpListener,
        serve: impl FnOnce(TcpListener, DedicatedServerEnd) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (end, ended) = oneshot::channel();
        // A panic of the thread drops the sender, which also counts as finished.
        let (finishing, finished) = mpsc::channel::<()>();
        thread::Builder::new().name("health-server".to_owned()).spawn(move || {
            let _finishing = finishing;
            if let Err(error) = serve(listener, DedicatedServerEnd(ended)) {
                tracing::error!(target: "health", %error, "dedicated health server ended with an error");
            }
        })?;
        Ok(Self { address, end: Some(end), finished: Mutex::new(finished) })
    }

    /// Returns the address of the listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DedicatedServer {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        // The result is an error in both cases: if the thread has finished, and if the wait has timed out.
        let finished = self.finished.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = finished.recv_timeout(LAST_ANSWERS);
    }
}
