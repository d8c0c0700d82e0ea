//! Checks another service by its own health document. Green proves that the document reports Healthy or Degraded. It
//! does not prove more than the service's own checks do, or that the operations which the application needs work.

use std::fmt;

use async_trait::async_trait;
use health_documents::{Component, Document};
use reqwest::{Client, Method, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use super::http::{Answer, Target, refused};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::status::{Impact, Status},
};

/// The maximum length of a document, in bytes.
const LONGEST: usize = 256 << 10;
/// The maximum number of failing components in the details.
const CARRIED: usize = 32;

/// The formats that the check can read, with the preferred one first.
const ACCEPT: &str = "application/json, application/health+json;q=0.9, text/plain;q=0.5, */*;q=0.1";

/// Checks another service by reading its health document over the application's own [`reqwest::Client`].
///
/// Green proves that the document reports Healthy or Degraded. It does not prove more than the service's own checks do,
/// or that the operations which the application needs work.
///
/// The check reads the JSON of this crate, `application/health+json`, the documents of Spring Boot, MicroProfile and
/// ASP.NET, and the Kubernetes text. It detects the format. The crate `health-documents` has a table of all formats.
///
/// - A service that reports Healthy is Healthy. A service that reports Degraded is also Healthy, with a message,
///   because it does its work. A service that reports Unhealthy is Unhealthy. So is an answer that is not a health
///   document, and any status code from 400 on except 429. The codes 401, 403 and 407 have the reason `rejected`.
/// - The failing components of the service appear in the details, at full visibility only.
/// - The check sends the header `Health-Local: 1`. An endpoint of this crate then leaves out its own `Upstream` checks,
///   so that services that check each other do not keep each other Unhealthy.
/// - A keep-alive connection that ends during the request is not an outage: the check sends the request again, like
///   `Http`.
/// - Least privilege: the right to read the health document.
/// - The check is Optional unless `.critical()` is set, because it depends on another service.
/// - Redirects are not accepted.
/// - Observed value: `code`. Detail: `components`.
///
/// ```no_run
/// use health_core::{Health, Upstream};
///
/// # fn example(client: reqwest::Client) -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("billing", Upstream::new(client, "http://billing.internal/health")).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Upstream {
    target: Target,
}

impl Upstream {
    /// Creates a check that reads the health document at this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let mut target = Target::new(client, Method::GET, &url.into());
        target.send("health-local", "1");
        target.send("accept", ACCEPT);
        Self { target }
    }

    /// Adds a header to the request, for example a token. Its value appears in no output.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send(name.as_ref(), value.as_ref());
        self
    }
}

fn judge(answer: &Answer) -> Outcome {
    if answer.is_cut {
        return Outcome::unhealthy("the answer is longer than 256 KiB, the limit for a health document");
    }
    if matches!(answer.code, 401 | 403 | 407) {
        return refused(answer.code);
    }
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(document) = health_documents::read(answer.code, content_type, &answer.body) else {
        return if (200..300).contains(&answer.code) {
            Outcome::unhealthy("the answer is not a health document of a known format")
        } else {
            refused(answer.code)
        };
    };
    // Some services report Degraded with code 429. Every other code from 400 on is Unhealthy, whatever status the
    // document reports.
    let status = if answer.code >= 400 && answer.code != 429 { Status::Unhealthy } else { own(document.status) };
    let mut failing = failing(&document);
    // The worst come first, because the list is cut after `CARRIED` components.
    failing.sort_by_key(|component| std::cmp::Reverse(component.status));
    let reason = document.reason.clone();
    let causes: Vec<String> = reason.into_iter().chain(failing.iter().map(ToString::to_string)).take(CARRIED).collect();
    let said = match causes.is_empty() {
        true => format!("the service says {status}"),
        false => format!("the service says {status}: {}", causes.join(", ")),
    };
    let outcome = match status {
        Status::Healthy => Outcome::healthy(),
        Status::Degraded => Outcome::healthy().message(said),
        Status::Unhealthy => Outcome::unhealthy(said),
    };
    if failing.is_empty() {
        return outcome;
    }
    let carried: Map<String, Value> = failing
        .into_iter()
        .take(CARRIED)
        .map(|component| {
            let (status, reason) = (component.status, component.reason.as_ref());
            let said = reason.map_or_else(|| status.to_string(), |reason| format!("{status}: {reason}"));
            (component.name.clone(), Value::String(said))
        })
        .collect();
    outcome.detail("components", carried)
}

fn failing(document: &Document) -> Vec<&Component> {
    let fails = |component: &&Component| own(component.status) > Status::Healthy;
    document.components.iter().filter(fails).collect()
}

const fn own(status: health_documents::Status) -> Status {
    match status {
        health_documents::Status::Healthy => Status::Healthy,
        health_documents::Status::Degraded => Status::Degraded,
        health_documents::Status::Unhealthy => Status::Unhealthy,
    }
}

/// Returns the status of a document, and its failing components as text.
#[cfg(feature = "testing")]
pub(crate) fn verdict(code: u16, content_type: &str, body: &[u8]) -> Option<(Status, Vec<String>)> {
    let document = health_documents::read(code, content_type, body)?;
    Some((own(document.status), failing(&document).into_iter().map(ToString::to_string).collect()))
}

#[async_trait]
impl Check for Upstream {
    async fn check(&self) -> CheckResult {
        let answer = self.target.ask(LONGEST).await?;
        Ok(judge(&answer).observe("code", answer.code, ""))
    }

    fn impact(&self) -> Impact {
        Impact::Optional
    }

    fn asks_a_service(&self) -> bool {
        true
    }

    fn proves(&self) -> &'static str {
        "The service's health document reports Healthy or Degraded. It does not prove more than the service's own \
         checks do, or that the operations which the application needs work."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(self.target.validate()?)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("target", &self.target).finish_non_exhaustive()
    }
}
