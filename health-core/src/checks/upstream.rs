//! Another service, by its own word. Green proves that the service's health document says that it works; it does not
//! prove more than the service's own checks do, nor that the operations which this application needs of it work.

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

/// A document is read so far.
const LONGEST: usize = 256 << 10;
/// Failing components carried into ours.
const CARRIED: usize = 32;

/// What we can read, ours first.
const ACCEPT: &str = "application/json, application/health+json;q=0.9, text/plain;q=0.5, */*;q=0.1";

/// Reads another service's health document over the application's own [`reqwest::Client`]. Needs the feature `upstream`.
///
/// It reads our own JSON, `application/health+json`, Spring Boot's, MicroProfile's and ASP.NET's documents, and the Kubernetes
/// text, whatever the service speaks; the crate `health-documents` has the table of dialects.
///
/// - Its Healthy is Healthy here. Its Degraded is Healthy here, too, with a message: it does its work. Its Unhealthy, an
///   answer that is no health document, and any code from 400 on but 429 are Unhealthy.
/// - Its failing components are carried into the details, shown at full visibility only.
/// - It asks with `Health-Local: 1`, which an endpoint of ours answers without its own `Upstream` checks: services that
///   check each other cannot lock each other out.
/// - A kept connection that ends under the request is no outage: the request is sent again, as that of `Http` is.
/// - Least privilege: reading the health document.
/// - Optional unless `.critical()` is said: it is another service.
/// - Redirects are not accepted. Observed: `code`. Details: `components`.
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
    /// Reads the document at this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let mut target = Target::new(client, Method::GET, &url.into());
        target.send("health-local", "1");
        target.send("accept", ACCEPT);
        Self { target }
    }

    /// A header to send, such as a token. Its value appears in no output.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send(name.as_ref(), value.as_ref());
        self
    }
}

fn judge(answer: &Answer) -> Outcome {
    if answer.is_cut {
        return Outcome::unhealthy("the answer is longer than 256 KiB, which no health document is");
    }
    if matches!(answer.code, 401 | 403 | 407) {
        return refused(answer.code);
    }
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(document) = health_documents::read(answer.code, content_type, &answer.body) else {
        return if (200..300).contains(&answer.code) {
            Outcome::unhealthy("the answer is no health document that we know")
        } else {
            refused(answer.code)
        };
    };
    // 429 is how some are told of Degraded; whatever else is no success is none, whatever the document says.
    let status = if answer.code >= 400 && answer.code != 429 { Status::Unhealthy } else { own(document.status) };
    let mut failing = failing(&document);
    // The worst first, as the last ones may have no room.
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

/// Returns the status of a document, and its failing components as plain texts.
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
        "The service's health document says that it works. It does not prove more than the service's own checks do, \
         nor that the operations needed of it work."
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
