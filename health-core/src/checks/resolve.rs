//! Names to addresses, and addresses to connections, by the system's own resolver, for every check that needs one: on a thread of the check's own,
//! because the system's call blocks and cannot be cancelled.

#[cfg(any(feature = "certificate", feature = "tcp"))]
use std::time::Duration;
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
};

#[cfg(any(feature = "certificate", feature = "tcp"))]
use crate::check::deadline::time_left;
use crate::{
    check::{blocking::BlockingThread, error::CheckError},
    model::status::Reason,
};

/// Resolves for one check.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    thread: BlockingThread,
}

impl Resolver {
    /// The addresses of `host:port`. An address in numbers needs no resolver.
    pub(crate) async fn resolve(&self, address: &str) -> Result<Vec<SocketAddr>, CheckError> {
        if let Ok(address) = address.parse() {
            return Ok(vec![address]);
        }
        let asked = address.to_owned();
        let resolved: io::Result<Vec<SocketAddr>> =
            self.thread.run(move || asked.to_socket_addrs().map(Iterator::collect)).await?;
        // The standard library gives a name that does not resolve no kind of its own.
        resolved.map_err(|error| CheckError::from(error).reason(Reason::Unreachable))
    }
}

/// Refuses what is not a host and a port.
#[cfg(any(feature = "certificate", feature = "tcp"))]
pub(crate) fn check_address(address: &str) -> Result<(), String> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
    match port {
        Some(0_u16) | None => {
            Err(format!("{address:?} is not an address: use a host and a port, such as \"mail.internal:25\""))
        }
        Some(_) => Ok(()),
    }
}

/// A connection to the first address that accepts one.
#[cfg(any(feature = "certificate", feature = "tcp"))]
pub(crate) async fn connect(addresses: &[SocketAddr]) -> Result<tokio::net::TcpStream, CheckError> {
    let mut last = CheckError::new("the name has no address").reason(Reason::Unreachable);
    for (tried, address) in addresses.iter().enumerate() {
        // One address that swallows packets must not use up the time of the others.
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
