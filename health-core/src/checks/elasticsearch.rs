//! Elasticsearch or OpenSearch, by the cluster's own word. Green proves that the cluster calls itself green, or yellow
//! where that is accepted; it does not prove that the user may search or write, nor that the disks have room.

use std::fmt;

use async_trait::async_trait;
use reqwest::{Client, Method};
use serde_json::Value;

use super::http::{Answer, Target, refused};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::status::Reason,
};

/// A cluster's health is read so far; it has less than 1 KiB.
const LONGEST: usize = 64 << 10;

/// How long the node that is asked may wait for a master. It waits for nothing else.
const PATIENCE: &str = "timeout=1s";

/// What is counted: the name here, that in the answer, and the unit.
const COUNTED: [(&str, &str, &str); 7] = [
    ("nodes", "number_of_nodes", ""),
    ("data_nodes", "number_of_data_nodes", ""),
    ("active_shards", "active_shards", ""),
    ("initializing_shards", "initializing_shards", ""),
    ("relocating_shards", "relocating_shards", ""),
    ("unassigned_shards", "unassigned_shards", ""),
    ("pending_tasks", "number_of_pending_tasks", ""),
];

/// Asks Elasticsearch or OpenSearch for the cluster's health, over the application's own [`reqwest::Client`]: TLS,
/// proxies, pools and name resolution are that client's. Needs the feature `elasticsearch`.
///
/// - Green is Healthy. Yellow, some replica of a shard has no node, is Degraded unless
///   [`accept_yellow`](Self::accept_yellow) is said. Red, some shard has no node at all, is Unhealthy.
/// - Least privilege: the cluster privilege `monitor`, of OpenSearch `cluster:monitor/health`. Nothing is changed.
/// - 401, 403 and 407 are `rejected`. A cluster without a master is `unreachable`. One whose health is not known within
///   a second is `timeout`. A node that has no room for one more request (429) is `saturated`. Any other code, and an
///   answer that is no cluster's health, are `failed`.
/// - A kept connection that ends under the request is no outage, nor is one that is silent: the request is sent again,
///   as that of `Http` is. Redirects are not accepted.
/// - Observed: `nodes`, `data_nodes`, `active_shards`, `initializing_shards`, `relocating_shards`, `unassigned_shards`,
///   `pending_tasks`.
/// - Tested against a server that was written from the documents of the interface, as no package has Elasticsearch
///   itself.
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
    /// What is wrong with the address.
    error: Option<&'static str>,
}

impl Elasticsearch {
    /// Asks the cluster whose interface begins at this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let base = url.into();
        let error = base.contains(['?', '#']).then_some("the URL has more than an address: use https://host:9200");
        let url = format!("{}/_cluster/health?{PATIENCE}", base.trim_end_matches('/'));
        Self { target: Target::new(client, Method::GET, &url), accepts_yellow: false, error }
    }

    /// A header to send, such as a key of the interface. Its value appears in no output.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send(name.as_ref(), value.as_ref());
        self
    }

    /// Takes yellow for healthy: a cluster of one node has no place for a replica, and is never better.
    pub fn accept_yellow(mut self) -> Self {
        self.accepts_yellow = true;
        self
    }
}

fn judge(answer: &Answer, accepts_yellow: bool) -> Outcome {
    if answer.is_cut {
        return Outcome::unhealthy("the answer is longer than 64 KiB, which no cluster's health is");
    }
    // 408 is how some versions tell that the health is not known in time, with the health that is known.
    if !matches!(answer.code, 200 | 408) {
        return of_code(answer.code, &answer.body);
    }
    let Ok(health) = serde_json::from_slice::<Value>(&answer.body) else {
        return Outcome::unhealthy("the answer is no cluster's health");
    };
    let outcome = match health["status"].as_str() {
        _ if health["timed_out"] == true => {
            Outcome::unhealthy("the cluster's health was not known in time").reason(Reason::Timeout)
        }
        Some("green") => Outcome::healthy(),
        Some("yellow") if accepts_yellow => Outcome::healthy().message("the cluster is yellow: a replica has no node"),
        Some("yellow") => Outcome::degraded("the cluster is yellow: a replica has no node"),
        Some("red") => Outcome::unhealthy("the cluster is red: a shard has no node"),
        _ => return Outcome::unhealthy("the answer is no cluster's health"),
    };
    COUNTED.into_iter().fold(outcome, |outcome, (name, key, unit)| match health[key].as_u64() {
        Some(count) => outcome.observe(name, count, unit),
        None => outcome,
    })
}

/// What a code means with which no health comes.
fn of_code(code: u16, body: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(body);
    // Of Elasticsearch and of OpenSearch.
    let has_no_master = ["master_not_discovered", "cluster_manager_not_discovered"].iter().any(|it| text.contains(it));
    match code {
        503 if has_no_master => Outcome::unhealthy("the cluster has no master").reason(Reason::Unreachable),
        429 => Outcome::unhealthy("the node has no room for a request").reason(Reason::Saturated),
        _ => refused(code),
    }
}

#[async_trait]
impl Check for Elasticsearch {
    async fn check(&self) -> CheckResult {
        Ok(judge(&self.target.ask(LONGEST).await?, self.accepts_yellow))
    }

    fn proves(&self) -> &'static str {
        "The cluster calls itself green, or yellow where that is accepted. It does not prove that the user may search \
         or write, nor that the disks have room."
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
    fn the_colour_decides_on_an_answer_and_the_code_on_none() {
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
    fn yellow_is_healthy_where_that_is_said_and_a_long_answer_is_none() {
        let body = br#"{"status":"yellow","unassigned_shards":3}"#.to_vec();
        let mut answer = Answer { code: 200, headers: HeaderMap::new(), body, is_cut: false };
        let outcome = judge(&answer, true);
        assert_eq!(outcome.get_status(), Status::Healthy);
        assert_eq!(outcome.get_observed().len(), 1);
        answer.is_cut = true;
        assert_eq!(judge(&answer, true).get_status(), Status::Unhealthy);
    }
}
