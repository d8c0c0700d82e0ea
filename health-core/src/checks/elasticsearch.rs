//! A cluster of Elasticsearch or OpenSearch, by the health that it reports. Green proves that the cluster reports
//! green, or yellow where that is accepted. It does not prove that the user may search or write, or that the disks
//! have room.

use std::fmt;

use async_trait::async_trait;
use reqwest::{Client, Method};
use serde_json::Value;

use super::http::{Answer, Target, refused};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::status::Reason,
};

/// The maximum size of an answer that is read, in bytes. The health of a cluster has less than 1 KiB.
const LONGEST: usize = 64 << 10;

/// The parameter that limits how long the node waits for a master. The node waits for nothing else.
const PATIENCE: &str = "timeout=1s";

/// The observed values: the name, the key in the answer, and the unit.
const COUNTED: [(&str, &str, &str); 7] = [
    ("nodes", "number_of_nodes", ""),
    ("data_nodes", "number_of_data_nodes", ""),
    ("active_shards", "active_shards", ""),
    ("initializing_shards", "initializing_shards", ""),
    ("relocating_shards", "relocating_shards", ""),
    ("unassigned_shards", "unassigned_shards", ""),
    ("pending_tasks", "number_of_pending_tasks", ""),
];

/// Requests the health of an Elasticsearch or OpenSearch cluster over the application's own [`reqwest::Client`], with
/// the TLS, the proxies, the connection pool and the name resolution of that client.
///
/// Green proves that the cluster reports green, or yellow where that is accepted. It does not prove that the user may
/// search or write, or that the disks have room.
///
/// - A green cluster is Healthy. A yellow cluster, in which a replica of a shard has no node, is Degraded unless
///   [`accept_yellow`](Self::accept_yellow) is called. A red cluster, in which a shard has no node at all, is
///   Unhealthy.
/// - Least privilege: the cluster privilege `monitor`, or `cluster:monitor/health` of OpenSearch. The check changes
///   nothing.
/// - The codes 401, 403 and 407 are `rejected`. A cluster without a master is `unreachable`. A cluster whose health is
///   not known within a second is `timeout`. A node without room for one more request (429) is `saturated`. Any other
///   code, and an answer that is not the health of a cluster, are `failed`.
/// - A keep-alive connection that ends during the request, or is silent, is not an outage: the request is sent again,
///   as `Http` does. Redirects are not accepted.
/// - Observed values: `nodes`, `data_nodes`, `active_shards`, `initializing_shards`, `relocating_shards`,
///   `unassigned_shards`, `pending_tasks`.
/// - The check is tested against a server written from the documentation of the interface, because Elasticsearch itself
///   is not available as a package.
///
/// ```no_run
/// use health_core::{Elasticsearch, Health};
///
/// # fn example(client: reqwest::Client, key: &str) -> Result<(), health_core::BuildError> {
/// let search = Elasticsearch::new(client, "https://search.internal:9200");
/// let search = search.header("authorization", format!("ApiKey {key}"));
/// let health = Health::builder().check("search", search).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Elasticsearch {
    target: Target,
    accepts_yellow: bool,
    /// The problem with the URL; `None` if the URL is valid.
    error: Option<&'static str>,
}

impl Elasticsearch {
    /// Creates a check of the cluster whose API is at this URL, such as `https://search.internal:9200`. A URL with a
    /// query or a fragment is a build error.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let base = url.into();
        let error =
            base.contains(['?', '#']).then_some("the URL has a query or a fragment: use one such as https://host:9200");
        let url = format!("{}/_cluster/health?{PATIENCE}", base.trim_end_matches('/'));
        Self { target: Target::new(client, Method::GET, &url), accepts_yellow: false, error }
    }

    /// Adds a header to the request, such as one with an API key. Its value appears in no output. A name or a value
    /// that cannot be sent is a build error.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send(name.as_ref(), value.as_ref());
        self
    }

    /// Accepts a yellow cluster as Healthy. A cluster of one node has no second node for a replica, so it is yellow at
    /// best. Default: a yellow cluster is Degraded.
    pub fn accept_yellow(mut self) -> Self {
        self.accepts_yellow = true;
        self
    }
}

