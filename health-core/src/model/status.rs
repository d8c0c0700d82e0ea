//! The words of the model: plain values without behaviour.

use std::fmt;

/// Gives a fieldless enum its fixed, public spelling: `as_str`, `Display`, and the list of all values.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The fixed lower-case word used in every output.
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
    /// The verdict on a check or a report. Ordered: the worst is the greatest, and the worst wins.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    Status {
        /// Everything asked about works.
        Healthy = "healthy",
        /// It works, with something an operator should look at. Answered with 200.
        Degraded = "degraded",
        /// It does not work. Answered with 503.
        Unhealthy = "unhealthy",
    }
}

words! {
    /// The public, fixed category of a bad outcome. Driver text is never a reason.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    Reason {
        /// No answer within our deadline, or a driver's own timeout.
        Timeout = "timeout",
        /// Refused, reset, end of stream, name resolution failed, or the server is still starting up.
        Unreachable = "unreachable",
        /// The server said no: authentication, permission, wrong type, TLS.
        Rejected = "rejected",
        /// A pool or the server has no connection left to give.
        Saturated = "saturated",
        /// A limit was crossed.
        Threshold = "threshold",
        /// The answer came, but later than `slow_above`.
        Slow = "slow",
        /// The last result is older than `stale_after`.
        Stale = "stale",
        /// The check panicked; the payload is in the log only.
        Panicked = "panicked",
        /// A check that this one depends on is unhealthy.
        Dependency = "dependency",
        /// No run has finished yet.
        Pending = "pending",
        /// Anything else.
        Failed = "failed",
        /// Of a report: not every readiness member has finished its first run.
        Starting = "starting",
        /// Of a report: the service is shutting down and wants no new traffic.
        Draining = "draining",
        /// Of a report: the checks have been stopped.
        Stopped = "stopped",
    }
}

words! {
    /// Who can cause a failure of what a check looks at.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Kind {
        /// Only this process or host.
        Local = "local",
        /// Something shared with other instances.
        Dependency = "dependency",
    }
}

words! {
    /// How far a check's failure reaches.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Impact {
        /// Its failure makes the report Unhealthy.
        Critical = "critical",
        /// Its failure makes the report at most Degraded.
        Optional = "optional",
    }
}

words! {
    /// The three questions an orchestrator asks.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Probe {
        /// Must this process be restarted?
        Liveness = "liveness",
        /// May this process receive traffic?
        Readiness = "readiness",
        /// Has this process finished starting?
        Startup = "startup",
    }
}

words! {
    /// Where the service stands in its life. It only ever moves forward.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    Lifecycle {
        /// Not every readiness member has finished its first run.
        Starting = "starting",
        /// Serving.
        Ready = "ready",
        /// Still serving, but asking for no new traffic.
        Draining = "draining",
        /// The checks no longer run.
        Stopped = "stopped",
    }
}

impl Lifecycle {
    /// Why readiness, the full report and tags are 503 in this phase, if they are.
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
    /// How much of a report a caller gets to see. Decided once per request, for every output.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    Visibility {
        /// The status word alone.
        Status = "status",
        /// Also the checks' names, statuses, public reasons and times. The default.
        Checks = "checks",
        /// Also redacted messages, observed numbers, details, service and version.
        Full = "full",
    }
}

words! {
    /// Whether a check counts for readiness when its registration says nothing of probes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Membership {
        /// Readiness and the full report: connectivity checks and closures.
        Readiness = "readiness",
        /// The full report only: measures, because a shared backlog must not take every instance out of traffic.
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
