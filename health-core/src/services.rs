//! What `grpc.health.v1` is told: services by name, each serving or not.
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::sync::Arc;

use crate::{
    health::Health,
    model::status::{Probe, Status},
    snapshot::{Entry, Snapshot, View},
};

/// The names of services that are no checks. The empty one is the server itself: whether it should be sent traffic.
const PROBES: [(&str, Probe); 4] = [
    ("", Probe::Readiness),
    ("liveness", Probe::Liveness),
    ("readiness", Probe::Readiness),
    ("startup", Probe::Startup),
];

/// What a name leads to in a snapshot.
enum Named<'s> {
    View(&'s View),
    Entry(&'s Arc<Entry>),
}

fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Option<Named<'s>> {
    // A check of such a name can be asked for over HTTP.
    match PROBES.iter().find(|(known, _)| *known == name) {
        Some((_, probe)) => Some(Named::View(snapshot.views.probe(*probe))),
        None => snapshot.entry(name).map(|(_, entry)| Named::Entry(entry)),
    }
}

/// Degraded serves; pending, starting, draining and stopped do not, as far as they are Unhealthy over HTTP.
fn serves(named: &Named<'_>) -> bool {
    let status = match named {
        Named::View(view) => view.report.status,
        Named::Entry(entry) => entry.report.status,
    };
    status < Status::Unhealthy
}

/// # For adapters of `grpc.health.v1`
impl Health {
    /// Whether a service serves, as of now: the empty name and `readiness`, `liveness`, `startup`, or a check. `None` if
    /// there is none of that name. Like a request over HTTP it wakes what is too old; it waits for nothing.
    #[must_use]
    pub fn serving(&self, service: &str) -> Option<bool> {
        let board = &self.inner().board;
        let snapshot = board.load();
        let now = board.clock().now();
        if let Some(named) = find(&snapshot, service) {
            match named {
                Named::View(view) => board.wake_members(&snapshot, view, now),
                Named::Entry(entry) => board.wake_entry(entry, now),
            }
        }
        self.known_serving(service)
    }

    /// The same without waking anything: for who watches for changes.
    #[must_use]
    pub fn known_serving(&self, service: &str) -> Option<bool> {
        let board = &self.inner().board;
        let snapshot = board.load();
        let now = board.clock().now();
        let scheduler_stale = board.scheduler_stale(&snapshot, now);
        let named = find(&snapshot, service)?;
        let stale_at = match &named {
            Named::View(view) => view.stale_at,
            Named::Entry(entry) => entry.stale_at,
        };
        if now < stale_at && !scheduler_stale {
            return Some(serves(&named));
        }
        find(&snapshot.aged(now, scheduler_stale), service).map(|named| serves(&named))
    }

    /// The names of all services: the probes, and every check.
    #[must_use]
    pub fn services(&self) -> Vec<Arc<str>> {
        let snapshot = self.inner().board.load();
        let probes = PROBES.iter().map(|(name, _)| Arc::from(*name));
        let is_probe = |name: &str| PROBES.iter().any(|(known, _)| *known == name);
        let checks = snapshot.entries.iter().map(|entry| Arc::clone(&entry.report.name)).filter(|name| !is_probe(name));
        probes.chain(checks).collect()
    }
}
