//! The metrics API of OpenTelemetry through its own SDK: the collected values are those of the report.

use std::{collections::BTreeMap, time::Duration};

use health_core::{CheckExt as _, Durations, Health, OpenTelemetry, Outcome, Status, Toggle, Visibility, check_fn};
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, InMemoryMetricExporterBuilder, PeriodicReader, SdkMeterProvider, Temporality,
    data::{AggregatedMetrics, HistogramDataPoint, MetricData},
};

use health_tests::support::{millis, secs, settle};

/// A provider that collects on demand, and the exporter that holds the collected metrics.
struct Sdk {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// Values by name and attributes. The value of a histogram is its count.
type Collected = BTreeMap<String, f64>;

impl Sdk {
    fn new() -> Self {
        Self::with(Temporality::Cumulative)
    }

    fn with(temporality: Temporality) -> Self {
        let exporter = InMemoryMetricExporterBuilder::new().with_temporality(temporality).build();
        let reader = PeriodicReader::builder(exporter.clone()).with_interval(secs(3_600)).build();
        Self { provider: SdkMeterProvider::builder().with_reader(reader).build(), exporter }
    }

    /// Collects now. Returns the values, the kind and unit of each instrument, and the bounds of histograms.
    fn collect(&self) -> (Collected, BTreeMap<String, String>, Vec<f64>) {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let (mut values, mut kinds, mut bounds) = (Collected::new(), BTreeMap::new(), Vec::new());
        for resource in self.exporter.get_finished_metrics().unwrap() {
            for scope in resource.scope_metrics() {
                assert_eq!((scope.scope().name(), scope.scope().version()), ("health-core", Some("0.1.0")));
                for metric in scope.metrics() {
                    let mut note = |kind: &str, points: Vec<(String, f64)>| {
                        kinds.insert(metric.name().to_owned(), format!("{kind} {}", metric.unit()));
                        for (attributes, value) in points {
                            let before = values.insert(format!("{}{attributes}", metric.name()), value);
                            assert_eq!(before, None, "{}{attributes} was collected twice", metric.name());
                        }
                    };
                    match metric.data() {
                        AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
                            note(
                                "gauge",
                                gauge.data_points().map(|it| (series(it.attributes()), it.value())).collect(),
                            );
                        }
                        AggregatedMetrics::U64(MetricData::Gauge(gauge)) => {
                            note(
                                "gauge",
                                gauge.data_points().map(|it| (series(it.attributes()), number(it.value()))).collect(),
                            );
                        }
                        AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                            let points = sum
                                .data_points()
                                .map(|it| (series(it.attributes()), number(it.value().cast_unsigned())));
                            note(if sum.is_monotonic() { "counter" } else { "up-down counter" }, points.collect());
                        }
                        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                            let points = sum.data_points().map(|it| (series(it.attributes()), number(it.value())));
                            note(if sum.is_monotonic() { "counter" } else { "up-down counter" }, points.collect());
                        }
                        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                            let count = |it: &HistogramDataPoint<f64>| (series(it.attributes()), number(it.count()));
                            note("histogram", histogram.data_points().map(count).collect());
                            bounds = histogram.data_points().next().unwrap().bounds().collect();
                        }
                        other => panic!("{}: {other:?}", metric.name()),
                    }
                }
            }
        }
        (values, kinds, bounds)
    }
}

fn number(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap())
}

fn series<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut own: Vec<_> = attributes.map(|it| format!("{}={}", it.key, it.value)).collect();
    own.sort_unstable();
    format!("{{{}}}", own.join(","))
}

