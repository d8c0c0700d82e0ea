//! Errors of building, inserting, removing and muting checks.

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use crate::{config::nearest::hint, model::status::Probe, time::rfc3339};

/// The error of [`Builder::start`](crate::Builder::start), [`Health::insert`](crate::Health::insert) and, with the feature
/// `serde`, `Health::apply`. Its text says what to change.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The builder has more than one mistake.
    Several {
        /// The mistakes: of the runtime, of the settings, of groups, of each check, of the checks together, of gRPC
        /// services.
        mistakes: Vec<BuildError>,
    },
    /// A mistake that comes from what files or variables set: see [`Settings`](crate::Settings).
    Located {
        /// The places that the mistake comes from, the one at fault first: `health.toml:7:1` for line and column of a
        /// file, or the name of a variable.
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
    /// The runtime that runs the checks has ended, so no check that is inserted would run.
    RuntimeEnded,
    /// The name of a check is empty, longer than 64 characters, has a character outside `A-Z a-z 0-9 _ - .`, or
    /// consists of dots alone.
    InvalidName {
        /// The name as given, cut to 64 characters.
        name: String,
        /// What is wrong with the name.
        message: &'static str,
    },
    /// A tag of a check has a name that no check could have: see [`InvalidName`](Self::InvalidName).
    InvalidTag {
        /// The check.
        name: String,
        /// The tag as given, cut to 64 characters.
        tag: String,
        /// What is wrong with the tag.
        message: &'static str,
    },
    /// The name of a group is one that no tag can have: see [`InvalidName`](Self::InvalidName). Or it is reserved for a
    /// lifecycle line of the text output.
    InvalidGroup {
        /// The name as given, cut to 64 characters.
        group: String,
        /// What is wrong with the name.
        message: &'static str,
    },
    /// A check has the name of a group.
    NameOfGroup {
        /// The name of both.
        name: String,
    },
    /// A check has the tags of several groups.
    SeveralGroups {
        /// The check.
        name: String,
        /// The groups.
        groups: Vec<String>,
    },
    /// The name of a gRPC service means something else already.
    InvalidGrpcService {
        /// The name as given.
        name: String,
        /// What the name means.
        meaning: &'static str,
    },
    /// The name is reserved for a lifecycle line of the text output.
    ReservedName {
        /// The name as given.
        name: String,
    },
    /// Two checks have the same name.
    DuplicateName {
        /// The duplicate name.
        name: String,
    },
    /// A duration is not within 1 ms to 366 days, or contradicts another one.
    InvalidDuration {
        /// The check.
        name: String,
        /// The name of the option's method.
        option: &'static str,
        /// The value given.
        value: Duration,
        /// What the value must be.
        message: String,
    },
    /// A threshold is zero: `failures(0)` or `successes(0)`.
    InvalidThreshold {
        /// The check.
        name: String,
        /// The name of the option's method.
        option: &'static str,
    },
    /// The check reports that it is misconfigured, for instance that its limits are in the wrong order.
    InvalidCheck {
        /// The check.
        name: String,
        /// The text from [`Check::validate`](crate::Check::validate).
        message: String,
    },
    /// A name in the settings matches no check, or more than one.
    UnknownSetting {
        /// The name as given, cut to 64 characters.
        name: String,
        /// The names of all checks.
        checks: Vec<String>,
    },
    /// The settings have an option that does not exist, or a value that the option does not accept.
    InvalidSetting {
        /// The check, or `defaults`.
        name: String,
        /// The option as given, cut to 64 characters.
        option: String,
        /// What is wrong, and what to use instead.
        message: String,
    },
    /// A check of kind [`Kind::Dependency`](crate::Kind::Dependency) was added to liveness or startup.
    DependencyInProbe {
        /// The check.
        name: String,
        /// The probe: liveness or startup.
        probe: Probe,
    },
    /// A liveness or startup check depends, directly or indirectly, on a check of kind `Dependency`.
    ProbeBehindDependency {
        /// The check.
        name: String,
        /// The probe: liveness or startup.
        probe: Probe,
        /// The check of kind `Dependency` on which it depends.
        upstream: String,
    },
    /// `depends_on` names a check that does not exist.
    UnknownDependency {
        /// The check.
        name: String,
        /// The name that no check has.
        missing: String,
    },
    /// The dependencies of checks form a cycle.
    DependencyCycle {
        /// The names along the cycle. The first name is repeated at the end.
        path: Vec<String>,
    },
    /// A Critical check depends on an Optional one.
    CriticalBehindOptional {
        /// The Critical check.
        name: String,
        /// The Optional check.
        upstream: String,
    },
}

