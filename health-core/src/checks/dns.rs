//! A name's addresses. Green proves that the system's resolver finds at least so many addresses for the name; it does
//! not prove that anything listens there, nor that a name server agrees with its neighbour: caches answer, too.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{limits::check_settings, resolve::Resolver};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::status::Reason,
};

/// Resolves a name with the system's own resolver, as the application does.
///
/// - Least privilege: none.
/// - It runs on one thread of its own: a resolver that hangs costs that thread and no more.
/// - Observed: `addresses`. Details: `addresses`, the list.
///
/// ```
/// use health_core::{Dns, Health};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("cluster", Dns::new("nodes.internal").at_least(3)).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Dns {
    name: String,
    at_least: usize,
    resolver: Resolver,
}

impl Dns {
    /// Resolves this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), at_least: 1, resolver: Resolver::default() }
    }

    /// With fewer addresses than these it is Unhealthy with `threshold`. Default 1.
    pub fn at_least(mut self, addresses: usize) -> Self {
        self.at_least = addresses;
        self
    }
}

#[async_trait]
impl Check for Dns {
    async fn check(&self) -> CheckResult {
        // The resolver wants a port, which has no part in the answer; every address comes once per kind of socket.
        let answer = self.resolver.resolve(&format!("{}:0", self.name)).await?;
        let addresses: BTreeSet<String> = answer.iter().map(|address| address.ip().to_string()).collect();
        let outcome = if addresses.len() < self.at_least {
            let message = format!("{} addresses, fewer than {}", addresses.len(), self.at_least);
            Outcome::unhealthy(message).reason(Reason::Threshold)
        } else {
            Outcome::healthy()
        };
        let list: Vec<String> = addresses.iter().take(16).cloned().collect();
        Ok(outcome.observe("addresses", addresses.len(), "addresses").detail("addresses", list))
    }

    fn proves(&self) -> &'static str {
        "The system's resolver finds enough addresses for the name. It does not prove that anything listens there or \
         that name servers agree, as caches answer, too."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.name.is_empty() || self.name.contains([':', '/', ' ']) {
            return Err((format!("{:?} is not a name: use one without scheme, port and path", self.name)).into());
        }
        if self.at_least == 0 {
            return Err(("at_least(0) can never fail: use 1 or more".to_owned()).into());
        }
        Ok(())
    }

    check_settings! {
        at_least: at_least = size;
    }
}
