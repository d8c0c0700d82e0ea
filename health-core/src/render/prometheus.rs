//! The metrics page, in the text format 0.0.4 of Prometheus or in OpenMetrics 1.0. Both formats have the same families:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
//!
//! A status is exported as one series per possible value, 1 for the current value and 0 for the others, because only
//! such series can be summed. The series are gauges, because the text format has no state sets.

use std::{
    fmt::{self, Display, Write as _},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use crate::{
    model::{
        group::GroupReport,
        observed::Number,
        report::{CheckReport, MetricsReport, Report},
        status::{Lifecycle, Status, Visibility},
        totals::Durations,
    },
    render::metric_families::{self, MetricFamily},
};

/// A format of the metrics page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposition {
    Text,
    OpenMetrics,
}

impl Exposition {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes the metrics page.
pub(crate) fn page(metrics: &MetricsReport, visibility: Visibility, exposition: Exposition) -> Bytes {
    let mut page = Page { text: String::new(), exposition };
    page.totals(metrics);
    if visibility >= Visibility::Checks {
        page.checks(&metrics.report.checks_with_metrics().collect::<Vec<_>>());
        page.groups(&metrics.groups);
    }
    if visibility >= Visibility::Full {
        page.observed(&metrics.report);
        page.build(&metrics.report);
    }
    if exposition == Exposition::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    let bytes = Bytes::from(page.text);
    // The first clone of an owned buffer allocates. Later clones, made for requests, do not.
    let _ = bytes.clone();
    bytes
}

struct Page {
    text: String,
    exposition: Exposition,
}

/// The value of a label. Its `Display` output is escaped.
struct Escaped<'t>(&'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

impl Page {
    /// Writes the `HELP` and `TYPE` lines of a family, and returns the name of its samples, which the caller must write
    /// next.
    fn family(&mut self, MetricFamily { name, help }: &MetricFamily, kind: &str) -> &'static str {
        // OpenMetrics names the family of a counter without the suffix `_total`.
        let shown = match self.exposition {
            Exposition::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
            Exposition::Text => *name,
        };
        // Writing to memory cannot fail.
        let _ = write!(self.text, "# HELP {shown} {help}\n# TYPE {shown} {kind}\n");
        name
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            let before = if position == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", Escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// Writes one sample per status: 1 for the current status, 0 for the others.
    fn states(&mut self, name: &str, first: Option<(&str, &str)>, current: Status) {
        for status in Status::ALL {
            let own = ("status", status.as_str());
            let value = u8::from(*status == current);
            match first {
                Some(first) => self.sample(name, &[first, own], value),
                None => self.sample(name, &[own], value),
            }
        }
    }

    fn totals(&mut self, metrics: &MetricsReport) {
        let name = self.family(&metric_families::STATUS, "gauge");
        self.states(name, None, metrics.status);
        let name = self.family(&metric_families::PROBE_STATUS, "gauge");
        for (probe, status) in metrics.probes {
            self.states(name, Some(("probe", probe.as_str())), status);
        }
        let name = self.family(&metric_families::LIFECYCLE, "gauge");
        for state in Lifecycle::ALL {
            self.sample(name, &[("state", state.as_str())], u8::from(*state == metrics.report.lifecycle));
        }
        let name = self.family(&metric_families::SEVERITY, "gauge");
        self.sample(name, &[], metrics.severity);
    }

    fn checks(&mut self, checks: &[&CheckReport]) {
        if checks.is_empty() {
            return;
        }
        let name = self.family(&metric_families::CHECK_STATUS, "gauge");
        for check in checks {
            self.states(name, Some(("check", &check.name)), check.status);
        }
        let name = self.family(&metric_families::CHECK_DURATION, "histogram");
        for check in checks {
            self.durations(name, &check.name, &check.history.totals.durations);
        }
        let name = self.family(&metric_families::CHECK_LAST_SUCCESS, "gauge");
        for check in checks {
            self.sample(name, &[("check", &check.name)], seconds_since_1970(check.history.totals.last_success));
        }
        let name = self.family(&metric_families::CHECK_RUNS, "counter");
        for check in checks {
            for status in Status::ALL {
                let runs = check.history.totals.runs[*status as usize];
                self.sample(name, &[("check", &check.name), ("status", status.as_str())], runs);
            }
        }
        let name = self.family(&metric_families::CHECK_TRANSITIONS, "counter");
        for check in checks {
            self.sample(name, &[("check", &check.name)], check.history.totals.transitions);
        }
    }

    fn groups(&mut self, groups: &[Arc<GroupReport>]) {
        if groups.is_empty() {
            return;
        }
        let name = self.family(&metric_families::GROUP_STATUS, "gauge");
        for group in groups {
            self.states(name, Some(("group", &group.name)), group.status);
        }
        let name = self.family(&metric_families::GROUP_CHECKS, "gauge");
        for group in groups {
            for status in Status::ALL {
                self.sample(name, &[("group", &group.name), ("status", status.as_str())], group.count(*status));
            }
        }
    }

    fn durations(&mut self, name: &str, check: &str, durations: &Durations) {
        let bucket = format!("{name}_bucket");
        let mut so_far = 0;
        for (bound, count) in Durations::BOUNDS.iter().zip(durations.counts) {
            so_far += count;
            // Debug formatting keeps the decimal point, which OpenMetrics requires.
            self.sample(&bucket, &[("check", check), ("le", &format!("{:?}", bound.as_secs_f64()))], so_far);
        }
        let all: u64 = durations.counts.iter().sum();
        self.sample(&bucket, &[("check", check), ("le", "+Inf")], all);
        self.sample(&format!("{name}_sum"), &[("check", check)], durations.sum.as_secs_f64());
        self.sample(&format!("{name}_count"), &[("check", check)], all);
    }

