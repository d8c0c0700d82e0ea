//! The `OpenTelemetry` publisher, which exports the numbers of the metrics page over the metrics API of OpenTelemetry,
//! <https://opentelemetry.io/docs/specs/otel/metrics/api/>. A status is exported as one series per possible value, as
//! the semantic conventions of OpenTelemetry require:
//! <https://opentelemetry.io/docs/specs/semconv/how-to-write-conventions/status-metrics/>.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use ::opentelemetry::{
    InstrumentationScope, KeyValue, Value, global,
    metrics::{AsyncInstrument, Counter, Histogram, Meter, MeterProvider},
};
use async_trait::async_trait;

use crate::{
    health::publisher::{Publisher, Source, WeakSource},
    model::{
        history::Seen,
        report::{MetricsReport, Report},
        status::{Lifecycle, Status, Visibility},
        totals::Durations,
    },
    publish::polling::poll,
    render::{metric_families, prometheus::seconds_since_1970},
};

/// Exports the numbers of the metrics page to the application's own meter provider. The application provides the
/// OpenTelemetry SDK and its exporters.
///
/// | instrument | kind and value | attributes |
/// |---|---|---|
/// | `health.status` | up-down counter, 1 for the current state | `health.state` |
/// | `health.probe.status` | the same for each probe | `health.probe.name`, `health.probe.state` |
/// | `health.lifecycle.status` | the same for the lifecycle | `health.lifecycle.state` |
/// | `health.severity` | gauge: 0 healthy, 1 degraded, 2 unhealthy, 3 unknown | |
/// | `health.check.status` | up-down counter, 1 for the current state | `health.check.name`, `health.check.state` |
/// | `health.check.duration` | histogram, s | `health.check.name` |
/// | `health.check.last_success` | gauge, s since 1970, 0 before the first success | `health.check.name` |
/// | `health.check.runs` | counter of runs by outcome, before thresholds | `health.check.name`, `health.check.state` |
/// | `health.check.transitions` | counter of status changes | `health.check.name` |
/// | `health.group.status` | up-down counter, 1 for the current state | `health.group.name`, `health.group.state` |
/// | `health.group.checks` | up-down counter of members | `health.group.name`, `health.check.state` |
/// | `health.check.observed` | gauge, at [`Visibility::Full`] | see below |
///
/// The attributes of `health.check.observed` are `health.check.name`, `health.observed.name` and
/// `health.observed.unit`. The members of a group have no series of their own.
///
/// Statuses and gauges have the values at the time of the SDK's collection. Removed checks have no series. Runs,
/// transitions and durations are recorded every second and at every change, with at most 60 durations of one check at a
/// time. The lifecycle changes neither status nor severity. The name and the version of the service belong to the
/// resource of the SDK and are not exported.
///
/// ```
/// use health_core::{Health, OpenTelemetry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().start()?;
/// health.publish(OpenTelemetry::global()); // or OpenTelemetry::new(&provider)
/// # health.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct OpenTelemetry {
    meter: Meter,
    attributes: Vec<KeyValue>,
    visibility: Visibility,
}

/// The time between two recordings of the counts. Each change is also recorded at once. The time is short, because only
/// the last 60 results of a check are kept.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl OpenTelemetry {
    /// Creates a publisher for this meter provider.
    pub fn new(provider: &(impl MeterProvider + ?Sized)) -> Self {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION"));
        let meter = provider.meter_with_scope(scope.build());
        Self { meter, attributes: Vec::new(), visibility: Visibility::Checks }
    }

    /// Creates a publisher for the global meter provider. The provider must be set before this call.
    pub fn global() -> Self {
        Self::new(&*global::meter_provider())
    }

    /// Adds an attribute to every series, for a process with more than one [`Health`](crate::Health).
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push(KeyValue::new(name.into(), value.into()));
        self
    }

    /// Sets which instruments are exported. Default [`Visibility::Checks`].
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }
}

impl fmt::Debug for OpenTelemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTelemetry").field("visibility", &self.visibility).finish_non_exhaustive()
    }
}

