//! The JSON document of this crate: compact JSON with `status` first. A report contains its checks by name. The page of
//! one check is the object of that check.

use bytes::Bytes;

use super::writer::{Around, Writer};
use crate::model::{
    group::GroupReport,
    report::{CheckReport, Report, Subject},
    status::{Impact, Status, Visibility},
};

/// Writes a report, or the page of one check.
pub(crate) fn document(report: &Report, visibility: Visibility) -> Bytes {
    match (&report.subject, report.checks.first()) {
        (Subject::Check(_), Some(check)) => {
            let mut writer = Writer::default();
            writer.object(|w| {
                members(w, check, visibility);
                if visibility == Visibility::Full {
                    uptime(w, check, report);
                    history(w, check);
                }
            });
            writer.finish()
        }
        _ => whole(report, visibility),
    }
}

fn whole(report: &Report, visibility: Visibility) -> Bytes {
    let Around { before, after } = around(report, visibility);
    let mut writer = Writer::with(before);
    report.listed().filter(|_| visibility > Visibility::Status).for_each(|check| part(&mut writer, check, visibility));
    writer.after_gap(&after);
    writer.finish()
}

/// Returns the text of a report before its checks and after them.
pub(crate) fn around(report: &Report, visibility: Visibility) -> Around {
    Writer::around(|w| {
        w.name("status").string(report.status.as_str());
        if visibility == Visibility::Status {
            return;
        }
        if let Some(reason) = report.reason {
            w.name("reason").string(reason.as_str());
        }
        if !report.root_causes.is_empty() {
            w.name("root_causes").array(|w| report.root_causes.iter().for_each(|name| w.string(name)));
        }
        if visibility == Visibility::Full {
            if let Some(service) = &report.service {
                w.name("service").string(service);
            }
            if let Some(version) = &report.version {
                w.name("version").string(version);
            }
            w.name("lifecycle").string(report.lifecycle.as_str());
            w.name("uptime_seconds").integer(report.uptime.as_secs());
        }
        w.name("checks").object(|w| {
            w.gap();
            report.groups.iter().for_each(|it| group(w, it));
        });
    })
}

/// Writes the JSON member of one group in a report. It represents the checks of the group as one check with the name of
/// the group.
fn group(w: &mut Writer, group: &GroupReport) {
    w.name(&group.name).object(|w| {
        w.name("status").string(group.status.as_str());
        if let Some(reason) = group.reason {
            w.name("reason").string(reason.as_str());
        }
        w.name("members").object(|w| {
            Status::ALL.iter().for_each(|status| w.name(status.as_str()).integer(group.count(*status)));
        });
        if !group.not_healthy.is_empty() {
            w.name("not_healthy").array(|w| group.not_healthy.iter().for_each(|name| w.string(name)));
        }
    });
}

/// Writes the JSON member of one check in a report.
pub(crate) fn part(w: &mut Writer, check: &CheckReport, visibility: Visibility) {
    w.name(&check.name).object(|w| members(w, check, visibility));
}

fn members(w: &mut Writer, check: &CheckReport, visibility: Visibility) {
    w.name("status").string(check.status.as_str());
    if let Some(reason) = check.reason {
        w.name("reason").string(reason.as_str());
    }
    w.name("critical").bool(check.impact == Impact::Critical);
    if let Some(at) = check.checked_at {
        w.name("checked_at").moment(at);
    }
    if let Some(duration) = check.duration {
        w.name("duration_ms").milliseconds(duration);
    }
    if let Some(since) = check.since {
        w.name("since").moment(since);
    }
    if let Some(muted) = &check.muted {
        w.name("muted_until").moment(muted.until);
    }
    if visibility == Visibility::Full {
        full(w, check);
    }
}

fn full(w: &mut Writer, check: &CheckReport) {
    if let Some(message) = &check.message {
        w.name("message").string(message);
    }
    if let Some(note) = check.muted.as_ref().and_then(|muted| muted.note.as_deref()) {
        w.name("mute_note").string(note);
    }
    if !check.observed.is_empty() {
        w.name("observed").object(|w| {
            for observed in check.observed.iter() {
                w.name(&observed.name).object(|w| {
                    w.name("value").number(observed.value);
                    if !observed.unit.is_empty() {
                        w.name("unit").string(&observed.unit);
                    }
                    for (name, limit) in observed.limits.named() {
                        if let Some(limit) = limit {
                            w.name(name).number(limit);
                        }
                    }
                });
            }
        });
    }
    if !check.details.is_empty() {
        w.name("details").object(|w| check.details.iter().for_each(|(key, value)| w.name(key).value(value)));
    }
    w.name("kind").string(check.kind.as_str());
    if !check.traits.tags.is_empty() {
        w.name("tags").array(|w| check.traits.tags.iter().for_each(|tag| w.string(tag)));
    }
    w.name("interval_ms").milliseconds(check.traits.interval);
    w.name("timeout_ms").milliseconds(check.traits.timeout);
    w.name("consecutive_failures").integer(check.consecutive_failures);
    w.name("consecutive_successes").integer(check.consecutive_successes);
    if !check.caused_by.is_empty() {
        w.name("caused_by").array(|w| check.caused_by.iter().for_each(|name| w.string(name)));
    }
}