    fn observed(&mut self, report: &Report) {
        let name = metric_families::CHECK_OBSERVED.name;
        let mut opened = false;
        for check in report.checks_with_metrics() {
            // A duplicate series would make the page invalid.
            for observed in check.distinct_observed() {
                if !std::mem::replace(&mut opened, true) {
                    self.family(&metric_families::CHECK_OBSERVED, "gauge");
                }
                let labels = [("check", &*check.name), ("name", &observed.name), ("unit", &observed.unit)];
                match observed.value {
                    Number::Integer(integer) => self.sample(name, &labels, integer),
                    Number::Float(float) => self.sample(name, &labels, float),
                }
            }
        }
    }

    fn build(&mut self, report: &Report) {
        let name = metric_families::BUILD_INFO.name;
        let (service, version) = (report.service.as_deref(), report.version.as_deref());
        if service.is_some() || version.is_some() {
            self.family(&metric_families::BUILD_INFO, "gauge");
            let labels = [("service", service.unwrap_or_default()), ("version", version.unwrap_or_default())];
            self.sample(name, &labels, 1);
        }
    }
}

/// Returns the seconds since 1970-01-01 00:00 UTC; 0 for `None` and for earlier times.
pub(crate) fn seconds_since_1970(at: Option<SystemTime>) -> f64 {
    let passed = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    passed.as_ref().map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::status::Probe, render::samples};

    fn text(visibility: Visibility, exposition: Exposition) -> String {
        let report = samples::report();
        let probes = [
            (Probe::Liveness, Status::Healthy),
            (Probe::Readiness, Status::Unhealthy),
            (Probe::Startup, Status::Healthy),
        ];
        let metrics = MetricsReport { report, status: Status::Unhealthy, severity: 2, probes, groups: Vec::new() };
        String::from_utf8(page(&metrics, visibility, exposition).to_vec()).unwrap()
    }

    #[test]
    fn the_lowest_visibility_shows_only_the_totals() {
        assert_eq!(
            text(Visibility::Status, Exposition::Text),
            "# HELP health_status Whether the service has this status (1 or 0), without regard to its lifecycle.\n\
             # TYPE health_status gauge\n\
             health_status{status=\"healthy\"} 0\n\
             health_status{status=\"degraded\"} 0\n\
             health_status{status=\"unhealthy\"} 1\n\
             # HELP health_probe_status \
             Whether the checks of this probe have this status (1 or 0), without regard to the lifecycle.\n\
             # TYPE health_probe_status gauge\n\
             health_probe_status{probe=\"liveness\",status=\"healthy\"} 1\n\
             health_probe_status{probe=\"liveness\",status=\"degraded\"} 0\n\
             health_probe_status{probe=\"liveness\",status=\"unhealthy\"} 0\n\
             health_probe_status{probe=\"readiness\",status=\"healthy\"} 0\n\
             health_probe_status{probe=\"readiness\",status=\"degraded\"} 0\n\
             health_probe_status{probe=\"readiness\",status=\"unhealthy\"} 1\n\
             health_probe_status{probe=\"startup\",status=\"healthy\"} 1\n\
             health_probe_status{probe=\"startup\",status=\"degraded\"} 0\n\
             health_probe_status{probe=\"startup\",status=\"unhealthy\"} 0\n\
             # HELP health_lifecycle Whether the service is in this state of its lifecycle (1 or 0).\n\
             # TYPE health_lifecycle gauge\n\
             health_lifecycle{state=\"starting\"} 0\n\
             health_lifecycle{state=\"ready\"} 1\n\
             health_lifecycle{state=\"draining\"} 0\n\
             health_lifecycle{state=\"stopped\"} 0\n\
             # HELP health_severity \
             0 healthy, 1 degraded, 2 unhealthy, 3 unknown: all of the worst checks are pending or stale.\n\
             # TYPE health_severity gauge\n\
             health_severity 2\n"
        );
    }

    #[test]
    fn each_higher_visibility_adds_families() {
        let families = |visibility| {
            let text = text(visibility, Exposition::Text);
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            families(Visibility::Checks)[4..],
            [
                "health_check_status gauge",
                "health_check_duration_seconds histogram",
                "health_check_last_success_timestamp_seconds gauge",
                "health_check_runs_total counter",
                "health_check_transitions_total counter",
            ]
        );
        assert_eq!(families(Visibility::Full)[9..], ["health_check_observed gauge", "health_build_info gauge"]);
    }

    #[test]
    fn open_metrics_has_the_same_samples_with_its_own_family_names() {
        let (plain, open) = (text(Visibility::Full, Exposition::Text), text(Visibility::Full, Exposition::OpenMetrics));
        let named_its_way = plain
            .replace("# HELP health_check_runs_total", "# HELP health_check_runs")
            .replace("# TYPE health_check_runs_total", "# TYPE health_check_runs")
            .replace("# HELP health_check_transitions_total", "# HELP health_check_transitions")
            .replace("# TYPE health_check_transitions_total", "# TYPE health_check_transitions");
        assert_eq!(open, named_its_way + "# EOF\n");
        assert!(open.contains("health_check_duration_seconds_bucket{check=\"database\",le=\"0.0025\"} 1\n"), "{open}");
        assert!(open.contains("health_check_duration_seconds_sum{check=\"database\"} 0.00142\n"), "{open}");
        assert!(open.contains("health_check_duration_seconds_bucket{check=\"database\",le=\"5.0\"} 1\n"), "{open}");
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(Escaped("a\\b\"c\nd").to_string(), "a\\\\b\\\"c\\nd");
    }
}
