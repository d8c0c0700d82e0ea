//! The options of a registered check, in one table from which all code for options is generated.

use std::time::Duration;

#[cfg(feature = "serde")]
use crate::check::{error::InvalidCheck, setting::Setting};
use crate::{
    check::Check,
    model::status::{Impact, Kind, Membership, Probe},
};

/// Passes the table of options to the macro `$make`. The macro [`options`] generates the fields and the settings from
/// it, and `methods` in `registration` generates the methods.
///
/// - `durations` and `counts` have a method with the named argument, and a setting.
/// - `flags` have a method that turns them on, and a setting.
/// - `probes` have a method and a setting for each way to join the probe.
/// - `lists` have a method that adds one word, and a setting with the name of the field.
/// - `methods` and `settings` contain the methods and settings that fit none of these groups.
macro_rules! option_table {
    ($make:ident) => {
        $make! {
            durations {
                /// Sets the interval: the time from the start of one run to the start of the next while the check is
                /// Healthy, ±10 %. Default 5 s.
                ///
                /// It also becomes the default of [`max_age`](Self::max_age), so that a request does not wake the check
                /// before its interval is over.
                every(interval);

                /// Sets the spacing of runs while the check is not Healthy, ±10 %. Default a fifth of the interval,
                /// but at least 1 s and at most 60 s, and never more than the interval. It doubles with every failed
                /// run in a row from the tenth on, up to the interval.
                recheck(spacing);

                /// Sets the maximum age of a result: a request whose answer contains an older result wakes the check,
                /// at most once in this time. Default 1 s, or the interval if [`every`](Self::every) is set.
                max_age(age);

                /// Sets the deadline of one run. When it passes, the run is cancelled and an Unhealthy outcome with the
                /// reason `timeout` is published. Default 2 s.
                timeout(deadline);

                /// Sets the age at which a result counts as Unhealthy with the reason `stale`. Default three intervals
                /// plus one timeout. Must be greater than the sum of the interval, a tenth of the interval, and the
                /// timeout.
                stale_after(age);

                /// Sets the duration above which a Healthy run counts as Degraded with the reason `slow`. Default none.
                /// Must be less than the timeout.
                slow_above(duration);
            }
            counts {
                /// Sets how many runs in a row must fail before the check turns Unhealthy. Until then a failing check
                /// is Degraded with the reason of the failure. Default 1. Before the first success one failure is
                /// enough.
                failures(in_a_row);

                /// Sets how many runs in a row must succeed before an Unhealthy check recovers. Default 1. Before the
                /// first success one success is enough.
                successes(in_a_row);
            }
            flags {
                /// Runs the check until its first success, and keeps that result. Intended for checks such as
                /// migrations.
                once;

                /// Adds the check to readiness. Connectivity checks and closures are part of readiness by default,
                /// measures are not.
                readiness;

                /// Omits the check's own metric series: on the metrics page, in the `metrics` facade, in OpenTelemetry
                /// and in DogStatsD. The check still counts for the totals. Intended for services with hundreds of
                /// checks, such as one check per tenant.
                no_metrics;
            }
            probes {
                liveness {
                    /// Adds the check to liveness: a failure causes a restart of this process. A check of kind
                    /// [`Dependency`](crate::Kind::Dependency) is refused when it is registered, because an outage of a
                    /// shared resource would restart every instance.
                    liveness => LocalOnly;

                    /// Adds the check to liveness even if it is of kind [`Dependency`](crate::Kind::Dependency). An
                    /// outage of the shared resource restarts every instance.
                    liveness_despite_dependency => DespiteDependency;
                }
                startup {
                    /// Adds the check to startup: startup is 503 until the check has succeeded once. A check of kind
                    /// [`Dependency`](crate::Kind::Dependency) is refused when it is registered, because an outage of a
                    /// shared resource would loop every rollout.
                    startup => LocalOnly;

                    /// Adds the check to startup even if it is of kind [`Dependency`](crate::Kind::Dependency). An
                    /// outage of the shared resource stops every rollout.
                    startup_despite_dependency => DespiteDependency;
                }
            }
            lists {
                /// Adds a dependency on the named check. This check is held back, so it does not run, while the last
                /// run of the named check failed. It shows the reason `dependency` while the named check is Unhealthy,
                /// and runs at once when the named check recovers. Can be called several times.
                depends_on => depends_on(name);

                /// Adds a tag. The checks with a tag are reported at `/health/tags/{tag}`. Can be called several times.
                tags => tag(tag);
            }
            methods {
                /// Sets the impact to Optional: a failure makes the report Degraded at most.
                optional(options) { options.impact = Some(Impact::Optional); }

                /// Sets the impact to Critical: a failure makes the report Unhealthy.
                critical(options) { options.impact = Some(Impact::Critical); }

                /// Sets the kind to [`Local`](crate::Kind::Local): only this process or host can cause a failure, so
                /// the check may be part of liveness and startup.
                local(options) { options.kind = Kind::Local; }

                /// Removes the check from every probe. It still counts for the full report, its tags and its own page.
                report_only(options) { options.report_only(); }
            }
            settings {
                impact(options, value) { options.impact = Some(value.impact()?); }
                local(options, value) { options.kind = if value.flag()? { Kind::Local } else { Kind::Dependency }; }
                report_only(options, value) {
                    if !value.flag()? {
                        return Err(value.refused("set readiness, liveness or startup instead"));
                    }
                    options.report_only();
                }
            }
        }
    };
}

