//! What a network does to connections, against the checks of a database, a cache, two brokers and a service, as data:
//! the verdict and the latest moment of each cell. `health-core/FAULTS.md` is written by this test, with the moments
//! that were measured.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use health_core::Status;
use health_tests::proxy::Weather;
use tokio::{task::block_in_place, time::sleep};

use crate::{
    fault_rows::{Place, Row, TIMEOUT, Watched, at_once, rows},
    support::{millis, secs},
};

/// Whose checks are in the matrix, by the names of their modules.
const CHECKS: [&str; 5] = ["postgres", "redis", "rabbitmq", "kafka", "http"];

/// How long a cell without an outage is watched.
const WATCHED: Duration = secs(3);

/// A fault, and what each check says under it.
struct Fault {
    name: &'static str,
    weather: Weather,
    /// In the order of the checks: `healthy` means that no run ever says anything else; a reason is there at the latest moment;
    /// `a, then healthy` gets over it by itself while the fault lasts.
    cells: [&'static str; 5],
    /// The latest moment.
    within: Duration,
}

const LATE: Duration = TIMEOUT.saturating_mul(3);
/// The runs of a fault that hangs: one under way, the pause after it, and a whole one until its deadline.
const HANGS: Duration = millis(2_500);

const FAULTS: [Fault; 10] = [
    Fault {
        name: "delay below the deadline",
        weather: Weather::Delay(millis(120)),
        cells: ["healthy"; 5],
        within: WATCHED,
    },
    Fault {
        name: "jitter below the deadline",
        weather: Weather::Jitter(millis(240)),
        cells: ["healthy"; 5],
        within: WATCHED,
    },
    Fault { name: "4 kB a second", weather: Weather::Bandwidth(4_000), cells: ["healthy"; 5], within: WATCHED },
    Fault {
        name: "delay beyond the deadline",
        weather: Weather::Delay(LATE),
        cells: ["timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault {
        name: "black hole there",
        weather: Weather::DeafThere,
        cells: ["timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault {
        name: "black hole back",
        weather: Weather::DeafBack,
        cells: ["timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault {
        name: "black hole both ways",
        weather: Weather::BlackHole,
        cells: ["timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault {
        name: "reset",
        weather: Weather::Reset,
        cells: ["unreachable", "unreachable", "unreachable", "unreachable", "unreachable"],
        within: HANGS,
    },
    Fault {
        name: "half-open",
        weather: Weather::HalfOpen,
        // A client that keeps its connections to itself shows their death once, librdkafka until it gives them up.
        cells: ["healthy", "healthy", "healthy", "timeout/unreachable", "timeout, then healthy"],
        within: HANGS,
    },
    Fault {
        name: "trickle",
        weather: Weather::Trickle,
        cells: ["timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
];

/// What was measured of one check: for each fault the moment, and how long the recovery took afterwards.
type Measured = Vec<(Duration, Duration)>;

async fn column(row: Row, place: &Place, position: usize) -> Measured {
    let mut measured = Vec::new();
    for fault in &FAULTS {
        // Its own clients each time, so that one fault does not leave its mark on the next.
        let watched = Watched::start(row, place, true);
        watched.says("healthy", secs(20), &format!("before {}", fault.name)).await;
        let expected = fault.cells[position];
        let began = Instant::now();
        block_in_place(|| place.proxy.turns(fault.weather));
        let moment = if expected == "healthy" {
            while began.elapsed() < WATCHED {
                let report = watched.report();
                assert_eq!(report.status, Status::Healthy, "{}, {}: {:?}", row.name, fault.name, report.message);
                sleep(millis(10)).await;
            }
            let longest = watched.report().history.results.iter().map(|result| result.duration).max();
            longest.unwrap_or_default()
        } else {
            let (said, then) =
                expected.split_once(", then ").map_or((expected, None), |(said, then)| (said, Some(then)));
            let moment = watched.says(said, fault.within, fault.name).await;
            if let Some(then) = then {
                watched.says(then, fault.within, fault.name).await;
            }
            moment
        };
        watched.kept_deadlines();
        let ended = Instant::now();
        block_in_place(|| place.proxy.turns(Weather::Fair));
        // What lies dead stays dead in any weather.
        if !(fault.weather == Weather::HalfOpen && row.name == "kafka") {
            watched.says("healthy", secs(8), &format!("after {}", fault.name)).await;
        }
        measured.push((moment, ended.elapsed()));
        watched.health.stop().await;
    }
    measured
}

/// The document; without what was measured it says only what is expected.
fn document(measured: Option<&[(&'static str, Measured)]>) -> String {
    let mut text = String::from(
        "# What a network does, and what the checks say\n\n\
         Written by the test `fault_matrix` of `tests/suite`, which runs each cell against the real server behind a proxy that\n\
         makes the fault; `HEALTH_WRITE_FAULTS=1 tests/run` writes it anew. The checks run every 0.3 s with a deadline of 1 s.\n\
         A reason is there at the latest moment of its row, measured from the moment the fault began; *healthy* means that no\n\
         answer in three seconds said anything else, and what was measured is the longest run.\n\n",
    );
    let _ = write!(text, "| fault | latest |");
    for check in CHECKS {
        let _ = write!(text, " {check} |");
    }
    let _ = write!(text, "\n|---|---|{}\n", "---|".repeat(CHECKS.len()));
    for (number, fault) in FAULTS.iter().enumerate() {
        let latest = format!("{:.1} s", fault.within.as_secs_f64());
        let _ = write!(text, "| {} | {} |", fault.name, if fault.cells == ["healthy"; 5] { "-" } else { &latest });
        for (position, check) in CHECKS.iter().enumerate() {
            let moments = measured.and_then(|measured| measured.iter().find(|(name, _)| name == check));
            let moment =
                moments.map_or_else(String::new, |(_, moments)| format!(" ({:.2} s)", moments[number].0.as_secs_f64()));
            let _ = write!(text, " {}{moment} |", fault.cells[position]);
        }
        text.push('\n');
    }
    text
}

/// A document without its measured numbers.
fn without_moments(text: &str) -> String {
    let mut parts = text.split(" (");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |so_far, part| so_far + part.split_once(" s)").map_or(part, |(_, after)| after))
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../health-core/FAULTS.md")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "needs every server: tests/run"]
async fn every_cell_has_its_verdict_by_the_latest_moment() {
    let wanted = rows().into_iter().filter(|row| CHECKS.contains(&row.name)).collect();
    let measured = at_once(wanted, |row| {
        Box::pin(async move {
            let place = block_in_place(row.start);
            let position = CHECKS.iter().position(|check| *check == row.name).unwrap_or_default();
            (row.name, column(row, &place, position).await)
        })
    })
    .await;
    for (check, moments) in &measured {
        for (fault, (moment, recovery)) in FAULTS.iter().zip(moments) {
            println!("{check} {}: {moment:.2?}, healthy {recovery:.2?} after its end", fault.name);
        }
    }
    if std::env::var_os("HEALTH_WRITE_FAULTS").is_some() {
        std::fs::write(file(), document(Some(&measured))).unwrap();
    }
}

#[test]
fn the_document_says_what_is_tested() {
    let written = std::fs::read_to_string(file()).unwrap_or_default();
    assert!(without_moments(&written) == document(None), "write it anew: HEALTH_WRITE_FAULTS=1 tests/run");
}
