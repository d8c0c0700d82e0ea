//! TCP connections for all checks that open one.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use crate::{
    check::{deadline::time_left, error::CheckError},
    model::status::Reason,
};

/// Returns an error if the address is not a host and a port.
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
pub(crate) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, CheckError> {
    let mut last = CheckError::new("the name has no address").reason(Reason::Unreachable);
    for (tried, address) in addresses.iter().enumerate() {
        // An address that drops packets must not use up the time of the others.
        let rest = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let patience = time_left().map_or(Duration::MAX, |left| left / rest);
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.into(),
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(last)
}
