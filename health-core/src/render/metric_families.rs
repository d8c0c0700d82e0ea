//! The names and help texts of the metrics, which all outputs with metrics share.

/// The name and the help text of a metric family. The OpenTelemetry publisher uses other names with the same help
/// texts.
#[derive(Debug)]
pub(crate) struct MetricFamily {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

pub(crate) const STATUS: MetricFamily = MetricFamily {
    name: "health_status",
    help: "Whether the service has this status (1 or 0), without regard to its lifecycle.",
};
pub(crate) const PROBE_STATUS: MetricFamily = MetricFamily {
    name: "health_probe_status",
    help: "Whether the checks of this probe have this status (1 or 0), without regard to the lifecycle.",
};
pub(crate) const LIFECYCLE: MetricFamily =
    MetricFamily { name: "health_lifecycle", help: "Whether the service is in this state of its lifecycle (1 or 0)." };
pub(crate) const SEVERITY: MetricFamily = MetricFamily {
    name: "health_severity",
    help: "0 healthy, 1 degraded, 2 unhealthy, 3 unknown: all of the worst checks are pending or stale.",
};
pub(crate) const CHECK_STATUS: MetricFamily =
    MetricFamily { name: "health_check_status", help: "Whether the check has this status (1 or 0)." };
pub(crate) const CHECK_DURATION: MetricFamily =
    MetricFamily { name: "health_check_duration_seconds", help: "Duration of the runs of the check, in seconds." };
pub(crate) const CHECK_LAST_SUCCESS: MetricFamily = MetricFamily {
    name: "health_check_last_success_timestamp_seconds",
    help: "Time of the last successful run of the check, in seconds since 1970; 0 if there is none.",
};
pub(crate) const CHECK_RUNS: MetricFamily = MetricFamily {
    name: "health_check_runs_total",
    help: "Number of runs of the check by outcome, before thresholds.",
};
pub(crate) const CHECK_TRANSITIONS: MetricFamily =
    MetricFamily { name: "health_check_transitions_total", help: "Number of changes of the check's status." };
pub(crate) const CHECK_OBSERVED: MetricFamily =
    MetricFamily { name: "health_check_observed", help: "Numbers that the last run of the check observed." };
pub(crate) const GROUP_STATUS: MetricFamily = MetricFamily {
    name: "health_group_status",
    help: "Whether the worst member of the group has this status (1 or 0).",
};
pub(crate) const GROUP_CHECKS: MetricFamily =
    MetricFamily { name: "health_group_checks", help: "Number of members of the group with this status." };
pub(crate) const BUILD_INFO: MetricFamily =
    MetricFamily { name: "health_build_info", help: "Name and version of the service as labels; always 1." };
