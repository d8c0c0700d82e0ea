//! The services of `grpc.health.v1` by name, each serving or not:
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::sync::Arc;

use crate::{
    engine::snapshot::{Page, Snapshot},
    health::Health,
    model::status::{Probe, Status},
};

/// The names of the services that are probes. The empty name is the server itself: whether to send it traffic.
const PROBES: [(&str, Probe); 4] = [
    ("", Probe::Readiness),
    ("liveness", Probe::Liveness),
    ("readiness", Probe::Readiness),
    ("startup", Probe::Startup),
];

/// Returns the page of a service. The name of a probe hides a check of the same name, whose status HTTP has.
fn find<'s>(snapshot: &'s Snapshot, service: &str) -> Option<Page<'s>> {
    match PROBES.iter().find(|(name, _)| *name == service) {
        Some((_, probe)) => Some(snapshot.probe(*probe, false)),
        None => snapshot.check(service),
    }
}

/// # For adapters of `grpc.health.v1`
impl Health {
    /// Whether a service serves as of now; `None` if there is none of that name. The services are `readiness`, which is
    /// also the empty name, `liveness`, `startup`, and every check. Degraded serves, Unhealthy does not. Like a request
    /// over HTTP it wakes checks whose results are too old, and waits for nothing.
    #[must_use]
    pub fn serving(&self, service: &str) -> Option<bool> {
        let reading = self.store().read();
        if let Some(page) = find(&reading.published, service) {
            self.store().wake(page, reading.now);
        }
        find(reading.current(), service).map(|page| page.status() < Status::Unhealthy)
    }

    /// Whether a service serves as of now, for watchers of changes: it wakes no check.
    #[must_use]
    pub fn known_serving(&self, service: &str) -> Option<bool> {
        find(self.store().read().current(), service).map(|page| page.status() < Status::Unhealthy)
    }

    /// The names of all services: the probes, and every check.
    #[must_use]
    pub fn services(&self) -> Vec<Arc<str>> {
        let is_probe = |name: &str| PROBES.iter().any(|(probe, _)| *probe == name);
        let probes = PROBES.iter().map(|(name, _)| Arc::from(*name));
        let snapshot = self.store().published();
        let checks = snapshot.all(false).members().iter().map(|entry| Arc::clone(&entry.report.name));
        probes.chain(checks.filter(|name| !is_probe(name))).collect()
    }
}
