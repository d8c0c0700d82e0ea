//! The listener of the server: a TCP port or a Unix socket.

use std::{io, net::SocketAddr};
#[cfg(unix)]
use std::{os::unix::fs::FileTypeExt as _, path::Path};

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

/// A TCP port or a Unix socket. Tokio's listeners convert into it.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// An accepted connection. The peer of a Unix socket has no address.
pub(crate) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Listener {
    /// Accepts a connection. Cancel safe: dropping the future loses no connection.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // A response is written at once as a whole, so the option only reduces its latency.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream, peer))
            }
            #[cfg(unix)]
            Kind::Unix(listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Tcp(listener))
    }
}

#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self(Kind::Unix(listener))
    }
}

/// Binds a Unix socket. Replaces an abandoned socket at this path, such as the socket of a process that was killed.
/// Does not replace a socket with a listener, or a file of any other kind.
///
/// The permissions of the file and of its directory decide which processes may connect. The permissions of the file
/// follow the umask of the process. The file remains when the server ends. Two processes that start at the same time
/// with the same path can replace each other's socket.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("health-hyper-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let path = directory.join("worker.sock");
/// drop(health_hyper::bind_unix(&path).await?); // a process that left its socket behind
/// let health = health_core::Health::builder().start()?;
/// let probes = health_hyper::serve(health, health_hyper::bind_unix(&path).await?).spawn();
/// # drop(probes);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns an error if the path cannot be bound, for instance because its directory does not exist, or because a file
/// exists there that is not replaced.
#[cfg(unix)]
pub async fn bind_unix(path: impl AsRef<Path>) -> io::Result<UnixListener> {
    let path = path.as_ref();
    let bound = UnixListener::bind(path);
    let is_taken = bound.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
    if is_taken && is_abandoned(path).await {
        std::fs::remove_file(path)?;
        return UnixListener::bind(path);
    }
    bound
}

/// Returns whether the path is a socket without a listener. Checks the type, because a file of another kind also
/// refuses connections.
#[cfg(unix)]
async fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket && UnixStream::connect(path).await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