#[async_trait]
impl Publisher for OpenTelemetry {
    async fn publish(self: Box<Self>, source: Source) {
        // The SDK never removes callbacks, so they must not keep the source alive.
        let observed = Observed { source: source.weak(), attributes: self.attributes.into() };
        observed.totals(&self.meter);
        if self.visibility < Visibility::Checks {
            return;
        }
        observed.checks(&self.meter);
        observed.groups(&self.meter);
        if self.visibility >= Visibility::Full {
            observed.observed(&self.meter);
        }
        let counted = Counted::new(&self.meter);
        let mut seen = HashMap::new();
        poll(source, POLL_INTERVAL, |source| observed.pass_on(&source.report(), &counted, &mut seen)).await;
    }
}

/// The source and the attributes that the SDK's callbacks read.
#[derive(Clone)]
struct Observed {
    source: WeakSource,
    attributes: Arc<[KeyValue]>,
}

/// Writes one series: its value and its own attributes.
type Write<'w, T> = dyn FnMut(T, &[(&'static str, Value)]) + 'w;

impl Observed {
    /// Returns a callback that writes the series with the values at the time of its call.
    fn callback<T: 'static>(
        &self,
        series: impl Fn(&MetricsReport, &mut Write<'_, T>) + Send + Sync + 'static,
    ) -> impl Fn(&dyn AsyncInstrument<T>) + Send + Sync + 'static {
        let this = self.clone();
        move |instrument| {
            this.source.metrics(|metrics| {
                series(metrics, &mut |value, own| instrument.observe(value, &this.with(own)));
            });
        }
    }

    fn with(&self, own: &[(&'static str, Value)]) -> Vec<KeyValue> {
        let own = own.iter().map(|(name, value)| KeyValue::new(*name, value.clone()));
        own.chain(self.attributes.iter().cloned()).collect()
    }

    fn totals(&self, meter: &Meter) {
        let status =
            |name, description| meter.i64_observable_up_down_counter(name).with_unit("1").with_description(description);
        status("health.status", metric_families::STATUS.help)
            .with_callback(self.callback(|metrics, write| states(write, &[], "health.state", metrics.status)))
            .build();
        status("health.probe.status", metric_families::PROBE_STATUS.help)
            .with_callback(self.callback(|metrics, write| {
                for (probe, status) in metrics.probes {
                    states(write, &[("health.probe.name", probe.as_str().into())], "health.probe.state", status);
                }
            }))
            .build();
        status("health.lifecycle.status", metric_families::LIFECYCLE.help)
            .with_callback(self.callback(|metrics, write| {
                for state in Lifecycle::ALL {
                    let is_it = i64::from(*state == metrics.report.lifecycle);
                    write(is_it, &[("health.lifecycle.state", state.as_str().into())]);
                }
            }))
            .build();
        meter
            .u64_observable_gauge("health.severity")
            .with_unit("1")
            .with_description(metric_families::SEVERITY.help)
            .with_callback(self.callback(|metrics, write| write(metrics.severity.into(), &[])))
            .build();
    }

    fn checks(&self, meter: &Meter) {
        meter
            .i64_observable_up_down_counter("health.check.status")
            .with_unit("1")
            .with_description(metric_families::CHECK_STATUS.help)
            .with_callback(self.callback(|metrics, write| {
                for check in metrics.report.checks_with_metrics() {
                    states(write, &[name(&check.name)], "health.check.state", check.status);
                }
            }))
            .build();
        meter
            .f64_observable_gauge("health.check.last_success")
            .with_unit("s")
            .with_description(metric_families::CHECK_LAST_SUCCESS.help)
            .with_callback(self.callback(|metrics, write| {
                for check in metrics.report.checks_with_metrics() {
                    write(seconds_since_1970(check.history.totals.last_success), &[name(&check.name)]);
                }
            }))
            .build();
    }

    /// Registers the instruments of groups, if the service has groups.
    fn groups(&self, meter: &Meter) {
        let mut has_groups = false;
        self.source.metrics(|metrics| has_groups = !metrics.groups.is_empty());
        if !has_groups {
            return;
        }
        meter
            .i64_observable_up_down_counter("health.group.status")
            .with_unit("1")
            .with_description(metric_families::GROUP_STATUS.help)
            .with_callback(self.callback(|metrics, write| {
                for group in &metrics.groups {
                    states(write, &[group_name(&group.name)], "health.group.state", group.status);
                }
            }))
            .build();
        meter
            .i64_observable_up_down_counter("health.group.checks")
            .with_unit("{check}")
            .with_description(metric_families::GROUP_CHECKS.help)
            .with_callback(self.callback(|metrics, write| {
                for group in &metrics.groups {
                    for status in Status::ALL {
                        let count = i64::try_from(group.count(*status)).unwrap_or(i64::MAX);
                        write(count, &[group_name(&group.name), ("health.check.state", status.as_str().into())]);
                    }
                }
            }))
            .build();
    }

    fn observed(&self, meter: &Meter) {
        meter
            .f64_observable_gauge("health.check.observed")
            .with_description(metric_families::CHECK_OBSERVED.help)
            .with_callback(self.callback(|metrics, write| {
                for check in metrics.report.checks_with_metrics() {
                    for observed in check.distinct_observed() {
                        let of = ("health.observed.name", observed.name.to_string().into());
                        let unit = ("health.observed.unit", observed.unit.to_string().into());
                        write(observed.value.as_f64(), &[name(&check.name), of, unit]);
                    }
                }
            }))
            .build();
    }

    /// Records the runs, transitions and durations since the last call. Zeros are recorded, too, so that the series
    /// exist from the beginning.
    fn pass_on(&self, report: &Report, counted: &Counted, seen: &mut HashMap<Arc<str>, Seen>) {
        seen.retain(|name, _| report.check(name).is_some());
        for check in report.checks_with_metrics() {
            let seen = seen.entry(Arc::clone(&check.name)).or_default();
            let attributes = self.with(&[name(&check.name)]);
            let since = check.history.since(seen);
            for status in Status::ALL {
                let state = ("health.check.state", status.as_str().into());
                counted.runs.add(since.runs[*status as usize], &self.with(&[name(&check.name), state]));
            }
            counted.transitions.add(since.transitions, &attributes);
            since.durations.for_each(|duration| counted.durations.record(duration.as_secs_f64(), &attributes));
        }
    }
}

/// The instruments that the publisher adds to. If the SDK read these counters by callback, they would decrease when a
/// check is removed and another check is inserted under its name.
struct Counted {
    runs: Counter<u64>,
    transitions: Counter<u64>,
    durations: Histogram<f64>,
}

impl Counted {
    fn new(meter: &Meter) -> Self {
        let counter =
            |name, unit, description| meter.u64_counter(name).with_unit(unit).with_description(description).build();
        Self {
            // Names of counters of discrete items are plural:
            // https://opentelemetry.io/docs/specs/semconv/general/naming/#pluralization
            runs: counter("health.check.runs", "{run}", metric_families::CHECK_RUNS.help),
            transitions: counter("health.check.transitions", "{transition}", metric_families::CHECK_TRANSITIONS.help),
            durations: meter
                .f64_histogram("health.check.duration")
                .with_unit("s")
                .with_description(metric_families::CHECK_DURATION.help)
                .with_boundaries(Durations::BOUNDS.iter().map(Duration::as_secs_f64).collect())
                .build(),
        }
    }
}

fn name(check: &Arc<str>) -> (&'static str, Value) {
    ("health.check.name", Arc::clone(check).into())
}

fn group_name(group: &Arc<str>) -> (&'static str, Value) {
    ("health.group.name", Arc::clone(group).into())
}

/// Writes one series per status: 1 for the current status, 0 for the others.
fn states(write: &mut Write<'_, i64>, of: &[(&'static str, Value)], attribute: &'static str, current: Status) {
    for status in Status::ALL {
        let own: Vec<_> = of.iter().cloned().chain([(attribute, status.as_str().into())]).collect();
        write(i64::from(current == *status), &own);
    }
}
