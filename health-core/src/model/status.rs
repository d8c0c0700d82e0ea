//! The enums of the model, each value with its fixed word in every output.

use std::fmt;

/// Defines a fieldless enum whose values have a fixed, public word: generates `as_str`, `Display`, and the list `ALL`
/// of all values.
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
    /// The status of a check or a report. The worst status is the greatest. The status of a report is the worst status
    /// that one of its checks counts as. Exhaustive within a major version.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    Status {
        /// Fully operational.
        Healthy = "healthy",
        /// Operational, but an operator should look at it. Status code 200 by default.
        Degraded = "degraded",
        /// Not operational. Status code 503 by default.
        Unhealthy = "unhealthy",
    }
}

words! {
    /// The public, fixed category of a Degraded or Unhealthy status. Never contains an error text of a driver.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    Reason {
        /// No response arrived before the deadline, or a timeout of the driver passed.
        Timeout = "timeout",
        /// The connection was refused or reset, the stream ended, name resolution failed, or the server is still
        /// starting.
        Unreachable = "unreachable",
        /// The server rejected the request: authentication, permission, wrong type, TLS.
        Rejected = "rejected",
        /// The pool or the server has no free connection.
        Saturated = "saturated",
        /// An operator or the program itself has set a [`Toggle`](crate::Toggle) to Degraded or Unhealthy.
        Maintenance = "maintenance",
        /// A measured value crossed its limit.
        Threshold = "threshold",
        /// The run was Healthy, but took longer than `slow_above`.
        Slow = "slow",
        /// The last result is older than `stale_after`.
        Stale = "stale",
        /// The check panicked. The message of the panic is in the log only.
        Panicked = "panicked",
        /// A check on which this check depends is Unhealthy.
        Dependency = "dependency",
        /// No run has finished yet.
        Pending = "pending",
        /// Any other failure.
        Failed = "failed",
        /// A [`Latch`](crate::Latch) is not released yet: the startup work is not done. As the reason of a report: a
        /// readiness check has neither finished its first run nor been held back.
        Starting = "starting",
        /// Reason of a report only: the service drains and should receive no new traffic.
        Draining = "draining",
        /// Reason of a report only: the checks have been stopped.
        Stopped = "stopped",
    }
}

words! {
    /// Whether the cause of a check's failure is local or shared with other instances. Exhaustive within a major
    /// version.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Kind {
        /// Only this process or host can cause a failure.
        Local = "local",
        /// Something that other instances share can cause a failure.
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
    /// The three probes of an orchestrator such as Kubernetes. Exhaustive within a major version.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Probe {
        /// Fails if this process must be restarted.
        Liveness = "liveness",
        /// Passes while this process may receive traffic.
        Readiness = "readiness",
        /// Passes once this process has finished starting.
        Startup = "startup",
    }
}

words! {
    /// The lifecycle of the service. It only moves forward.
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
    /// Returns the reason for which readiness, the full report and tags are 503 in this lifecycle; `None` for `Ready`,
    /// in which the checks determine the status code.
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
    /// The part of a report that a caller may see. The visibility is decided once per request, for every output.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    Visibility {
        /// The status word alone.
        Status = "status",
        /// The status word, and the names, statuses, public reasons and times of the checks. The default.
        Checks = "checks",
        /// Everything that `Checks` shows, and redacted messages, observed numbers, details, and the name and version
        /// of the service.
        Full = "full",
    }
}

words! {
    /// Whether a check is part of readiness by default. [`readiness`](crate::CheckExt::readiness) and
    /// [`report_only`](crate::CheckExt::report_only) override this default.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    Membership {
        /// Part of readiness and the full report. For connectivity checks and closures.
        Readiness = "readiness",
        /// Part of the full report only. For measures, because a shared backlog must not take every instance out of
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
