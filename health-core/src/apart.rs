//! A thread of its own for a server of its own: probes are answered while every worker of the application's runtime is
//! blocked.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::mpsc,
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

/// How long dropping waits for answers under way; a client that never finishes its request holds up nothing longer.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A health server apart from the application: on its own thread, runtime and port. Dropping it ends it, and waits up to a
/// second for answers under way.
///
/// Every adapter makes one with its `serve_apart`. It cannot be a green port beside a dead application: the checks still
/// run on the application's runtime, so that readiness turns red when their results are stale, and every view, liveness
/// included, once that runtime has not moved for 30 s. After [`stop`](crate::Health::stop) it keeps the last verdict on
/// liveness, as every endpoint does.
#[derive(Debug)]
#[must_use = "dropped at once it serves nobody"]
pub struct Apart {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    finished: mpsc::Receiver<()>,
}

/// When a server apart is to end.
pub type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Apart {
    /// For adapters: runs a server on a thread of its own until the value is dropped. The listener comes non-blocking.
    ///
    /// # Errors
    ///
    /// The listener has no address, or there is no thread to be had.
    pub fn run(
        listener: TcpListener,
        serve: impl FnOnce(TcpListener, Ended) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let ended: Ended = Box::pin(async move {
            let _ = stopped.await;
        });
        // Says so also when the thread panics: then the sender is dropped.
        let (finishing, finished) = mpsc::channel::<()>();
        thread::Builder::new().name("health-apart".to_owned()).spawn(move || {
            let _finishing = finishing;
            if let Err(error) = serve(listener, ended) {
                tracing::error!(target: "health", %error, "the health server apart has ended");
            }
        })?;
        Ok(Self { address, stop: Some(stop), finished })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // An error either way: it has finished, or it has not in time.
        let _ = self.finished.recv_timeout(LAST_ANSWERS);
    }
}
