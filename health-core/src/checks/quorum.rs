//! Combines several checks into one. Healthy proves that all of them are Healthy, and Degraded proves that the required
//! number of them succeeds. Neither proves more than these checks do.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{
    check::{
        Check, CheckResult,
        deadline::{Run, time_left},
        error::InvalidCheck,
        handle::CheckHandle,
        outcome::Outcome,
    },
    model::{
        observed::Limits,
        status::{Impact, Kind, Membership, Reason, Status},
    },
};

/// The time left, divided by this number, is reserved for the verdict after the last member.
const RESERVE: u32 = 20;
/// The time limit of the members outside a run of the scheduler.
const UNBOUNDED: Duration = Duration::from_secs(60);

/// Combines several checks, the members, into one check. Created by [`all_of`], [`any_of`] and [`at_least`].
///
/// Healthy proves that every member is Healthy, and Degraded proves that the required number of members succeeds.
/// Neither proves more than the members do.
///
/// - The members run concurrently, each on a task of its own. A member that panics or gives no answer in time fails.
/// - The group is Healthy if every member is Healthy. It is Degraded if the required number of members is Healthy or
///   Degraded. Otherwise it is Unhealthy.
/// - The reason is the common reason of all members with the worst status, or `failed` if their reasons differ.
/// - The kind is [`Kind::Local`] if every member is local. The group is Critical if a member is Critical, and counts
///   for readiness if a member does.
/// - A member that knows when its outcome changes, such as a `Toggle`, starts a run of the whole group at once, on the
///   group's task. So the change is published shortly after the call returns, and not before it returns.
/// - Observed value: `succeeded`, the number of members that are Healthy or Degraded. The detail `members` has the
///   status, the reason and the message of each member.
/// - Least privilege: the privileges of the members.
///
/// ```
/// use health_core::{CheckExt, Health, at_least, check_fn};
///
/// # async fn ping(_: &str) -> Result<(), std::io::Error> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let replica = |host: &'static str| (host, check_fn(move || async move { ping(host).await?; Ok(()) }));
/// let replicas = at_least(2, [replica("db-1"), replica("db-2"), replica("db-3")]);
/// let health = Health::builder().check("replicas", replicas.failures(2)).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
pub struct Quorum {
    needed: usize,
    members: Vec<(Arc<str>, Arc<dyn Check>)>,
}

/// Combines named checks into one that requires all of them to succeed. Checks of different types are passed as
/// `Box<dyn Check>`.
///
/// ```
/// use health_core::{Check, Heartbeat, Toggle, all_of};
///
/// let (worker, maintenance) = (Heartbeat::new(), Toggle::new());
/// let both: [(&str, Box<dyn Check>); 2] =
///     [("worker", Box::new(worker.check())), ("maintenance", Box::new(maintenance.check()))];
/// let check = all_of(both);
/// # let _ = check;
/// ```
pub fn all_of<N: Into<String>, C: Check>(members: impl IntoIterator<Item = (N, C)>) -> Quorum {
    let group = at_least(0, members);
    Quorum { needed: group.members.len(), ..group }
}

/// Combines named checks into one that requires one of them to succeed.
pub fn any_of<N: Into<String>, C: Check>(members: impl IntoIterator<Item = (N, C)>) -> Quorum {
    at_least(1, members)
}

/// Combines named checks into one that requires this number of them to succeed. The number must be from 1 to the number
/// of checks.
pub fn at_least<N: Into<String>, C: Check>(needed: usize, members: impl IntoIterator<Item = (N, C)>) -> Quorum {
    let member = |(name, check): (N, C)| (Arc::from(name.into()), Arc::new(check) as Arc<dyn Check>);
    Quorum { needed, members: members.into_iter().map(member).collect() }
}

impl Quorum {
    /// Runs every member and returns the outcomes in the order of the members.
    async fn outcomes(&self) -> Vec<Outcome> {
        let left = time_left().unwrap_or(UNBOUNDED);
        let deadline = Instant::now() + (left - left / RESERVE);
        let mut runs = JoinSet::new();
        let mut positions = Vec::new();
        for (name, check) in &self.members {
            let (run, check) = (Run::of_member(name, deadline), Arc::clone(check));
            positions.push(runs.spawn(run.scope(async move { timeout_at(deadline, check.check()).await })).id());
        }
        let late = || Outcome::unhealthy("no answer in time").reason(Reason::Timeout);
        let mut outcomes: Vec<Outcome> = self.members.iter().map(|_| late()).collect();
        while let Some(joined) = runs.join_next_with_id().await {
            let (id, outcome) = match joined {
                Ok((id, Ok(result))) => (id, result.unwrap_or_else(Outcome::from)),
                Ok((id, Err(_))) => (id, late()),
                Err(error) => (error.id(), Outcome::unhealthy("the check panicked").reason(Reason::Panicked)),
            };
            if let Some(position) = positions.iter().position(|known| *known == id) {
                outcomes[position] = outcome;
            }
        }
        outcomes
    }

