//! The time after which each check has its verdict under each fault. `health_tests::fault_matrix` has the faults.

use std::{panic::resume_unwind, thread, time::Duration};

use health_core::{CheckReport, Status};
use health_tests::{
    bare_clock::{BareClock, measure},
    fault_matrix::{CHECKS, Cause, FAULTS, Fault, Measured, WATCHED, document, file},
    fault_rows::{Row, ServerUnderTest, Watched, row},
    proxy::NetworkFault,
    wait,
};
use tokio::{runtime::Handle, task::block_in_place};

/// One cell: the time after which the check had the expected verdict.
struct Cell {
    moment: Duration,
    /// The result of a run that was not healthy, if every run was expected to be healthy.
    wrong: Option<String>,
}

/// Begins and ends one fault for a new check, so that the fault does not affect the next one.
async fn cell(row: Row, subject: &ServerUnderTest, fault: &Fault, expected: &str, clock: &BareClock) -> Cell {
    let pooled = row.pool.map(|pool| pool(subject));
    if let Some(pooled) = &pooled {
        drop(pooled.take_all().await);
    }
    let watched = match &pooled {
        Some(pooled) => Watched::check(row, (pooled.check)()),
        None => Watched::start(row, subject, true),
    };
    watched.says("healthy", &format!("before {}", fault.name)).await;
    // After these runs a client has opened all the connections that it uses.
    watched.goes_on_saying("healthy", &format!("before {}", fault.name)).await;
    let began = clock.now();
    let begun = match (fault.cause, &pooled) {
        (Cause::Pool(fault), Some(pooled)) => Some(pooled.begin(fault, subject).await),
        (Cause::Network(fault), _) => {
            block_in_place(|| subject.proxy.set(fault));
            None
        }
        (Cause::Pool(_), None) => panic!("a check without a pool"),
    };
    let mut wrong = None;
    let moment = if expected == "healthy" {
        // Counts all runs and those that were not healthy, so that no run is missed between two reports.
        let counts = |report: &CheckReport| {
            let totals = report.history().totals();
            let all = totals.durations().count();
            (all, all - totals.runs(Status::Healthy))
        };
        let (before, bad_before) = counts(&watched.report());
        wait::true_of("more runs", || {
            let report = watched.report();
            let (runs, bad) = counts(&report);
            if bad > bad_before {
                wrong.get_or_insert_with(|| format!("{:?} {:?}", report.reason(), report.message()));
            }
            runs >= before + WATCHED
        })
        .await;
        watched.report().history().results().map(|result| result.duration()).max().unwrap_or_default()
    } else {
        let (said, then) = expected.split_once(", then ").map_or((expected, None), |(said, then)| (said, Some(then)));
        watched.says(said, fault.name).await;
        let moment = clock.now() - began;
        if let Some(then) = then {
            watched.says(then, fault.name).await;
        }
        moment
    };
    block_in_place(|| match begun {
        Some(begun) => begun.end(subject),
        None => subject.proxy.set(NetworkFault::None),
    });
    // librdkafka keeps a half-open connection, which stays dead after the fault.
    if !(matches!(fault.cause, Cause::Network(NetworkFault::HalfOpen)) && row.name == "kafka") {
        watched.says("healthy", &format!("after {}", fault.name)).await;
    }
    watched.health.stop().await;
    Cell { moment, wrong }
}

async fn column(row: Row, position: usize) -> Measured {
    let (subject, clock) = (block_in_place(row.start), BareClock::start());
    let mut measured = Vec::new();
    for fault in &FAULTS {
        let expected = fault.cells[position];
        if expected == "-" {
            measured.push(Duration::ZERO);
            continue;
        }
        let what = format!("{}, {}", row.name, fault.name);
        let judge = |cell: &Cell| {
            assert_eq!(cell.wrong, None, "{what}");
            let is_late = expected != "healthy" && cell.moment > fault.within;
            assert!(!is_late, "{what}: {expected} after {:?}, at most {:?}", cell.moment, fault.within);
        };
        let cell = measure(&what, &clock, async || cell(row, &subject, fault, expected, &clock).await, judge).await;
        println!("{what}: {expected} after {:.2?}", cell.moment);
        measured.push(cell.moment);
    }
    measured
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_check_has_its_verdict_in_time_under_every_fault() {
    let runtime = Handle::current();
    // The columns run concurrently, each on its own thread.
    let measured: Vec<(&str, Measured)> = block_in_place(|| {
        thread::scope(|scope| {
            let measures = |(position, check)| {
                let runtime = &runtime;
                (check, scope.spawn(move || runtime.block_on(column(row(check), position))))
            };
            let columns: Vec<_> = CHECKS.into_iter().enumerate().map(measures).collect();
            let joined = columns.into_iter().map(|(check, column)| (check, column.join()));
            joined.map(|(check, column)| (check, column.unwrap_or_else(|panic| resume_unwind(panic)))).collect()
        })
    });
    if std::env::var_os("HEALTH_WRITE_FAULTS").is_some() {
        std::fs::write(file(), document(Some(&measured))).unwrap();
    }
}
