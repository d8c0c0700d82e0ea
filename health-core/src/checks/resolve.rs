//! Name resolution and TCP connections for all checks that need them. The call of the system's resolver runs on a
//! thread that belongs to the check, because it blocks and cannot be cancelled.

#[cfg(any(feature = "certificate", feature = "memcached", feature = "tcp"))]
use std::time::Duration;
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
};

#[cfg(any(feature = "certificate", feature = "memcached", feature = "tcp"))]
use crate::check::deadline::time_left;
use crate::{
    check::{blocking::BlockingThread, error::CheckError},
    model::status::Reason,
};

/// The resolver of one check.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    thread: BlockingThread,
}

impl Resolver {
    /// Returns the addresses of `host:port`. A numeric address is returned without a call of the resolver.
    ///
    /// # Errors
    ///
    /// The reason is `unreachable` if the name does not resolve.
    pub(crate) async fn resolve(&self, address: &str) -> Result<Vec<SocketAddr>, CheckError> {
        if let Ok(address) = address.parse() {
            return Ok(vec![address]);
        }
        let asked = address.to_owned();
        let resolved: io::Result<Vec<SocketAddr>> =
            self.thread.run(move || asked.to_socket_addrs().map(Iterator::collect)).await?;
        // The standard library has no error kind for a name that does not resolve.
        resolved.map_err(|error| CheckError::from(error).reason(Reason::Unreachable))
    }
}

/// Returns an error if the address is not a host and a port.
#[cfg(any(feature = "certificate", feature = "memcached", feature = "tcp"))]
pub(crate) fn check_address(address: &str) -> Result<(), String> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
    match port {
        Some(0_u16) | None => {
            Err(format!("{address:?} is not an address: use a host and a port, such as \"mail.internal:25\""))
        }
        Some(_) => Ok(()),
    }
}

/// Connects to the first address that accepts a connection. Returns the error of the last address if none does.
#[cfg(any(feature = "certificate", feature = "memcached", feature = "tcp"))]
pub(crate) async fn connect(addresses: &[SocketAddr]) -> Result<tokio::net::TcpStream, CheckError> {
    let mut last = CheckError::new("the name has no address").reason(Reason::Unreachable);
    for (tried, address) in addresses.iter().enumerate() {
        // An address that drops packets must not use up the time of the others.
        let rest = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let patience = time_left().map_or(Duration::MAX, |left| left / rest);
        match tokio::time::timeout(patience, tokio::net::TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.into(),
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(last)
}
