//! A dedicated server: health on a thread, a runtime and a port of its own, which answers while every worker of the
//! application's runtime is blocked.

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

/// How long dropping the server waits for answers under way. A client that never finishes its request delays it no
/// longer.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A health server on its own thread, runtime and port, from `serve_dedicated` of every adapter. Dropping it ends it, and
/// waits up to a second for answers under way.
///
/// It reports unhealthy if the application's runtime stalls: the checks still run on that runtime, so readiness turns 503
/// when their results are stale, and every view, liveness included, once the runtime has not moved for 30 s. After
/// [`stop`](crate::Health::stop) it keeps the last verdict on liveness, as every endpoint does.
#[derive(Debug)]
#[must_use = "dropping the server ends it"]
pub struct DedicatedServer {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    // A mutex, so that the server can be shared between threads.
    finished: Mutex<mpsc::Receiver<()>>,
}

/// The end of a dedicated server: completes when its [`DedicatedServer`] is dropped.
#[must_use = "a server that does not await it never ends"]
pub struct DedicatedServerEnd(oneshot::Receiver<()>);

impl Future for DedicatedServerEnd {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // An error says that the sender was dropped, which is an end, too.
        Pin::new(&mut self.0).poll(context).map(|_| ())
    }
}

impl fmt::Debug for DedicatedServerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedicatedServerEnd").finish_non_exhaustive()
    }
}

impl DedicatedServer {
    /// For adapters: runs a server on a thread of its own until the value is dropped. `serve` receives the listener, set
    /// to non-blocking, and must return after its second argument completes.
    ///
    /// # Errors
    ///
    /// The listener has no address, or the system has no thread to give.
    pub fn run(
        listener: TcpListener,
        serve: impl FnOnce(TcpListener, DedicatedServerEnd) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (end, ended) = oneshot::channel();
        // A panic of the thread drops the sender, which counts as finished, too.
        let (finishing, finished) = mpsc::channel::<()>();
        thread::Builder::new().name("health-server".to_owned()).spawn(move || {
            let _finishing = finishing;
            if let Err(error) = serve(listener, DedicatedServerEnd(ended)) {
                tracing::error!(target: "health", %error, "dedicated health server ended with an error");
            }
        })?;
        Ok(Self { address, end: Some(end), finished: Mutex::new(finished) })
    }

    /// The address of the listener.
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
        // An error in either case: the thread has finished, or the time is over.
        let finished = self.finished.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = finished.recv_timeout(LAST_ANSWERS);
    }
}
