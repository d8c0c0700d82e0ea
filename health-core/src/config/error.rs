//! Errors of building, inserting, removing and muting checks.

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use crate::{config::nearest::hint, model::status::Probe, time::rfc3339};

/// The error of [`Builder::start`](crate::Builder::start), [`Health::insert`](crate::Health::insert) and, with the
/// feature `serde`, `Health::apply`. Its text says what to change.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration has more than one mistake.
    Several {
        /// The mistakes, in this order: runtime, settings, groups, single checks, checks together, gRPC services.
        mistakes: Vec<BuildError>,
    },
    /// A mistake in settings from files or environment variables: see [`Settings`](crate::Settings).
    Located {
        /// The places where the options of the mistake were set, the one at fault first: `health.toml:7:1` for line and
        /// column of a file, or the name of a variable.
        at: Vec<String>,
        /// The mistake, which is never `Located` itself.
        mistake: Box<BuildError>,
    },
    /// `start()` was called outside a Tokio runtime.
    NoRuntime,
    /// `start()` was called in a Tokio runtime without a timer.
    NoTimer,
    /// The checks have been stopped, so no check can be inserted and no settings can be applied.
    Stopped,
    /// The runtime that runs the checks has ended, so an inserted check would never run.
    RuntimeEnded,
    /// The name of a check is empty, is longer than 64 characters, has a character outside `A-Z a-z 0-9 _ - .`, or
    /// consists of dots alone.
    InvalidName {
        /// The name as configured, cut to 64 characters.
        name: String,
        /// The problem with the name.
        message: &'static str,
    },
    /// A tag of a check breaks the rules for names: see [`InvalidName`](Self::InvalidName).
    InvalidTag {
        /// The name of the check.
        name: String,
        /// The tag as configured, cut to 64 characters.
        tag: String,
        /// The problem with the tag.
        message: &'static str,
    },
    /// The name of a group breaks the rules for names, see [`InvalidName`](Self::InvalidName), or is reserved for a
    /// lifecycle line of the text output.
    InvalidGroup {
        /// The name as configured, cut to 64 characters.
        group: String,
        /// The problem with the name.
        message: &'static str,
    },
    /// A check and a group have the same name.
    NameOfGroup {
        /// The name of both.
        name: String,
    },
    /// A check has the tags of several groups.
    SeveralGroups {
        /// The name of the check.
        name: String,
        /// The names of the groups.
        groups: Vec<String>,
    },
    /// The name of a gRPC service is already taken.
    InvalidGrpcService {
        /// The name as configured.
        name: String,
        /// The meaning that the name already has.
        meaning: &'static str,
    },
    /// The name of a check is reserved for a lifecycle line of the text output.
    ReservedName {
        /// The name as configured.
        name: String,
    },
    /// Two checks have the same name.
    DuplicateName {
        /// The duplicate name.
        name: String,
    },
    /// A duration is not within 1 ms to 366 days, or contradicts another duration.
    InvalidDuration {
        /// The name of the check.
        name: String,
        /// The name of the option.
        option: &'static str,
        /// The value as configured.
        value: Duration,
        /// The problem with the value, and its correction.
        message: String,
    },
    /// A threshold is zero: `failures(0)` or `successes(0)`.
    InvalidThreshold {
        /// The name of the check.
        name: String,
        /// The name of the option.
        option: &'static str,
    },
    /// The configuration of a check is invalid, for instance because its limits are in the wrong order.
    InvalidCheck {
        /// The name of the check.
        name: String,
        /// The text from [`Check::validate`](crate::Check::validate).
        message: String,
    },
    /// A name under `checks` in the settings matches no check, or more than one.
    UnknownSetting {
        /// The name as configured, cut to 64 characters.
        name: String,
        /// The names of all checks.
        checks: Vec<String>,
    },
    /// The settings have an option that does not exist, or a value that the option does not accept.
    InvalidSetting {
        /// The name of the check; `defaults` for an option of the defaults; `inserted` for an invalid name under
        /// `inserted`.
        name: String,
        /// The option as configured, cut to 64 characters.
        option: String,
        /// The problem and its correction.
        message: String,
    },
    /// A check of kind [`Kind::Dependency`](crate::Kind::Dependency) was added to liveness or startup.
    DependencyInProbe {
        /// The name of the check.
        name: String,
        /// The probe: liveness or startup.
        probe: Probe,
    },
    /// A liveness or startup check depends, directly or indirectly, on a check of kind `Dependency`.
    ProbeBehindDependency {
        /// The name of the check.
        name: String,
        /// The probe: liveness or startup.
        probe: Probe,
        /// The name of the check of kind `Dependency` on which it depends.
        upstream: String,
    },
    /// `depends_on` names a check that does not exist.
    UnknownDependency {
        /// The name of the check that has the dependency.
        name: String,
        /// The missing name, which no check has.
        missing: String,
    },
    /// The dependencies of checks form a cycle.
    DependencyCycle {
        /// The names along the cycle. The first name is repeated at the end.
        path: Vec<String>,
    },
    /// A Critical check depends on an Optional one.
    CriticalBehindOptional {
        /// The name of the Critical check.
        name: String,
        /// The name of the Optional check.
        upstream: String,
    },
}

