//! The services of `grpc.health.v1` by name, and whether each is serving:
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::sync::Arc;

use crate::{
    engine::snapshot::{Snapshot, page::Page},
    health::Health,
    model::status::{Probe, Status},
};

/// The name of the server as a whole, which has the status of readiness.
const SERVER: &str = "";

/// Returns the probe whose status a service has; `None` if the service is a check or unknown.
fn probe(snapshot: &Snapshot, service: &str) -> Option<Probe> {
    if service == SERVER {
        return Some(Probe::Readiness);
    }
    let of_its_own = snapshot.grpc_services().iter().find(|(name, _)| **name == *service).map(|(_, probe)| *probe);
    of_its_own.or_else(|| Probe::ALL.iter().copied().find(|probe| probe.as_str() == service))
}

/// Returns the page of a service. The name of a probe hides a check of the same name, which remains available over
/// HTTP.
fn find<'s>(snapshot: &'s Snapshot, service: &str) -> Option<Page<'s>> {
    match probe(snapshot, service) {
        Some(probe) => Some(snapshot.probe(probe, false)),
        None => snapshot.check(service),
    }
}

/// # For adapters of `grpc.health.v1`
impl Health {
    /// Returns whether a service is serving now; `None` if no service has this name.
    ///
    /// The services are `readiness`, `liveness`, `startup`, the services of
    /// [`Builder::grpc_service`](crate::Builder::grpc_service), and every check. The empty name also stands for
    /// `readiness`. A Healthy or Degraded service is serving, and an Unhealthy service is not. Like a request over
    /// HTTP, the call wakes checks whose results are older than their `max_age`, and does not wait for them.
    #[must_use]
    pub fn serving(&self, service: &str) -> Option<bool> {
        let reading = self.store().read();
        if let Some(page) = find(&reading.published, service) {
            self.store().wake(page, reading.now);
        }
        find(reading.current(), service).map(|page| page.status() < Status::Unhealthy)
    }

    /// Returns whether a service is serving now, without waking a check; `None` if no service has this name. Intended
    /// for callers that watch for changes.
    #[must_use]
    pub fn known_serving(&self, service: &str) -> Option<bool> {
        find(self.store().read().current(), service).map(|page| page.status() < Status::Unhealthy)
    }

    /// Returns the probe whose status a service has; `None` if the service is a check or unknown.
    #[must_use]
    pub fn service_probe(&self, service: &str) -> Option<Probe> {
        probe(&self.store().published(), service)
    }

    /// Returns the names of all services: the empty name, the probes, the services of
    /// [`Builder::grpc_service`](crate::Builder::grpc_service), and the checks. A check is omitted if its name already
    /// stands for a probe.
    #[must_use]
    pub fn services(&self) -> Vec<Arc<str>> {
        let snapshot = self.store().published();
        let probes = [SERVER].into_iter().chain(Probe::ALL.iter().map(|probe| probe.as_str())).map(Arc::from);
        let own = snapshot.grpc_services().iter().map(|(name, _)| Arc::clone(name));
        let checks = snapshot.all(false).members().map(|entry| Arc::clone(&entry.report.name));
        let checks = checks.filter(|name| probe(&snapshot, name).is_none());
        probes.chain(own).chain(checks).collect()
    }
}
