//! The `Metrics` publisher, which exports the numbers of the metrics page to the facade `metrics`, for applications
//! that use one of its recorders: <https://docs.rs/metrics>.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use ::metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit, with_recorder};
use async_trait::async_trait;

use crate::{
    health::publisher::{Publisher, Source},
    model::{
        group::GroupReport,
        history::Seen,
        report::{CheckReport, MetricsReport, Report},
        status::{Lifecycle, Status, Visibility},
    },
    publish::polling::poll,
    render::{
        metric_families::{
            BUILD_INFO, CHECK_DURATION, CHECK_LAST_SUCCESS, CHECK_OBSERVED, CHECK_RUNS, CHECK_STATUS,
            CHECK_TRANSITIONS, GROUP_CHECKS, GROUP_STATUS, LIFECYCLE, MetricFamily, PROBE_STATUS, SEVERITY, STATUS,
        },
        prometheus::seconds_since_1970,
    },
};

/// Exports the numbers of the metrics page to the recorder of the [`metrics`](https://docs.rs/metrics) facade.
///
/// Names, labels and values equal those of the page, so that the same rules and dashboards work with both. The
/// publisher exports `health_status`, `health_probe_status`, `health_lifecycle` and `health_severity`.
/// [`Visibility::Checks`], the default, adds `health_check_status`, `health_check_duration_seconds`,
/// `health_check_last_success_timestamp_seconds`, `health_check_runs_total` and `health_check_transitions_total`. A
/// group has `health_group_status` and `health_group_checks`, and its members have no series. `Full` adds
/// `health_check_observed` and `health_build_info`. The lifecycle changes neither status nor severity.
///
/// - The recorder chooses the buckets. metrics-exporter-prometheus writes summaries unless buckets are set:
///   `set_buckets(&Durations::bounds().iter().map(Duration::as_secs_f64).collect::<Vec<_>>())`.
/// - Install the recorder before the checks start. Runs before that are counted, but their durations are not recorded.
/// - The publisher calls the recorder on a worker of the runtime. The recorder must not block.
/// - The facade never forgets a series. After a check is removed, all its status gauges are 0. The gauge of a number
///   that is no longer observed is NaN.
///
/// ```
/// use health_core::{Health, Metrics};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().start()?;
/// health.publish(Metrics::new());
/// # health.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Metrics {
    recorder: Option<Box<dyn Recorder + Send + Sync>>,
    labels: Vec<Label>,
    every: Duration,
    visibility: Visibility,
}

impl Metrics {
    /// Creates a publisher for the recorder that the application installs globally, before or after this call.
    pub fn new() -> Self {
        Self { recorder: None, labels: Vec::new(), every: Duration::from_secs(1), visibility: Visibility::Checks }
    }

    /// Creates a publisher for this recorder, which need not be installed.
    pub fn to(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self { recorder: Some(Box::new(recorder)), ..Self::new() }
    }

    /// Adds a label to every series, for a process with more than one [`Health`](crate::Health).
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push(Label::new(name.into(), value.into()));
        self
    }

    /// Sets the time between two exports: 100 ms to 10 s. A value outside this range is set to the nearest limit.
    /// Default 1 s. Each change is also exported at once. An export records the durations of a check's runs since the
    /// previous export, at most the last 60.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(Duration::from_millis(100), Duration::from_secs(10));
        self
    }

    /// Sets which series are exported. Default [`Visibility::Checks`].
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("every", &self.every)
            .field("visibility", &self.visibility)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Publisher for Metrics {
    async fn publish(self: Box<Self>, source: Source) {
        let mut exported = Exported::default();
        poll(source, self.every, |source| self.export(source, &mut exported)).await;
    }
}

/// The state of the exported series, which the recorder never removes.
#[derive(Default)]
struct Exported {
    checks: HashMap<Arc<str>, Counted>,
    observed: HashSet<[SharedString; 3]>,
}

/// The counts of a check, added to the counts of earlier checks of the same name.
#[derive(Default)]
struct Counted {
    seen: Seen,
    runs: [u64; 3],
    transitions: u64,
    is_gone: bool,
}

impl Metrics {
    fn export(&self, source: &Source, exported: &mut Exported) {
        let mut export = |recorder: &dyn Recorder| {
            let exporter = Exporter { recorder, labels: &self.labels };
            // Described at every export, because the recorder may have been installed since the last one.
            exporter.describe(self.visibility);
            source.metrics(|metrics| exporter.export(metrics, self.visibility, exported));
        };
        match &self.recorder {
            Some(recorder) => export(recorder),
            None => with_recorder(export),
        }
    }
}

struct Exporter<'m> {
    recorder: &'m dyn Recorder,
    labels: &'m [Label],
}

const METADATA: Metadata<'static> = Metadata::new("health", Level::INFO, Some(module_path!()));

