//! The services of `grpc.health.v1` by name, each serving or not:
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::sync::Arc;

use crate::{
    engine::snapshot::{Snapshot, page::Page},
    health::Health,
    model::status::{Probe, Status},
};

/// The name of the server itself: whether to send it traffic.
const SERVER: &str = "";

/// Returns the probe whose status a service has; `None` if the service is a check or does not exist.
fn probe(snapshot: &Snapshot, service: &str) -> Option<Probe> {
    if service == SERVER {
        return Some(Probe::Readiness);
    }
    let of_its_own = snapshot.grpc_services().iter().find(|(name, _)| **name == *service).map(|(_, probe)| *probe);
    of_its_own.or_else(|| Probe::ALL.iter().copied().find(|probe| probe.as_str() == service))
}

/// Returns the page of a service. The name of a probe hides a check of the same name, whose status HTTP has.
fn find<'s>(snapshot: &'s Snapshot, service: &str) -> Option<Page<'s>> {
    match probe(snapshot, service) {
        Some(probe) => Some(snapshot.probe(probe, false)),
        None => snapshot.check(service),
    }
}

/// # For adapters of `grpc.health.v1`
impl Health {
    /// Whether a service serves as of now; `None` if there is none of that name. The services are `readiness`, which is
    /// also the empty name, `liveness`, `startup`, those of [`Builder::grpc_service`](crate::Builder::grpc_service), and every
    /// check. Degraded serves, Unhealthy does not. Like a request
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

    /// The probe whose status a service has; `None` if the service is a check or does not exist.
    #[must_use]
    pub fn service_probe(&self, service: &str) -> Option<Probe> {
        probe(&self.store().published(), service)
    }

    /// The names of all services: the probes, the services with names of their own
    /// ([`Builder::grpc_service`](crate::Builder::grpc_service)), and every check.
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
