//! The names and help texts of the metrics, shared by every output that exports them.

/// The name and the help text of a family of series. OpenTelemetry uses names of its own.
#[derive(Debug)]
pub(crate) struct MetricFamily {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

pub(crate) const STATUS: MetricFamily = MetricFamily {
    name: "health_status",
    help: "Whether the service is in this state, whatever the phase of its life.",
};
pub(crate) const PROBE_STATUS: MetricFamily =
    MetricFamily { name: "health_probe_status", help: "Whether what counts for this probe is in this state." };
pub(crate) const LIFECYCLE: MetricFamily =
    MetricFamily { name: "health_lifecycle", help: "Whether the service is in this phase of its life." };
pub(crate) const SEVERITY: MetricFamily = MetricFamily {
    name: "health_severity",
    help: "0 healthy, 1 degraded, 2 unhealthy, 3 not known: pending or stale.",
};
pub(crate) const CHECK_STATUS: MetricFamily =
    MetricFamily { name: "health_check_status", help: "Whether the check is in this state." };
pub(crate) const CHECK_DURATION: MetricFamily =
    MetricFamily { name: "health_check_duration_seconds", help: "How long runs of the check took." };
pub(crate) const CHECK_LAST_SUCCESS: MetricFamily = MetricFamily {
    name: "health_check_last_success_timestamp_seconds",
    help: "When a run of the check last succeeded, 0 if none has.",
};
pub(crate) const CHECK_RUNS: MetricFamily =
    MetricFamily { name: "health_check_runs_total", help: "Runs of the check by their own outcome." };
pub(crate) const CHECK_TRANSITIONS: MetricFamily =
    MetricFamily { name: "health_check_transitions_total", help: "Changes of the status of the check." };
pub(crate) const CHECK_OBSERVED: MetricFamily =
    MetricFamily { name: "health_check_observed", help: "Numbers that the last run of the check saw." };
pub(crate) const GROUP_STATUS: MetricFamily =
    MetricFamily { name: "health_group_status", help: "Whether the worst member of the group is in this state." };
pub(crate) const GROUP_CHECKS: MetricFamily =
    MetricFamily { name: "health_group_checks", help: "Members of the group in this state." };
pub(crate) const BUILD_INFO: MetricFamily = MetricFamily { name: "health_build_info", help: "What runs: always 1." };