fn uptime(w: &mut Writer, check: &CheckReport, report: &Report) {
    if let Some(uptime) = check.uptime_at(report.uptime) {
        w.name("uptime").object(|w| {
            w.name("share").number(uptime.share().into());
            w.name("coverage").number(uptime.coverage().into());
            w.name("since").moment(uptime.since());
        });
    }
}

fn history(w: &mut Writer, check: &CheckReport) {
    w.name("history").array(|w| {
        for result in check.history.results() {
            w.object(|w| {
                w.name("at").moment(result.at);
                w.name("status").string(result.status.as_str());
                if let Some(reason) = result.reason {
                    w.name("reason").string(reason.as_str());
                }
                w.name("duration_ms").milliseconds(result.duration);
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{super::samples, *};

    #[test]
    fn golden_answers() {
        let report = samples::report();
        assert_eq!(document(&report, Visibility::Status), r#"{"status":"unhealthy"}"#);
        assert_eq!(
            document(&report, Visibility::Checks),
            concat!(
                r#"{"status":"unhealthy","root_causes":["database"],"checks":{"#,
                r#""database":{"status":"unhealthy","reason":"unreachable","critical":true,"#,
                r#""checked_at":"2026-01-05T08:00:00.123Z","duration_ms":1.42,"since":"2026-01-05T07:59:58.001Z"},"#,
                r#""jobs":{"status":"healthy","critical":false,"#,
                r#""checked_at":"2026-01-05T08:00:00.123Z","duration_ms":0.31,"since":"2026-01-05T07:59:58.001Z"},"#,
                r#""later":{"status":"unhealthy","reason":"pending","critical":false}}}"#,
            )
        );
        assert_eq!(
            document(&report, Visibility::Full),
            concat!(
                r#"{"status":"unhealthy","root_causes":["database"],"service":"orders","version":"1.4.2","#,
                r#""lifecycle":"ready","uptime_seconds":61,"checks":{"#,
                r#""database":{"status":"unhealthy","reason":"unreachable","critical":true,"#,
                r#""checked_at":"2026-01-05T08:00:00.123Z","duration_ms":1.42,"since":"2026-01-05T07:59:58.001Z","#,
                r#""message":"connection refused","kind":"dependency","tags":["sql"],"interval_ms":5000,"#,
                r#""timeout_ms":2000,"consecutive_failures":3,"consecutive_successes":0},"#,
                r#""jobs":{"status":"healthy","critical":false,"#,
                r#""checked_at":"2026-01-05T08:00:00.123Z","duration_ms":0.31,"since":"2026-01-05T07:59:58.001Z","#,
                r#""observed":{"length":{"value":42,"unit":"messages"},"ratio":{"value":0.5}},"#,
                r#""details":{"key":"jobs"},"#,
                r#""kind":"local","interval_ms":5000,"timeout_ms":2000,"consecutive_failures":0,"#,
                r#""consecutive_successes":7},"#,
                r#""later":{"status":"unhealthy","reason":"pending","critical":false,"kind":"dependency","#,
                r#""interval_ms":5000,"timeout_ms":2000,"consecutive_failures":0,"consecutive_successes":0}}}"#,
            )
        );
    }

    #[test]
    fn the_page_of_one_check_is_the_object_of_that_check() {
        let report = samples::one_check();
        assert_eq!(
            document(&report, Visibility::Checks),
            concat!(
                r#"{"status":"unhealthy","reason":"unreachable","critical":true,"#,
                r#""checked_at":"2026-01-05T08:00:00.123Z","duration_ms":1.42,"since":"2026-01-05T07:59:58.001Z"}"#,
            )
        );
        let full = document(&report, Visibility::Full);
        let history = concat!(
            r#""history":[{"at":"2026-01-05T08:00:00.123Z","status":"unhealthy","reason":"unreachable","#,
            r#""duration_ms":1.42}]}"#,
        );
        assert!(full.ends_with(history.as_bytes()), "{full:?}");
    }
}
