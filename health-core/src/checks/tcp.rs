//! Checks an address by a TCP connection. Green proves that a program at the address accepts connections. It does not
//! prove that the program answers, or that it is the right program.

use async_trait::async_trait;

use super::{
    connect::{check_address, connect},
    resolve::Resolver,
};
use crate::check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome};

/// Checks an address by opening a TCP connection and closing it again. If there is a check for the protocol of the
/// server, use that check instead.
///
/// Green proves that a program at the address accepts connections. It does not prove that the program answers, or that
/// it is the right program.
///
/// - The check tries all addresses of the name in turn, within the deadline. One address that accepts is enough.
/// - Least privilege: none. The server sees a connection that is closed without any data, which some servers log.
/// - Do not use this check for MySQL and MariaDB. These servers count each such connection as an error of the host.
///   After `max_connect_errors` of them (100 by default) they refuse the host, and with it the application. Use
///   [`Sqlx`](crate::Sqlx).
/// - The check opens a connection in each run, because it has no connection to keep.
///
/// ```
/// use health_core::{Health, Tcp};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("mail", Tcp::new("mail.internal:25")).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Tcp {
    address: String,
    resolver: Resolver,
}

impl Tcp {
    /// Creates a check of this host and port, such as `mail.internal:25`, `10.0.0.7:25` or `[::1]:25`.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), resolver: Resolver::default() }
    }
}

#[async_trait]
impl Check for Tcp {
    async fn check(&self) -> CheckResult {
        let addresses = self.resolver.resolve(&self.address).await?;
        connect(&addresses).await?;
        Ok(Outcome::healthy())
    }

    fn proves(&self) -> &'static str {
        "A program at the address accepts connections. It does not prove that the program answers or that it is the \
         right program."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(check_address(&self.address)?)
    }
}
