//! What is listened on: a TCP port, or a Unix socket.

use std::{io, net::SocketAddr};
#[cfg(unix)]
use std::{os::unix::fs::FileTypeExt as _, path::Path};

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

/// A listener of Tokio's, which converts into this: a TCP port, or a Unix socket.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// An accepted connection. On a Unix socket the peer has no address.
pub(crate) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Listener {
    /// Accepts a connection. Dropping the future loses none.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // An answer is written at once and whole. Where this fails it may arrive a moment later.
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

/// Binds a Unix socket. A socket at this path that nobody listens on any more, such as that of a process that was
/// killed, is replaced. A file of any other kind, and a socket that somebody listens on, stay.
///
/// Who may connect is decided by the rights of the file, which follow the umask of the process, and those of its
/// directory. The file stays when the server ends. Two processes that start at the same moment with the same path can
/// replace each other's socket.
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
/// The path cannot be bound, for instance because its directory does not exist, or what stands there stays.
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

/// Whether this is a socket that nobody listens on. A file of another kind refuses connections, too.
#[cfg(unix)]
async fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket && UnixStream::connect(path).await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