fn judge(answer: &Answer, accepts_yellow: bool) -> Outcome {
    if answer.is_cut {
        return Outcome::unhealthy("the answer is longer than 64 KiB, so it is not the health of a cluster");
    }
    // Some versions answer 408 if the health is not known in time, with the health that is known so far.
    if !matches!(answer.code, 200 | 408) {
        return of_code(answer.code, &answer.body);
    }
    let Ok(health) = serde_json::from_slice::<Value>(&answer.body) else {
        return Outcome::unhealthy("the answer is not the health of a cluster");
    };
    let outcome = match health["status"].as_str() {
        _ if health["timed_out"] == true => {
            Outcome::unhealthy("the cluster's health was not known in time").reason(Reason::Timeout)
        }
        Some("green") => Outcome::healthy(),
        Some("yellow") if accepts_yellow => Outcome::healthy().message("the cluster is yellow: a replica has no node"),
        Some("yellow") => Outcome::degraded("the cluster is yellow: a replica has no node"),
        Some("red") => Outcome::unhealthy("the cluster is red: a shard has no node"),
        _ => return Outcome::unhealthy("the answer is not the health of a cluster"),
    };
    COUNTED.into_iter().fold(outcome, |outcome, (name, key, unit)| match health[key].as_u64() {
        Some(count) => outcome.observe(name, count, unit),
        None => outcome,
    })
}

/// Returns the outcome of an answer without the health of the cluster, by its code.
fn of_code(code: u16, body: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(body);
    // The words of Elasticsearch and of OpenSearch.
    let has_no_master = ["master_not_discovered", "cluster_manager_not_discovered"].iter().any(|it| text.contains(it));
    match code {
        503 if has_no_master => Outcome::unhealthy("the cluster has no master").reason(Reason::Unreachable),
        429 => Outcome::unhealthy("the node has no room for one more request (429)").reason(Reason::Saturated),
        _ => refused(code),
    }
}

#[async_trait]
impl Check for Elasticsearch {
    async fn check(&self) -> CheckResult {
        Ok(judge(&self.target.ask(LONGEST).await?, self.accepts_yellow))
    }

    fn proves(&self) -> &'static str {
        "The cluster reports green, or yellow where that is accepted. It does not prove that the user may search or \
         write, or that the disks have room."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        match self.error {
            Some(error) => Err(error.into()),
            None => Ok(self.target.validate()?),
        }
    }
}

impl fmt::Debug for Elasticsearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elasticsearch").field("target", &self.target).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::model::status::Status;

    fn judged(code: u16, body: &str) -> (Status, Option<Reason>) {
        let answer = Answer { code, headers: HeaderMap::new(), body: body.as_bytes().to_vec(), is_cut: false };
        let outcome = judge(&answer, false);
        (outcome.get_status(), outcome.get_reason())
    }

    #[test]
    fn the_reported_health_decides_and_else_the_code() {
        let unhealthy = |reason| (Status::Unhealthy, Some(reason));
        for (code, body, expected) in [
            (200, r#"{"status":"green","timed_out":false}"#, (Status::Healthy, None)),
            (200, r#"{"status":"yellow"}"#, (Status::Degraded, Some(Reason::Failed))),
            (200, r#"{"status":"red"}"#, unhealthy(Reason::Failed)),
            (200, r#"{"status":"green","timed_out":true}"#, unhealthy(Reason::Timeout)),
            (408, r#"{"status":"red","timed_out":true}"#, unhealthy(Reason::Timeout)),
            (200, r#"{"status":"UP"}"#, unhealthy(Reason::Failed)),
            (200, "[]", unhealthy(Reason::Failed)),
            (200, "<html>", unhealthy(Reason::Failed)),
            (401, "", unhealthy(Reason::Rejected)),
            (403, r#"{"error":{"type":"security_exception"}}"#, unhealthy(Reason::Rejected)),
            (429, "", unhealthy(Reason::Saturated)),
            (503, "", unhealthy(Reason::Failed)),
            (503, r#"{"error":{"type":"master_not_discovered_exception"}}"#, unhealthy(Reason::Unreachable)),
            (503, r#"{"error":{"type":"cluster_manager_not_discovered_exception"}}"#, unhealthy(Reason::Unreachable)),
        ] {
            assert_eq!(judged(code, body), expected, "{code} {body}");
        }
    }

    #[test]
    fn accept_yellow_makes_yellow_healthy_and_an_answer_that_was_cut_is_unhealthy() {
        let body = br#"{"status":"yellow","unassigned_shards":3}"#.to_vec();
        let mut answer = Answer { code: 200, headers: HeaderMap::new(), body, is_cut: false };
        let outcome = judge(&answer, true);
        assert_eq!(outcome.get_status(), Status::Healthy);
        assert_eq!(outcome.get_observed().len(), 1);
        answer.is_cut = true;
        assert_eq!(judge(&answer, true).get_status(), Status::Unhealthy);
    }
}
