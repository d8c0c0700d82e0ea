//! The enums of the model, with their fixed spelling in every output.

use std::fmt;

/// Defines a fieldless enum with a fixed, public spelling: `as_str`, `Display`, and the list `ALL` of all values.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the fixed lower-case word that every output uses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The status of a check or a report. The worst status is the greatest, and the worst status of the checks decides
    /// that of the report. Exhaustive within a major version.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    Status {
        /// Fully operational.
        Healthy = "healthy",
        /// Operational, but an operator should look at it. Answered with 200 by default.
        Degraded = "degraded",
        /// Not operational. Answered with 503.
        Unhealthy = "unhealthy",
    }
}

words! {
    /// The public, fixed category of a Degraded or Unhealthy status. Never contains text of a driver.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    Reason {
        /// No answer came before the deadline, or the driver's own timeout passed.
        Timeout = "timeout",
        /// The connection was refused or reset, the stream ended, name resolution failed, or the server is still
        /// starting.
        Unreachable = "unreachable",
        /// The server rejected the request: authentication, permission, wrong type, TLS.
        Rejected = "rejected",
        /// The pool or the server has no free connection.
        Saturated = "saturated",
        /// A closed `Toggle`: an operator or the program itself switched it.
        Maintenance = "maintenance",
        /// A measured value crossed its limit.
        Threshold = "threshold",
        /// The run was healthy, but took longer than `slow_above`.
        Slow = "slow",
        /// The last result is older than `stale_after`.
        Stale = "stale",
        /// The check panicked. The panic's text is in the log only.
        Panicked = "panicked",
        /// A check on which this check depends is Unhealthy.
        Dependency = "dependency",
        /// No run has finished yet.
        Pending = "pending",
        /// Any other failure.
        Failed = "failed",
        /// A closed `Latch`: something that must be done first is not done. Of a report: a readiness check has neither
        /// finished its first run nor been held back.
        Starting = "starting",
        /// Of a report: the service drains and should receive no new traffic.
        Draining = "draining",
        /// Of a report: the checks have been stopped.
        Stopped = "stopped",
    }
}

words! {
    /// The scope of what can cause a check's failure. Exhaustive within a major version.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Kind {
        /// Only this process or host can cause a failure.
        Local = "local",
        /// Something shared with other instances can cause a failure.
        Dependency = "dependency",
    }
}

words! {
    /// The effect of a check's failure on the report. Exhaustive within a major version.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Impact {
        /// A failure makes the report Unhealthy.
        Critical = "critical",
        /// A failure makes the report Degraded at most.
        Optional = "optional",
    }
}

words! {
    /// The three probes of an orchestrator. Exhaustive within a major version.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Probe {
        /// Whether this process must be restarted.
        Liveness = "liveness",
        /// Whether this process may receive traffic.
        Readiness = "readiness",
        /// Whether this process has finished starting.
        Startup = "startup",
    }
}

words! {
    /// The lifecycle of the service. Only moves forward.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    Lifecycle {
        /// A readiness check has neither finished its first run nor been held back.
        Starting = "starting",
        /// The service receives traffic.
        Ready = "ready",
        /// The service still serves, but should receive no new traffic.
        Draining = "draining",
        /// The checks no longer run.
        Stopped = "stopped",
    }
}

impl Lifecycle {
    /// Returns the reason why readiness, the full report and tags are 503 in this lifecycle; `None` if they are not.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Starting => Some(Reason::Starting),
            Self::Ready => None,
            Self::Draining => Some(Reason::Draining),
            Self::Stopped => Some(Reason::Stopped),
        }
    }
}

words! {
    /// The part of a report that a caller sees. Decided once per request, for every output.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    Visibility {
        /// Only the status word.
        Status = "status",
        /// Also the checks' names, statuses, public reasons and times. The default.
        Checks = "checks",
        /// Also redacted messages, observed numbers, details, service and version.
        Full = "full",
    }
}

words! {
    /// Whether a check counts for readiness by default, when its registration sets no probe.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    Membership {
        /// Counts for readiness and the full report: connectivity checks and closures.
        Readiness = "readiness",
        /// Counts for the full report only: measures, because a shared backlog must not take every instance out of
        /// traffic.
        ReportOnly = "report_only",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_status_is_the_greatest() {
        assert_eq!(Status::ALL.iter().max(), Some(&Status::Unhealthy));
        assert_eq!(Status::ALL.iter().min(), Some(&Status::Healthy));
    }
}