/// Returns the name of a probe's option, for error texts.
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
                "the Tokio runtime has no timer, so no deadline could hold: build it with enable_time() or enable_all()",
            ),
            Self::Stopped => f.write_str("the checks have been stopped: insert checks and apply settings before stop()"),
            Self::RuntimeEnded => f.write_str(
                "the Tokio runtime in which start() was called has ended, so no check would run: insert checks before it \
                 ends, or call start() in a runtime that lasts as long as the service",
            ),
            Self::InvalidName { name, message } => write!(
                f,
                "invalid name {name:?}: {message}; use 1 to 64 letters, digits, '_', '-' or '.', at least one of them \
                 not a dot"
            ),
            Self::InvalidTag { name, tag, message } => write!(
                f,
                "check {name:?}: invalid tag {tag:?}: {message}; use 1 to 64 letters, digits, '_', '-' or '.', at least \
                 one of them not a dot"
            ),
            Self::InvalidGroup { group, message } => write!(
                f,
                "group({group:?}) is no tag that a group can have: {message}; use 1 to 64 letters, digits, '_', '-' or \
                 '.', at least one of them not a dot, but neither \"starting\" nor \"shutdown\""
            ),
            Self::NameOfGroup { name } => write!(
                f,
                "a check is called {name:?}, as a group is, and a line of an answer could mean either: rename the check \
                 or the group's tag"
            ),
            Self::SeveralGroups { name, groups } => write!(
                f,
                "check {name:?} has the tags of several groups, {}, and only one can stand for it: leave it one of \
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
                "the settings name a check {name:?}, which does not exist{}: correct the name, remove it, or move it to \
                 \"inserted\" if it is inserted later; there are {}",
                hint(name, checks.iter().map(String::as_str)),
                checks.join(", ")
            ),
            Self::InvalidSetting { name, option, message } => {
                write!(f, "the settings of {name:?} have {option:?}: {message}")
            }
            Self::DependencyInProbe { name, probe } => write!(
                f,
                "check {name:?} looks at something shared with other instances, so .{0}() is refused: a failing {probe} \
                 probe kills the container, and an outage of the shared thing would {1}. Leave it in readiness, mark it \
                 .local() if only this process or host can cause its failure, or say .{0}_despite_dependency()",
                option(*probe),
                if *probe == Probe::Startup { "loop every rollout" } else { "restart the whole fleet" },
            ),
            Self::ProbeBehindDependency { name, probe, upstream } => write!(
                f,
                "check {name:?} counts for {probe} and would wait for {upstream:?}, which is shared with other \
                 instances: drop the depends_on, take {name:?} out of {probe}, or say .{}_despite_dependency()",
                option(*probe),
            ),
            Self::UnknownDependency { name, missing } => write!(
                f,
                "check {name:?} depends on {missing:?}, which does not exist: register {missing:?} or correct the name"
            ),
            Self::DependencyCycle { path } => {
                write!(f, "checks depend on each other in a circle: {}; remove one depends_on", path.join(" -> "))
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

/// The error for a name that no check has.
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
        /// The given end of the mute.
        until: SystemTime,
    },
}

impl fmt::Display for MuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown) => unknown.fmt(f),
            Self::Stopped => f.write_str("the checks have been stopped: mute before stop()"),
            Self::Past { until } => write!(f, "{} has passed: mute until a later moment", rfc3339(*until)),
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
        /// The check that was not removed.
        name: String,
        /// The checks that depend on it.
        dependants: Vec<String>,
    },
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown) => unknown.fmt(f),
            Self::HasDependants { name, dependants } => {
                write!(f, "check {name:?} stays: remove what depends on it first: {}", dependants.join(", "))
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
