//! The addresses of a name. Green proves that the system's resolver finds at least the configured number of addresses.
//! It does not prove that anything listens there, or that the name servers agree, because caches answer, too.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{limits::check_settings, resolve::Resolver};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::status::Reason,
};

/// Resolves a name with the system's own resolver, as the application does.
///
/// Green proves that the resolver finds at least the configured number of addresses. It does not prove that anything
/// listens there, or that the name servers agree, because caches answer, too.
///
/// - Least privilege: none.
/// - A name that does not resolve is Unhealthy with `unreachable`.
/// - The resolver runs on one thread of the check's own. If it hangs, it blocks only that thread.
/// - Observed value: `addresses`. Detail: `addresses`, the list of at most 16 addresses.
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
    /// Creates a check that resolves this name, given without scheme, port and path.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), at_least: 1, resolver: Resolver::default() }
    }

    /// Sets the minimum number of addresses. With fewer the check is Unhealthy with `threshold`. Default 1. Zero is a
    /// build error.
    pub fn at_least(mut self, addresses: usize) -> Self {
        self.at_least = addresses;
        self
    }
}

#[async_trait]
impl Check for Dns {
    async fn check(&self) -> CheckResult {
        // The resolver requires a port, which does not affect the addresses. It returns each address once per socket
        // type, and the set removes the duplicates.
        let answer = self.resolver.resolve(&format!("{}:0", self.name)).await?;
        let addresses: BTreeSet<String> = answer.iter().map(|address| address.ip().to_string()).collect();
        let outcome = if addresses.len() < self.at_least {
            let message = format!("the name has {} addresses, fewer than {}", addresses.len(), self.at_least);
            Outcome::unhealthy(message).reason(Reason::Threshold)
        } else {
            Outcome::healthy()
        };
        let list: Vec<String> = addresses.iter().take(16).cloned().collect();
        Ok(outcome.observe("addresses", addresses.len(), "addresses").detail("addresses", list))
    }

    fn proves(&self) -> &'static str {
        "The system's resolver finds enough addresses for the name. It does not prove that anything listens there or \
         that the name servers agree, because caches answer, too."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.name.is_empty() || self.name.contains([':', '/', ' ']) {
            return Err((format!("{:?} is not a name: use one without scheme, port and path", self.name)).into());
        }
        if self.at_least == 0 {
            return Err(("at_least(0) never fails: use 1 or more".to_owned()).into());
        }
        Ok(())
    }

    check_settings! {
        at_least: at_least = size;
    }
}
