//! The numbers of the metrics page through the metrics API of OpenTelemetry:
//! <https://opentelemetry.io/docs/specs/otel/metrics/api/>. A status is one series for each state, as its conventions want it:
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

/// Offers what the metrics page shows to the application's own provider of meters. Needs the feature `opentelemetry`; the
/// SDK and its exporters are the application's.
///
/// | instrument | what it is | attributes |
/// |---|---|---|
/// | `health.status` | up-down counter, 1 for the current state | `health.state` |
/// | `health.probe.status` | the same for each probe | `health.probe.name`, `health.probe.state` |
/// | `health.lifecycle.status` | the same for the phase of life | `health.lifecycle.state` |
/// | `health.severity` | gauge: 0 to 2 by status, 3 when not known | |
/// | `health.check.status` | up-down counter, 1 for the current state | `health.check.name`, `health.check.state` |
/// | `health.check.duration` | histogram, s | `health.check.name` |
/// | `health.check.last_success` | gauge, s since 1970, 0 before the first | `health.check.name` |
/// | `health.check.runs` | counter by the runs' own outcomes | `health.check.name`, `health.check.state` |
/// | `health.check.transitions` | counter | `health.check.name` |
/// | `health.check.observed` | gauge; at [`Visibility::Full`] only | `health.check.name`, `health.observed.name`, `health.observed.unit` |
///
/// States and gauges are read when the SDK collects, as of that moment; what has been removed is gone. Runs, transitions and
/// durations are passed on every second and at every change; of the durations of one check, 60 at once. The phase of life
/// changes no status and no severity. Name and version of the service are the resource's.
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

/// How often what was counted is passed on, besides at every change: well before the 60 results that are kept of a check
/// are over.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl OpenTelemetry {
    /// To this provider of meters.
    pub fn new(provider: &(impl MeterProvider + ?Sized)) -> Self {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION"));
        let meter = provider.meter_with_scope(scope.build());
        Self { meter, attributes: Vec::new(), visibility: Visibility::Checks }
    }

    /// To the provider that was made the global one before this call.
    pub fn global() -> Self {
        Self::new(&*global::meter_provider())
    }

    /// An attribute of every series, for a process with more than one [`Health`](crate::Health).
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push(KeyValue::new(name.into(), value.into()));
        self
    }

    /// How much is told. Default [`Visibility::Checks`].
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
        // Nothing can be taken out of the SDK again, so its callbacks keep nothing alive.
        let observed = Observed { source: source.weak(), attributes: self.attributes.into() };
        observed.totals(&self.meter);
        if self.visibility < Visibility::Checks {
            return;
        }
        observed.checks(&self.meter);
        if self.visibility >= Visibility::Full {
            observed.observed(&self.meter);
        }
        let counted = Counted::new(&self.meter);
        let mut seen = HashMap::new();
        poll(source, POLL_INTERVAL, |source| observed.pass_on(&source.report(), &counted, &mut seen)).await;
    }
}

/// What the SDK's callbacks read.
#[derive(Clone)]
struct Observed {
    source: WeakSource,
    attributes: Arc<[KeyValue]>,
}

/// Writes one series: its value and its own attributes.
type Write<'w, T> = dyn FnMut(T, &[(&'static str, Value)]) + 'w;

impl Observed {
    /// A callback that writes series of what is known at that moment.
    fn callback<T: 'static>(
        &self,
        series: impl Fn(&MetricsReport<'_>, &mut Write<'_, T>) + Send + Sync + 'static,
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
                for check in &metrics.report.checks {
                    states(write, &[name(&check.name)], "health.check.state", check.status);
                }
            }))
            .build();
        meter
            .f64_observable_gauge("health.check.last_success")
            .with_unit("s")
            .with_description(metric_families::CHECK_LAST_SUCCESS.help)
            .with_callback(self.callback(|metrics, write| {
                for check in &metrics.report.checks {
                    write(seconds_since_1970(check.history.totals.last_success), &[name(&check.name)]);
                }
            }))
            .build();
    }

    fn observed(&self, meter: &Meter) {
        meter
            .f64_observable_gauge("health.check.observed")
            .with_description(metric_families::CHECK_OBSERVED.help)
            .with_callback(self.callback(|metrics, write| {
                for check in &metrics.report.checks {
                    for observed in check.distinct_observed() {
                        let of = ("health.observed.name", observed.name.to_string().into());
                        let unit = ("health.observed.unit", observed.unit.to_string().into());
                        write(observed.value.as_f64(), &[name(&check.name), of, unit]);
                    }
                }
            }))
            .build();
    }

    /// Passes on what was counted since the last look, with nothing as well, so that the series are there from the beginning.
    fn pass_on(&self, report: &Report, counted: &Counted, seen: &mut HashMap<Arc<str>, Seen>) {
        seen.retain(|name, _| report.check(name).is_some());
        for check in &report.checks {
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

/// What is counted by the SDK: what it reads itself would run backwards when a check is removed and another inserted by its
/// name.
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
            // Of things that are counted one by one, the plural:
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

/// One series for each state, 1 for the current one.
fn states(write: &mut Write<'_, i64>, of: &[(&'static str, Value)], attribute: &'static str, current: Status) {
    for status in Status::ALL {
        let own: Vec<_> = of.iter().cloned().chain([(attribute, status.as_str().into())]).collect();
        write(i64::from(current == *status), &own);
    }
}
