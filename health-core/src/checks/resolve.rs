//! Name resolution for all checks that need it. The call of the system's resolver runs on a thread that belongs to the
//! check, because it blocks and cannot be cancelled.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
};

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