impl Exporter<'_> {
    fn describe(&self, visibility: Visibility) {
        let of = |family: &MetricFamily| (KeyName::from_const_str(family.name), SharedString::const_str(family.help));
        let gauge = |family| {
            let (name, text) = of(family);
            self.recorder.describe_gauge(name, None, text);
        };
        [STATUS, PROBE_STATUS, LIFECYCLE, SEVERITY].iter().for_each(gauge);
        if visibility >= Visibility::Checks {
            [CHECK_STATUS, CHECK_LAST_SUCCESS].iter().for_each(gauge);
            for (name, text) in [CHECK_RUNS, CHECK_TRANSITIONS].iter().map(of) {
                self.recorder.describe_counter(name, None, text);
            }
            let (name, text) = of(&CHECK_DURATION);
            self.recorder.describe_histogram(name, Some(Unit::Seconds), text);
        }
        if visibility >= Visibility::Full {
            [CHECK_OBSERVED, BUILD_INFO].iter().for_each(gauge);
        }
    }

    fn export(&self, metrics: &MetricsReport, visibility: Visibility, exported: &mut Exported) {
        self.states(STATUS.name, None, Some(metrics.status));
        for (probe, status) in metrics.probes {
            self.states(PROBE_STATUS.name, Some(("probe", probe.as_str().into())), Some(status));
        }
        for state in Lifecycle::ALL {
            let is_it = u8::from(*state == metrics.report.lifecycle);
            self.gauge(LIFECYCLE.name, [("state", state.as_str().into())], is_it.into());
        }
        self.gauge(SEVERITY.name, [], metrics.severity.into());
        if visibility >= Visibility::Checks {
            self.checks(&metrics.report, &mut exported.checks);
            self.groups(&metrics.groups);
        }
        if visibility >= Visibility::Full {
            self.observed(&metrics.report, &mut exported.observed);
        }
    }

    fn checks(&self, report: &Report, exported: &mut HashMap<Arc<str>, Counted>) {
        for (name, counted) in
            exported.iter_mut().filter(|(name, counted)| !counted.is_gone && report.check(name).is_none())
        {
            self.states(CHECK_STATUS.name, Some(("check", shared(name))), None);
            counted.is_gone = true;
        }
        for check in report.checks_with_metrics() {
            self.check(check, exported.entry(Arc::clone(&check.name)).or_default());
        }
    }

    fn groups(&self, groups: &[Arc<GroupReport>]) {
        // Described only if there are groups.
        for family in [GROUP_STATUS, GROUP_CHECKS].iter().filter(|_| !groups.is_empty()) {
            let text = SharedString::const_str(family.help);
            self.recorder.describe_gauge(KeyName::from_const_str(family.name), None, text);
        }
        for group in groups {
            let named = || ("group", shared(&group.name));
            self.states(GROUP_STATUS.name, Some(named()), Some(group.status));
            for status in Status::ALL {
                let labels = [named(), ("status", status.as_str().into())];
                let count = u32::try_from(group.count(*status)).unwrap_or(u32::MAX);
                self.gauge(GROUP_CHECKS.name, labels, count.into());
            }
        }
    }

    fn check(&self, check: &CheckReport, counted: &mut Counted) {
        let named = || ("check", shared(&check.name));
        self.states(CHECK_STATUS.name, Some(named()), Some(check.status));
        let at = seconds_since_1970(check.history.totals.last_success);
        self.gauge(CHECK_LAST_SUCCESS.name, [named()], at);
        let since = check.history.since(&mut counted.seen);
        counted.transitions += since.transitions;
        for status in Status::ALL {
            let runs = &mut counted.runs[*status as usize];
            *runs += since.runs[*status as usize];
            self.count(CHECK_RUNS.name, [named(), ("status", status.as_str().into())], *runs);
        }
        self.count(CHECK_TRANSITIONS.name, [named()], counted.transitions);
        let key = self.key(CHECK_DURATION.name, [named()]);
        let histogram = self.recorder.register_histogram(&key, &METADATA);
        since.durations.for_each(|duration| histogram.record(duration.as_secs_f64()));
        counted.is_gone = false;
    }

    fn observed(&self, report: &Report, exported: &mut HashSet<[SharedString; 3]>) {
        let mut gone = std::mem::take(exported);
        let labels = |of: &[SharedString; 3]| ["check", "name", "unit"].into_iter().zip(of.clone());
        for check in report.checks_with_metrics() {
            for observed in check.distinct_observed() {
                let of = [shared(&check.name), observed.name.to_string().into(), observed.unit.to_string().into()];
                self.gauge(CHECK_OBSERVED.name, labels(&of), observed.value.as_f64());
                gone.remove(&of);
                exported.insert(of);
            }
        }
        gone.iter().for_each(|of| self.gauge(CHECK_OBSERVED.name, labels(of), f64::NAN));
        if report.service.is_some() || report.version.is_some() {
            let text = |text: &Option<Arc<str>>| text.as_ref().map_or(SharedString::const_str(""), shared);
            let labels = [("service", text(&report.service)), ("version", text(&report.version))];
            self.gauge(BUILD_INFO.name, labels, 1.0);
        }
    }

    /// Sets one gauge per status: 1 for the current status, 0 for the others. Without a current status all gauges are
    /// 0.
    fn states(&self, name: &'static str, first: Option<(&'static str, SharedString)>, current: Option<Status>) {
        for status in Status::ALL {
            let labels = first.iter().cloned().chain([("status", status.as_str().into())]);
            self.gauge(name, labels, u8::from(current == Some(*status)).into());
        }
    }

    fn gauge(&self, name: &'static str, labels: impl IntoIterator<Item = (&'static str, SharedString)>, value: f64) {
        self.recorder.register_gauge(&self.key(name, labels), &METADATA).set(value);
    }

    fn count(&self, name: &'static str, labels: impl IntoIterator<Item = (&'static str, SharedString)>, all: u64) {
        self.recorder.register_counter(&self.key(name, labels), &METADATA).absolute(all);
    }

    fn key(&self, name: &'static str, labels: impl IntoIterator<Item = (&'static str, SharedString)>) -> Key {
        let own = labels.into_iter().map(|(name, value)| Label::new(name, value));
        Key::from_parts(name, own.chain(self.labels.iter().cloned()).collect::<Vec<_>>())
    }
}

fn shared(text: &Arc<str>) -> SharedString {
    SharedString::from_shared(Arc::clone(text))
}
