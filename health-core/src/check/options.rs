//! The options of a registered check: one table, which every use of an option is made from.

use std::time::Duration;

#[cfg(feature = "serde")]
use crate::check::{error::InvalidCheck, setting::Setting};
use crate::{
    check::Check,
    model::status::{Impact, Kind, Membership, Probe},
};

/// Writes the table of options out for the macro `$make`: [`options`] makes the fields and what settings set, and
/// `registration` the methods.
///
/// - `durations` and `counts` have a method with the named argument, and a setting.
/// - `flags` have a method that turns them on, and a setting.
/// - `probes` have a method and a setting for each way to join.
/// - `lists` have a method that adds one word, and a setting of the field's name.
/// - `methods` and `settings` hold what fits none of these.
macro_rules! option_table {
    ($make:ident) => {
        $make! {
            durations {
                /// Sets the time from the start of one run to the start of the next while the check is healthy, ±10 %.
                /// Default 5 s.
                ///
                /// With it, a request does not wake the check before its interval is over: see
                /// [`max_age`](Self::max_age).
                every(interval);

                /// Sets the spacing of runs while the check is not healthy, ±10 %. Default a fifth of the interval,
                /// within 1 s to 60 s and at most the interval. After ten failed runs in a row it doubles, up to the
                /// interval.
                recheck(spacing);

                /// Sets the age from which on a request wakes the check, at most once in this time. Default 1 s with
                /// the default interval, and the interval itself where [`every`](Self::every) is given.
                max_age(age);

                /// Sets the deadline of one run. When it passes, the run is cancelled and the outcome `timeout` is
                /// published. Default 2 s.
                timeout(deadline);

                /// Sets the age from which on a result counts as Unhealthy with the reason `stale`. Default three
                /// intervals and a timeout.
                stale_after(age);

                /// Sets the duration above which a healthy run counts as Degraded with the reason `slow`. Default: none.
                slow_above(duration);
            }
            counts {
                /// Sets how many runs in a row must fail before a good check turns Unhealthy; until then it is Degraded
                /// with the real reason. Default 1. Before the first success one failure is enough.
                failures(in_a_row);

                /// Sets how many runs in a row must succeed before an Unhealthy check turns good again. Default 1. Before
                /// the first success one is enough.
                successes(in_a_row);
            }
            flags {
                /// Runs the check until its first success, and keeps that result: for migrations and the like.
                once;

                /// Counts for readiness, which measures do not by default.
                readiness;

                /// Leaves the check out of the series per check: on the metrics page, through the `metrics` facade and
                /// OpenTelemetry, and in DogStatsD. It counts for the totals as before. For checks by the hundred, such as
                /// one per tenant.
                no_metrics;
            }
            probes {
                liveness {
                    /// Counts for liveness, too: a failure gets this process restarted. Refused for anything shared with
                    /// other instances, because an outage would restart all of them.
                    liveness => LocalOnly;

                    /// Counts for liveness although other instances share what the check looks at. An outage restarts
                    /// all of them.
                    liveness_despite_dependency => DespiteDependency;
                }
                startup {
                    /// Counts for startup, too: until the check has succeeded once, startup is 503. Refused for anything
                    /// shared with other instances, because an outage would loop every rollout.
                    startup => LocalOnly;

                    /// Counts for startup although other instances share what the check looks at. An outage stops every
                    /// rollout.
                    startup_despite_dependency => DespiteDependency;
                }
            }
            lists {
                /// Does not run the check while the last run of the named check failed, and shows the reason
                /// `dependency` while that check is Unhealthy. The check runs at once when the named check recovers. Can be given
                /// several times.
                depends_on => depends_on(name);

                /// Adds the check to a group of your own, answered at `/health/tags/{tag}`. Can be given several times.
                tags => tag(tag);
            }
            methods {
                /// Sets the impact of a failure to Optional: it makes the report Degraded at most.
                optional(options) { options.impact = Some(Impact::Optional); }

                /// Sets the impact of a failure to Critical: it makes the report Unhealthy.
                critical(options) { options.impact = Some(Impact::Critical); }

                /// Declares that only this process or host can cause a failure, so that the check may count for liveness
                /// and startup.
                local(options) { options.kind = Kind::Local; }

                /// Counts for no probe, only for the full report, its tags and its own page.
                report_only(options) { options.report_only(); }
            }
            settings {
                impact(options, value) { options.impact = Some(value.impact()?); }
                local(options, value) { options.kind = if value.flag()? { Kind::Local } else { Kind::Dependency }; }
                report_only(options, value) {
                    if !value.flag()? {
                        return Err(value.refused("say readiness, liveness or startup instead"));
                    }
                    options.report_only();
                }
            }
        }
    };
}

pub(super) use option_table;

/// The way a check was added to liveness or startup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// Refused if anything shared with other instances can fail the check.
    LocalOnly,
    /// Accepted in any case.
    DespiteDependency,
}

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
        /// The options of one check as given; `None` where nothing was.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct Options {
            $(pub(crate) $duration: Option<Duration>,)+
            $(pub(crate) $count: Option<u32>,)+
            $(pub(crate) $flag: bool,)+
            $(pub(crate) $probe: Option<Joining>,)+
            $(pub(crate) $list: Vec<String>,)+
            pub(crate) kind: Kind,
            pub(crate) impact: Option<Impact>,
            /// The impact of the check itself, where none is given.
            own_impact: Impact,
            pub(crate) asks_a_service: bool,
            pub(crate) proves: &'static str,
        }

        impl Options {
            /// The options of a check to which none was given.
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

            /// The durations by name.
            pub(crate) fn durations(&self) -> impl Iterator<Item = (&'static str, Option<Duration>)> {
                [$((stringify!($duration), self.$duration)),+].into_iter()
            }

            /// The counts by name.
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

            /// Sets an option by the name of its setting. Returns `false` if there is no such setting.
            ///
            /// # Errors
            ///
            /// The value is not usable.
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

/// Returns how a check counts for a probe after a setting: joined in this way, or out of it. `false` for the plain way
/// ends either.
#[cfg(feature = "serde")]
fn joined(before: Option<Joining>, way: Joining, is_in: bool) -> Option<Joining> {
    if is_in { Some(way) } else { before.filter(|before| *before != way && way != Joining::LocalOnly) }
}

impl Options {
    /// The impact as given, or else that of the check itself.
    pub(crate) fn impact(&self) -> Impact {
        self.impact.unwrap_or(self.own_impact)
    }

    /// Takes the check out of every probe.
    pub(crate) fn report_only(&mut self) {
        self.readiness = false;
        self.liveness = None;
        self.startup = None;
    }

    /// The way in which the check counts for a probe; `None` if it does not.
    pub(crate) fn joins(&self, probe: Probe) -> Option<Joining> {
        match probe {
            Probe::Liveness => self.liveness,
            Probe::Startup => self.startup,
            Probe::Readiness => self.readiness.then_some(Joining::DespiteDependency),
        }
    }
}