    fn verdict(&self, outcomes: &[Outcome]) -> Outcome {
        let succeeded = outcomes.iter().filter(|outcome| outcome.status < Status::Unhealthy).count();
        let worst = outcomes.iter().map(|outcome| outcome.status).max().unwrap_or(Status::Healthy);
        let names = self.members.iter().map(|(name, _)| name);
        let bad: Vec<_> = names.zip(outcomes).filter(|(_, outcome)| outcome.status > Status::Healthy).collect();
        let described: Vec<String> = bad.iter().map(|(name, outcome)| describe(name, outcome)).collect();
        let counted = format!("{succeeded} of {} succeed", outcomes.len());
        let outcome = match worst {
            Status::Healthy => return Outcome::healthy(),
            _ if succeeded >= self.needed => Outcome::degraded(format!("{counted}: {}", described.join(", "))),
            _ => Outcome::unhealthy(format!("{counted}, {} are needed: {}", self.needed, described.join(", "))),
        };
        let mut reasons = bad.iter().filter(|(_, outcome)| outcome.status == worst).map(|(_, outcome)| outcome.reason);
        let first = reasons.next().flatten().unwrap_or(Reason::Failed);
        outcome.reason(if reasons.all(|reason| reason == Some(first)) { first } else { Reason::Failed })
    }
}

fn describe(name: &str, outcome: &Outcome) -> String {
    format!("{name} {}", outcome.reason.map_or(outcome.status.as_str(), Reason::as_str))
}

fn detail(outcome: &Outcome) -> Value {
    let mut detail = Map::new();
    detail.insert("status".to_owned(), outcome.status.as_str().into());
    if let Some(reason) = outcome.reason {
        detail.insert("reason".to_owned(), reason.as_str().into());
    }
    if let Some(message) = &outcome.message {
        detail.insert("message".to_owned(), message.as_str().into());
    }
    Value::Object(detail)
}

#[async_trait]
impl Check for Quorum {
    async fn check(&self) -> CheckResult {
        let outcomes = self.outcomes().await;
        let succeeded = outcomes.iter().filter(|outcome| outcome.status < Status::Unhealthy).count();
        let names = self.members.iter().map(|(name, _)| name.to_string());
        let members: Map<String, Value> = names.zip(outcomes.iter().map(detail)).collect();
        let limits = Limits::new().fail_below(self.needed);
        let all = self.members.len();
        let limits = if self.needed < all { limits.warn_below(all) } else { limits };
        Ok(self.verdict(&outcomes).observe_within("succeeded", succeeded, "checks", limits).detail("members", members))
    }

    fn kind(&self) -> Kind {
        let is_local = self.members.iter().all(|(_, check)| check.kind() == Kind::Local);
        if is_local { Kind::Local } else { Kind::Dependency }
    }

    fn impact(&self) -> Impact {
        let is_critical = self.members.iter().any(|(_, check)| check.impact() == Impact::Critical);
        if is_critical { Impact::Critical } else { Impact::Optional }
    }

    fn membership(&self) -> Membership {
        let counts = self.members.iter().any(|(_, check)| check.membership() == Membership::Readiness);
        if counts { Membership::Readiness } else { Membership::ReportOnly }
    }

    /// Returns the shortest interval of the members, or `None` if a member has no interval of its own.
    fn interval(&self) -> Option<Duration> {
        let intervals: Option<Vec<Duration>> = self.members.iter().map(|(_, check)| check.interval()).collect();
        intervals?.into_iter().min()
    }

    fn proves(&self) -> &'static str {
        "All checks of the group are healthy. It does not prove more than these checks do."
    }

    /// Lets a member that knows when its outcome changes start a run of the whole group. The run takes place on the
    /// group's task: the members run in tasks of their own, so the group cannot run on the thread of a member.
    fn attach(&self, handle: CheckHandle) {
        self.members.iter().for_each(|(_, check)| check.attach(handle.on_its_task()));
    }

    fn asks_a_service(&self) -> bool {
        self.members.iter().any(|(_, check)| check.asks_a_service())
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.members.is_empty() {
            return Err(("the group has no checks: add at least one".to_owned()).into());
        }
        if !(1..=self.members.len()).contains(&self.needed) {
            return Err((format!(
                "{} of {} checks can never succeed: use a number from 1 to {}",
                self.needed,
                self.members.len(),
                self.members.len()
            ))
            .into());
        }
        let mut names = HashSet::new();
        for (name, check) in &self.members {
            if !names.insert(name) {
                return Err(
                    (format!("two checks of the group are called {name:?}: give each a name of its own")).into()
                );
            }
            check.validate().map_err(|error| format!("{name:?}: {error}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.members.iter().map(|(name, _)| name).collect();
        f.debug_struct("Quorum").field("needed", &self.needed).field("members", &names).finish_non_exhaustive()
    }
}
