//! Faults of the network between the checks and a database, a cache, two brokers and a service: the verdict and the
//! latest moment of each cell, and the document that shows them, `health-core/FAULTS.md`.

use std::{fmt::Write as _, path::Path, time::Duration};

use crate::{fault_rows::TIMEOUT, proxy::NetworkFault, support::millis};

/// The checks of the matrix, by the names of their modules.
pub const CHECKS: [&str; 6] = ["postgres", "sqlx", "redis", "rabbitmq", "kafka", "http"];

/// The number of runs for which a cell without an outage is watched.
pub const WATCHED: u64 = 8;

/// A fault, and the verdict of each check under it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Name of the fault in the document.
    pub name: &'static str,
    /// Cause of the fault.
    pub cause: Cause,
    /// Verdicts in the order of [`CHECKS`]. `healthy`: no run ever has another verdict. A reason: the check reports it
    /// at the latest moment `within`. `a, then healthy`: the check recovers by itself while the fault lasts. `-`: the
    /// fault does not exist for this check.
    pub cells: [&'static str; 6],
    /// The latest moment of the verdict, on the clock of a bare thread.
    pub within: Duration,
}

/// A cause of a fault.
#[derive(Clone, Copy, Debug)]
pub enum Cause {
    /// The proxy makes the fault.
    Network(NetworkFault),
    /// The application's pool or the server makes the fault: one of [`POOL_FAULTS`](crate::fault_rows::POOL_FAULTS).
    Pool(&'static str),
}

const LATE: Duration = TIMEOUT.saturating_mul(3);
/// The latest moment for a fault that hangs: a run in progress, the pause after it, and a whole run until its deadline.
const HANGS: Duration = millis(2_500);

/// The latest moment for a user who is locked out: [`HANGS`] plus the time for changing the rule on the server. The
/// program of RabbitMQ needs seconds for this.
const LOCKED_OUT: Duration = millis(10_000);

/// The faults.
pub const FAULTS: [Fault; 13] = [
    Fault {
        name: "delay below the deadline",
        cause: Cause::Network(NetworkFault::Delay(millis(120))),
        cells: ["healthy"; 6],
        within: Duration::ZERO,
    },
    Fault {
        name: "jitter below the deadline",
        cause: Cause::Network(NetworkFault::Jitter(millis(240))),
        cells: ["healthy"; 6],
        within: Duration::ZERO,
    },
    Fault {
        name: "4 kB a second",
        cause: Cause::Network(NetworkFault::Bandwidth(4_000)),
        cells: ["healthy"; 6],
        within: Duration::ZERO,
    },
    Fault {
        name: "delay beyond the deadline",
        cause: Cause::Network(NetworkFault::Delay(LATE)),
        cells: ["timeout", "timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault {
        name: "black hole to the server",
        cause: Cause::Network(NetworkFault::DropRequests),
        cells: ["timeout", "timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault {
        name: "black hole from the server",
        cause: Cause::Network(NetworkFault::DropAnswers),
        cells: ["timeout", "timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault {
        name: "black hole both ways",
        cause: Cause::Network(NetworkFault::BlackHole),
        cells: ["timeout", "timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault { name: "reset", cause: Cause::Network(NetworkFault::Reset), cells: ["unreachable"; 6], within: HANGS },
    Fault {
        name: "half-open",
        cause: Cause::Network(NetworkFault::HalfOpen),
        // librdkafka keeps its connections until it declares them dead.
        cells: ["healthy", "healthy", "healthy", "healthy", "timeout/unreachable", "healthy"],
        within: HANGS,
    },
    Fault {
        name: "trickle",
        cause: Cause::Network(NetworkFault::Trickle),
        cells: ["timeout", "timeout", "timeout", "timeout", "timeout/unreachable", "timeout"],
        within: HANGS,
    },
    Fault {
        name: "busy pool: every connection always has waiters",
        cause: Cause::Pool("busy"),
        cells: ["healthy", "healthy", "healthy", "healthy", "-", "-"],
        within: Duration::ZERO,
    },
    Fault {
        name: "all connections in use, and the server is full",
        cause: Cause::Pool("full server"),
        cells: ["saturated", "saturated", "saturated", "saturated", "-", "-"],
        within: HANGS,
    },
    Fault {
        name: "user locked out",
        cause: Cause::Pool("locked out"),
        cells: ["rejected", "rejected", "rejected", "rejected", "-", "-"],
        within: LOCKED_OUT,
    },
];

/// The measured moments of one check, one for each fault.
pub type Measured = Vec<Duration>;

/// Renders the document, without the measured moments if there are none.
#[must_use]
pub fn document(measured: Option<&[(&'static str, Measured)]>) -> String {
    let mut text = String::from(
        "# What the checks report under network and pool faults\n\n\
         Written by the test `measured::faults::fault_matrix`, which runs each cell against the real server\n\
         behind a proxy that causes the fault. `HEALTH_WRITE_FAULTS=1 tests/run fault_matrix` updates this\n\
         page. The checks run every 0.3 s with a timeout of 1 s.\n\n\
         - A reason is reported no later than the time in the column *latest*, measured from the start of the\n\
         \x20\x20fault, on the clock of a bare thread that repeats the same work, so that a slow machine slows down\n\
         \x20\x20the clock, too. The measured time follows in parentheses.\n\
         - *healthy* means that each of eight runs was Healthy. The duration of the longest run follows in\n\
         \x20\x20parentheses.\n\n",
    );
    let _ = write!(text, "| fault | latest |");
    for check in CHECKS {
        let _ = write!(text, " {check} |");
    }
    let _ = write!(text, "\n|---|---|{}\n", "---|".repeat(CHECKS.len()));
    for (number, fault) in FAULTS.iter().enumerate() {
        let latest = format!("{:.1} s", fault.within.as_secs_f64());
        let _ = write!(text, "| {} | {} |", fault.name, if fault.within.is_zero() { "-" } else { &latest });
        for (position, check) in CHECKS.iter().enumerate() {
            let moments = measured.and_then(|measured| measured.iter().find(|(name, _)| name == check));
            let moment = match moments {
                Some((_, moments)) if fault.cells[position] != "-" => {
                    format!(" ({:.2} s)", moments[number].as_secs_f64())
                }
                _ => String::new(),
            };
            let _ = write!(text, " {}{moment} |", fault.cells[position]);
        }
        text.push('\n');
    }
    text
}

/// Returns a document without its measured moments.
#[must_use]
pub fn without_moments(text: &str) -> String {
    let mut parts = text.split(" (");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |so_far, part| so_far + part.split_once(" s)").map_or(part, |(_, after)| after))
}

/// Returns the path of the document.
#[must_use]
pub fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../health-core/FAULTS.md")
}