/// Returns the option that adds a check to a probe, for error texts.
fn option(probe: Probe) -> &'static str {
    match probe {
        Probe::Liveness => "liveness",
        Probe::Readiness => "readiness",
        Probe::Startup => "startup",
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Several { mistakes } => {
                write!(f, "{} mistakes:", mistakes.len())?;
                mistakes.iter().try_for_each(|mistake| write!(f, "\n- {mistake}"))
            }
            Self::Located { at, mistake } => write!(f, "{}: {mistake}", at.join(", ")),
            Self::NoRuntime => f.write_str(
                "start() must be called inside a Tokio runtime: call it in an async fn under #[tokio::main] or \
                 #[actix_web::main], or after entering a runtime with Runtime::enter()",
            ),
            Self::NoTimer => f.write_str(
                "the Tokio runtime has no timer, which deadlines need: build it with enable_time() or enable_all()",
            ),
            Self::Stopped => {
                f.write_str("the checks have been stopped: insert checks and apply settings before stop()")
            }
            Self::RuntimeEnded => f.write_str(
                "the Tokio runtime in which start() was called has ended, so the check would never run: insert checks \
                 before it ends, or call start() in a runtime that lasts as long as the service",
            ),
            Self::InvalidName { name, message } => write!(
                f,
                "invalid name {name:?}: {message}; use 1 to 64 letters, digits, '_', '-' or '.', at least one of \
                 them not a dot"
            ),
            Self::InvalidTag { name, tag, message } => write!(
                f,
                "check {name:?}: invalid tag {tag:?}: {message}; use 1 to 64 letters, digits, '_', '-' or '.', at \
                 least one of them not a dot"
            ),
            Self::InvalidGroup { group, message } => write!(
                f,
                "invalid group {group:?}: {message}; use 1 to 64 letters, digits, '_', '-' or '.', at least one of \
                 them not a dot, but neither \"starting\" nor \"shutdown\""
            ),
            Self::NameOfGroup { name } => write!(
                f,
                "a check and a group are both called {name:?}, so a line of a response would be ambiguous: rename the \
                 check or the group's tag"
            ),
            Self::SeveralGroups { name, groups } => write!(
                f,
                "check {name:?} has the tags of several groups, {}, but can be a member of one group only: keep one of \
                 these tags, or group by another tag",
                groups.join(", ")
            ),
            Self::InvalidGrpcService { name, meaning } => {
                write!(f, "grpc_service({name:?}) already means {meaning}: choose another name")
            }
            Self::ReservedName { name } => {
                write!(f, "the name {name:?} is reserved for the lifecycle lines of the text output: choose another")
            }
            Self::DuplicateName { name } => {
                write!(f, "two checks are called {name:?}: give each check a name of its own")
            }
            Self::InvalidDuration { name, option, value, message } => {
                write!(f, "check {name:?}: {option}({value:?}) is not usable: {message}")
            }
            Self::InvalidThreshold { name, option } => {
                write!(f, "check {name:?}: {option}(0) can never be reached: use 1 or more")
            }
            Self::InvalidCheck { name, message } => write!(f, "check {name:?}: {message}"),
            Self::UnknownSetting { name, checks } => write!(
                f,
                "the settings name a check {name:?}, which does not exist{}: correct the name, remove it, or move it \
                 to \"inserted\" if it is inserted later; existing checks: {}",
                hint(name, checks.iter().map(String::as_str)),
                checks.join(", ")
            ),
            Self::InvalidSetting { name, option, message } => {
                write!(f, "the settings of {name:?} have {option:?}: {message}")
            }
            Self::DependencyInProbe { name, probe } => write!(
                f,
                "check {name:?} is of kind Dependency, so .{0}() is refused: other instances share what it checks, and \
                 a failing {probe} probe kills the container, so an outage would {1}. Leave the check in readiness, \
                 call .local() if only this process or host can cause its failure, or call .{0}_despite_dependency()",
                option(*probe),
                if *probe == Probe::Startup { "loop every rollout" } else { "restart the whole fleet" },
            ),
            Self::ProbeBehindDependency { name, probe, upstream } => write!(
                f,
                "check {name:?} counts for {probe}, but depends, directly or through other checks, on {upstream:?}, \
                 which is of kind Dependency and shared with other instances: remove the depends_on, remove {name:?} \
                 from {probe}, or call .{}_despite_dependency()",
                option(*probe),
            ),
            Self::UnknownDependency { name, missing } => write!(
                f,
                "check {name:?} depends on {missing:?}, which does not exist: register {missing:?} or correct the name"
            ),
            Self::DependencyCycle { path } => {
                write!(f, "the dependencies of checks form a cycle: {}; remove one depends_on", path.join(" -> "))
            }
            Self::CriticalBehindOptional { name, upstream } => write!(
                f,
                "the critical check {name:?} depends on the optional {upstream:?}, so an optional failure would be \
                 critical: make {upstream:?} .critical() or {name:?} .optional()"
            ),
        }
    }
}