pub(super) use option_table;

/// The way in which a check was added to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// Refused if the check is of kind `Dependency`.
    LocalOnly,
    /// Accepted for every kind of check.
    DespiteDependency,
}

/// Generates the struct [`Options`] and the code for its settings.
macro_rules! options {
    (
        durations { $($(#[$duration_doc:meta])+ $duration:ident($_d:ident);)+ }
        counts { $($(#[$count_doc:meta])+ $count:ident($_c:ident);)+ }
        flags { $($(#[$flag_doc:meta])+ $flag:ident;)+ }
        probes { $($probe:ident { $($(#[$join_doc:meta])+ $join:ident => $way:ident;)+ })+ }
        lists { $($(#[$list_doc:meta])+ $list:ident => $_l:ident($_w:ident);)+ }
        methods { $($methods:tt)* }
        settings { $($setting:ident($options:ident, $value:ident) $body:block)+ }
    ) => {
        /// The options of one check as set; `None` where an option is not set.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct Options {
            $(pub(crate) $duration: Option<Duration>,)+
            $(pub(crate) $count: Option<u32>,)+
            $(pub(crate) $flag: bool,)+
            $(pub(crate) $probe: Option<Joining>,)+
            $(pub(crate) $list: Vec<String>,)+
            pub(crate) kind: Kind,
            pub(crate) impact: Option<Impact>,
            /// The check's own default of the impact.
            own_impact: Impact,
            pub(crate) asks_a_service: bool,
            pub(crate) proves: &'static str,
        }

        impl Options {
            /// Returns the options of a check on which no option is set.
            pub(crate) fn of(check: &impl Check) -> Self {
                let mut options = Self {
                    $($duration: None,)+
                    $($count: None,)+
                    $($flag: false,)+
                    $($probe: None,)+
                    $($list: Vec::new(),)+
                    kind: check.kind(),
                    impact: None,
                    own_impact: check.impact(),
                    asks_a_service: check.asks_a_service(),
                    proves: check.proves(),
                };
                options.every = check.interval();
                options.readiness = check.membership() == Membership::Readiness;
                options
            }

            /// Iterates over the durations with their names.
            pub(crate) fn durations(&self) -> impl Iterator<Item = (&'static str, Option<Duration>)> {
                [$((stringify!($duration), self.$duration)),+].into_iter()
            }

            /// Iterates over the counts with their names.
            pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, Option<u32>)> {
                [$((stringify!($count), self.$count)),+].into_iter()
            }
        }

        #[cfg(feature = "serde")]
        impl Options {
            /// The names of all settings.
            pub(crate) const SETTINGS: &'static [&'static str] = &[
                $(stringify!($duration),)+
                $(stringify!($count),)+
                $(stringify!($flag),)+
                $($(stringify!($join),)+)+
                $(stringify!($list),)+
                $(stringify!($setting),)+
            ];

            /// Sets an option by the name of its setting. Returns `false` if no setting has this name.
            ///
            /// # Errors
            ///
            /// Returns an error if the option does not accept the value.
            pub(crate) fn set(&mut self, name: &str, value: &Setting) -> Result<bool, InvalidCheck> {
                match name {
                    $(stringify!($duration) => self.$duration = Some(value.duration()?),)+
                    $(stringify!($count) => self.$count = Some(value.count()?),)+
                    $(stringify!($flag) => self.$flag = value.flag()?,)+
                    $($(stringify!($join) => {
                        self.$probe = joined(self.$probe, Joining::$way, value.flag()?);
                    })+)+
                    $(stringify!($list) => self.$list = value.words()?,)+
                    $(stringify!($setting) => {
                        let ($options, $value) = (self, value);
                        $body
                    })+
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}

option_table!(options);

/// Returns the way in which a check is part of a probe after a setting was applied. `way` is the way that the setting
/// stands for, and `is_in` is its value. `LocalOnly` with `false` removes the check, whichever way it joined.
#[cfg(feature = "serde")]
fn joined(before: Option<Joining>, way: Joining, is_in: bool) -> Option<Joining> {
    if is_in { Some(way) } else { before.filter(|before| *before != way && way != Joining::LocalOnly) }
}

impl Options {
    /// Returns the impact as set, or else the check's own default.
    pub(crate) fn impact(&self) -> Impact {
        self.impact.unwrap_or(self.own_impact)
    }

    /// Removes the check from every probe.
    pub(crate) fn report_only(&mut self) {
        self.readiness = false;
        self.liveness = None;
        self.startup = None;
    }

    /// Returns the way in which the check joined a probe; `None` if the check is not part of it.
    pub(crate) fn joins(&self, probe: Probe) -> Option<Joining> {
        match probe {
            Probe::Liveness => self.liveness,
            Probe::Startup => self.startup,
            Probe::Readiness => self.readiness.then_some(Joining::DespiteDependency),
        }
    }
}
