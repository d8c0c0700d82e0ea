//! A TCP connection to an address. Green proves that something there accepts connections; it does not prove that it
//! answers, or that it is the right program.

use async_trait::async_trait;

use super::resolve::{Resolver, check_address, connect};
use crate::check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome};

/// Connects and closes again. Needs the feature `tcp`. For anything that has a check of its own, use that.
///
/// - Every address of the name is tried in turn, within the deadline; one that accepts is enough.
/// - Least privilege: none; the other side sees a connection that closes without a word, which some log.
/// - Not for MySQL and MariaDB: they count each such connection as an error of the host, and refuse the host after
///   `max_connect_errors` of them (100 by default), also to the application. Use [`Sqlx`](crate::Sqlx).
/// - Unlike every other check it opens a connection in each run, as there is none to keep.
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
    /// A host and a port: `mail.internal:25`, `10.0.0.7:25`, `[::1]:25`.
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
        "Something at the address accepts connections. It does not prove that it answers or that it is the right \
         program."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(check_address(&self.address)?)
    }
}
