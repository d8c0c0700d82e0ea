//! A service with a recorded history, in which time stands still. The screenshots of the status page show it.

use std::time::{Duration, SystemTime};

use health_core::{Health, Limits, Outcome, Reason, Registration, check_fn, testing::Frozen};

/// The state of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every check is Healthy.
    Healthy,
    /// The database is unreachable, a queue is too long, and a check is muted.
    Failing,
}

/// The number of recorded runs of each check.
const RUNS: u64 = 75;

fn check() -> Registration {
    check_fn(|| async { Ok(()) }).into()
}

/// Returns a pseudo-random number from 0 to 99 that is the same in every run of the program.
fn chance(seed: u64, number: u64) -> u64 {
    let mixed = (seed * 7_919 + number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 33) % 100
}

/// Creates the service and records its history.
///
/// # Panics
///
/// Panics if a check is refused.
#[must_use]
pub fn frozen(state: State) -> Frozen {
    let minute = Duration::from_secs(60);
    let builder = Health::builder()
        .service("orders")
        .version("1.4.2")
        .check("database", check().tag("storage"))
        .check("invoices", check().depends_on("database"))
        .check("jobs", check().report_only().tag("queues"))
        .check("cache", check().optional().tag("storage"))
        .check("search", check().optional())
        .check("worker", check().local().liveness())
        .check("billing", check().optional())
        .check("disk", check().local().report_only().every(minute))
        .check("memory", check().local().report_only());
    let frozen = Frozen::new(builder).expect("a valid configuration");
    for run in 0..RUNS {
        let left = RUNS - run;
        if state == State::Failing && left == 25 {
            let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600);
            frozen.health().mute("search", until, "the index is moving").expect("a moment in the future");
        }
        frozen.advance(Duration::from_millis(4_800));
        for (seed, name) in ["database", "invoices", "jobs", "cache", "search", "worker", "billing", "disk", "memory"]
            .into_iter()
            .enumerate()
        {
            let seed = u64::try_from(seed).unwrap_or_default();
            let typical =
                [1_400, 2_600, 310, 220, 5_200, 12, 12_400, 80, 50][usize::try_from(seed).unwrap_or_default()];
            let took = Duration::from_micros(typical * (70 + chance(seed, run)) / 100);
            let is_bad = state == State::Failing;
            let outcome = match name {
                "database" if is_bad && left <= 8 => {
                    Outcome::unhealthy("connection refused (the server at 10.0.0.12 is gone)")
                        .reason(Reason::Unreachable)
                }
                "database" => Outcome::healthy().observe("pool_available", 8 - chance(9, run) / 20, "connections"),
                // The check waits for the database, so it does not run.
                "invoices" if is_bad && left <= 8 => continue,
                "jobs" => jobs(if is_bad && (left <= 5 || (20..23).contains(&left)) {
                    1_204 + left
                } else {
                    chance(5, run) * 4
                }),
                "search" if is_bad && left <= 30 => {
                    Outcome::unhealthy("503 Service Unavailable").reason(Reason::Failed)
                }
                "disk" => {
                    Outcome::healthy().observe_within("used", 61.0, "%", Limits::new().warn_above(80).fail_above(95))
                }
                "memory" => Outcome::healthy().observe_within(
                    "used",
                    1_431_655_765_u64,
                    "bytes",
                    Limits::new().warn_above(3_000_000_000_u64),
                ),
                _ => Outcome::healthy(),
            };
            frozen.record(name, outcome, took).expect("a registered check");
        }
    }
    frozen.advance(Duration::from_millis(800));
    frozen
}

fn jobs(length: u64) -> Outcome {
    let limits = Limits::new().warn_above(1_000).fail_above(10_000);
    let outcome = if length > 1_000 {
        Outcome::degraded("the consumers are too slow").reason(Reason::Threshold)
    } else {
        Outcome::healthy()
    };
    outcome.observe_within("length", length, "messages", limits)
}