#[tokio::test(start_paused = true)]
async fn collected_values_are_those_of_the_current_report() {
    let sdk = Sdk::new();
    let toggle = Toggle::new();
    let numbers = || async { Ok(Outcome::degraded("x").observe("length", 42, "messages")) };
    let health = Health::builder()
        .check("switch", toggle.check().every(secs(60)))
        .check("jobs", check_fn(numbers).every(secs(60)).optional())
        .start()
        .unwrap();
    health.publish(OpenTelemetry::new(&sdk.provider).attribute("instance", "a").visibility(Visibility::Full));
    assert!(health.ready().await);
    toggle.unhealthy("x");
    settle().await;
    let report = health.report();
    tokio::time::sleep(millis(1_000)).await;
    let (values, kinds, bounds) = sdk.collect();

    let value = |name: &str, attributes: &str| {
        let series = format!("{name}{{{attributes}instance=a}}");
        *values.get(&series).unwrap_or_else(|| panic!("no {series} in {values:#?}"))
    };
    let states = |name: &str, of: &str, attribute: &str, words: [&str; 3]| {
        words.map(|word| value(name, &format!("{of}{attribute}={word},")))
    };
    let words = ["healthy", "degraded", "unhealthy"];
    assert_eq!(states("health.status", "", "health.state", words), [0.0, 0.0, 1.0]);
    assert_eq!(
        states("health.probe.status", "health.probe.name=readiness,", "health.probe.state", words),
        [0.0, 0.0, 1.0]
    );
    assert_eq!(
        states("health.probe.status", "health.probe.name=liveness,", "health.probe.state", words),
        [1.0, 0.0, 0.0]
    );
    assert_eq!(
        states("health.lifecycle.status", "", "health.lifecycle.state", ["starting", "ready", "draining"]),
        [0.0, 1.0, 0.0]
    );
    assert_eq!(value("health.severity", ""), 2.0);
    assert_eq!(
        states("health.check.status", "health.check.name=switch,", "health.check.state", words),
        [0.0, 0.0, 1.0]
    );
    assert_eq!(states("health.check.status", "health.check.name=jobs,", "health.check.state", words), [0.0, 1.0, 0.0]);
    for check in report.checks() {
        let totals = check.history().totals();
        let of = format!("health.check.name={},", check.name());
        assert_eq!(
            states("health.check.runs", &of, "health.check.state", words),
            [Status::Healthy, Status::Degraded, Status::Unhealthy].map(|status| number(totals.runs(status)))
        );
        assert_eq!(value("health.check.transitions", &of), number(totals.transitions()));
        assert_eq!(value("health.check.duration", &of), number(totals.durations().count()));
        let last = totals.last_success().unwrap().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert!((value("health.check.last_success", &of) - last.as_secs_f64()).abs() < 1e-3);
    }
    let of = "health.check.name=jobs,health.observed.name=length,health.observed.unit=messages,";
    assert_eq!(value("health.check.observed", of), 42.0);
    assert_eq!(bounds, Durations::bounds().iter().map(Duration::as_secs_f64).collect::<Vec<_>>());
    let expected = [
        ("health.check.duration", "histogram s"),
        ("health.check.last_success", "gauge s"),
        ("health.check.observed", "gauge "),
        ("health.check.runs", "counter {run}"),
        ("health.check.status", "up-down counter 1"),
        ("health.check.transitions", "counter {transition}"),
        ("health.lifecycle.status", "up-down counter 1"),
        ("health.probe.status", "up-down counter 1"),
        ("health.severity", "gauge 1"),
        ("health.status", "up-down counter 1"),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())).into());

    // A removed check has no current values, and the lifecycle changes no status.
    health.remove("jobs").unwrap();
    drop(health.drain(secs(60)));
    let (values, ..) = sdk.collect();
    assert!(values.keys().all(|series| !series.contains("jobs") || is_counted(series)), "{values:#?}");
    toggle.healthy();
    settle().await;
    let (values, ..) = sdk.collect();
    assert_eq!(values["health.status{health.state=healthy,instance=a}"], 1.0);
    assert_eq!(values["health.lifecycle.status{health.lifecycle.state=draining,instance=a}"], 1.0);
    health.stop().await;
    // The publisher keeps no `Health` alive, and a dropped `Health` has no current values.
    drop(health);
    let (values, ..) = sdk.collect();
    assert!(values.keys().all(|series| is_counted(series)), "{values:#?}");
}

/// Returns whether the SDK counts the series itself. Such a series outlives its check.
fn is_counted(series: &str) -> bool {
    ["health.check.duration", "health.check.runs", "health.check.transitions"]
        .iter()
        .any(|name| series.starts_with(name))
}

/// A new check has the name of a removed one. No counter runs backwards, which would make the deltas wrong.
#[tokio::test(start_paused = true)]
async fn deltas_stay_correct_when_a_check_is_replaced() {
    let sdk = Sdk::with(Temporality::Delta);
    let health = Health::builder().start().unwrap();
    health.publish(OpenTelemetry::new(&sdk.provider));
    let mut counted = 0.0;
    for runs in [5, 1, 3] {
        health.insert("guest", check_fn(|| async { Ok(()) }).every(secs(60))).unwrap();
        for _ in 0..runs {
            health.refresh("guest").await.unwrap();
        }
        let ran = health.report().check("guest").unwrap().history().totals().runs(Status::Healthy);
        tokio::time::sleep(millis(2_500)).await;
        let (values, ..) = sdk.collect();
        let more = values["health.check.runs{health.check.name=guest,health.check.state=healthy}"];
        assert_eq!(more, number(ran), "{values:#?}");
        assert_eq!(values["health.check.duration{health.check.name=guest}"], number(ran));
        counted += more;
        health.remove("guest").unwrap();
    }
    assert!(counted >= 9.0);
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_visibility_has_its_instruments_and_a_missing_provider_is_harmless() {
    for (visibility, number) in [(Visibility::Status, 4), (Visibility::Checks, 9)] {
        let sdk = Sdk::new();
        let health = Health::builder()
            .check("x", check_fn(|| async { Ok(Outcome::healthy().observe("n", 1, "")) }))
            .start()
            .unwrap();
        health.publish(OpenTelemetry::new(&sdk.provider).visibility(visibility));
        // No global provider is set here.
        health.publish(OpenTelemetry::global());
        assert!(health.ready().await);
        tokio::time::sleep(millis(1_000)).await;
        let (_, kinds, _) = sdk.collect();
        assert_eq!(kinds.len(), number, "{kinds:?}");
        health.stop().await;
    }
}

/// A group has its own instruments in place of those of its members, and a service without groups has none.
#[tokio::test(start_paused = true)]
async fn a_group_has_instruments_in_place_of_its_members() {
    let collected = async |builder: health_core::Builder| {
        let sdk = Sdk::new();
        let health = builder.start().unwrap();
        health.publish(OpenTelemetry::new(&sdk.provider));
        assert!(health.ready().await);
        tokio::time::sleep(millis(1_000)).await;
        let collected = sdk.collect();
        health.stop().await;
        collected
    };
    let ok = || check_fn(|| async { Ok(()) }).tag("lanes");
    let builder = || Health::builder().check("lane-0", ok()).check("lane-1", ok());
    let (values, kinds, _) = collected(builder().group("lanes").check("x", check_fn(|| async { Ok(()) }))).await;
    assert_eq!(values["health.group.status{health.group.name=lanes,health.group.state=healthy}"], 1.0);
    assert_eq!(values["health.group.checks{health.check.state=healthy,health.group.name=lanes}"], 2.0);
    assert_eq!(kinds["health.group.checks"], "up-down counter {check}");
    assert!(values.keys().all(|series| !series.contains("lane-")), "{values:#?}");
    let (_, kinds, _) = collected(builder()).await;
    assert!(kinds.keys().all(|name| !name.contains("group")), "{kinds:?}");
}