/// Reads like [`Display`](fmt::Display), because a `main` that returns the error prints it in this form.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BuildError {}

/// The error for a name that belongs to no check.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownCheck {
    /// The requested name.
    pub name: String,
}

impl fmt::Display for UnknownCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no check called {:?}", self.name)
    }
}

impl fmt::Debug for UnknownCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for UnknownCheck {}

/// The error of [`Health::mute`](crate::Health::mute) and [`Health::unmute`](crate::Health::unmute).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MuteError {
    /// No check has this name.
    Unknown(UnknownCheck),
    /// The checks have been stopped, so their last statuses are final.
    Stopped,
    /// The end of the mute is not in the future.
    Past {
        /// The requested end of the mute.
        until: SystemTime,
    },
}

impl fmt::Display for MuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown) => unknown.fmt(f),
            Self::Stopped => f.write_str("the checks have been stopped: mute before stop()"),
            Self::Past { until } => write!(f, "{} has passed: mute until a later time", rfc3339(*until)),
        }
    }
}

impl fmt::Debug for MuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for MuteError {}

/// The error of [`Health::remove`](crate::Health::remove). No check was removed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoveError {
    /// No check has this name.
    Unknown(UnknownCheck),
    /// Other checks depend on the check and must be removed first.
    HasDependants {
        /// The name of the check that was not removed.
        name: String,
        /// The names of the checks that depend on it.
        dependants: Vec<String>,
    },
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown) => unknown.fmt(f),
            Self::HasDependants { name, dependants } => {
                write!(
                    f,
                    "check {name:?} was not removed: first remove the checks that depend on it: {}",
                    dependants.join(", ")
                )
            }
        }
    }
}

impl fmt::Debug for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for RemoveError {}
