//! `application/health+json` as in draft-inadarei-api-health-check-06 (an individual draft, which has expired and is
//! work in progress).
//!
//! The statuses are `pass`, `warn` and `fail`. Each measurement is an array with the key `name:measurement`. Every
//! check has the measurement `responseTime`, and a group of checks has `members`. At full visibility each number that
//! the check observed is a further measurement. `output` is the public reason, or the message at full visibility. It is
//! absent on `pass`.

use bytes::Bytes;

use super::writer::{Around, Writer};
use crate::model::{
    group::GroupReport,
    report::{CheckReport, Report, Subject},
    status::{Kind, Status, Visibility},
};

/// Writes a report, or the page of one check, as a document of the draft.
pub(crate) fn document(report: &Report, visibility: Visibility) -> Bytes {
    let Around { before, after } = around(report, visibility);
    let mut writer = Writer::with(before);
    report.listed().filter(|_| visibility > Visibility::Status).for_each(|check| part(&mut writer, check, visibility));
    writer.after_gap(&after);
    writer.finish()
}

/// Returns the text of a document before its checks and after them.
pub(crate) fn around(report: &Report, visibility: Visibility) -> Around {
    Writer::around(|w| {
        w.name("status").string(word(report.status));
        if visibility == Visibility::Status {
            return;
        }
        if visibility == Visibility::Full && !matches!(report.subject, Subject::Check(_)) {
            if let Some(version) = &report.version {
                w.name("releaseId").string(version);
            }
            if let Some(service) = &report.service {
                w.name("serviceId").string(service);
            }
        }
        if let Some(reason) = report.reason {
            w.name("output").string(reason.as_str());
        }
        w.name("checks").object(|w| {
            w.gap();
            report.groups.iter().for_each(|group| members(w, group, visibility));
        });
    })
}

/// Writes the measurement of one group: the number of its Healthy members.
fn members(w: &mut Writer, group: &GroupReport, visibility: Visibility) {
    w.name(&format!("{}:members", group.name)).array(|w| {
        w.object(|w| {
            if visibility == Visibility::Full {
                w.name("componentType").string("component");
            }
            w.name("observedValue").integer(group.count(Status::Healthy));
            w.name("observedUnit").string(&format!("healthy of {}", group.checks()));
            w.name("status").string(word(group.status));
            if let Some(reason) = group.reason {
                w.name("output").string(reason.as_str());
            }
        });
    });
}

/// Writes the measurements of one check.
pub(crate) fn part(w: &mut Writer, check: &CheckReport, visibility: Visibility) {
    measurements(w, check, visibility);
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Healthy => "pass",
        Status::Degraded => "warn",
        Status::Unhealthy => "fail",
    }
}

fn measurements(w: &mut Writer, check: &CheckReport, visibility: Visibility) {
    w.name(&format!("{}:responseTime", check.name)).array(|w| {
        w.object(|w| {
            component(w, check, visibility);
            if let Some(duration) = check.duration {
                w.name("observedValue").milliseconds(duration);
                w.name("observedUnit").string("ms");
            }
            judgement(w, check, visibility);
        });
    });
    if visibility < Visibility::Full {
        return;
    }
    let mut taken = vec!["responseTime".to_owned()];
    for observed in check.observed.iter() {
        // Neither part of a key may contain a colon, and keys must be unique.
        let measurement = observed.name.replace(':', "_");
        if taken.contains(&measurement) {
            continue;
        }
        taken.push(measurement.clone());
        w.name(&format!("{}:{measurement}", check.name)).array(|w| {
            w.object(|w| {
                component(w, check, visibility);
                w.name("observedValue").number(observed.value);
                if !observed.unit.is_empty() {
                    w.name("observedUnit").string(&observed.unit);
                }
                judgement(w, check, visibility);
            });
        });
    }
}

fn component(w: &mut Writer, check: &CheckReport, visibility: Visibility) {
    if visibility < Visibility::Full {
        return;
    }
    w.name("componentType").string(match check.kind {
        Kind::Local => "system",
        Kind::Dependency => "component",
    });
}

fn judgement(w: &mut Writer, check: &CheckReport, visibility: Visibility) {
    w.name("status").string(word(check.status));
    if let Some(at) = check.checked_at {
        w.name("time").moment(at);
    }
    if let Some(muted) = &check.muted {
        w.name("mutedUntil").moment(muted.until);
    }
    if let Some(reason) = check.reason {
        let message = check.message.as_deref().filter(|_| visibility == Visibility::Full);
        w.name("output").string(message.unwrap_or(reason.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::samples, *};

    #[test]
    fn golden_answers() {
        let report = samples::report();
        assert_eq!(document(&report, Visibility::Status), r#"{"status":"fail"}"#);
        assert_eq!(
            document(&report, Visibility::Checks),
            concat!(
                r#"{"status":"fail","checks":{"#,
                r#""database:responseTime":[{"observedValue":1.42,"observedUnit":"ms","#,
                r#""status":"fail","time":"2026-01-05T08:00:00.123Z","output":"unreachable"}],"#,
                r#""jobs:responseTime":[{"observedValue":0.31,"observedUnit":"ms","#,
                r#""status":"pass","time":"2026-01-05T08:00:00.123Z"}],"#,
                r#""later:responseTime":[{"status":"fail","output":"pending"}]}}"#,
            )
        );
        let full = document(&report, Visibility::Full);
        let full = String::from_utf8(full.to_vec()).unwrap();
        assert!(full.starts_with(r#"{"status":"fail","releaseId":"1.4.2","serviceId":"orders","checks":{"#), "{full}");
        assert!(full.contains(r#""output":"connection refused""#), "{full}");
        let length = concat!(
            r#""jobs:length":[{"componentType":"system","observedValue":42,"observedUnit":"messages","#,
            r#""status":"pass","time":"2026-01-05T08:00:00.123Z"}]"#,
        );
        assert!(full.contains(length), "{full}");
    }

    #[test]
    fn documents_have_the_shape_of_the_draft_at_every_visibility() {
        for visibility in Visibility::ALL {
            for report in [samples::report(), samples::one_check()] {
                let body = document(&report, *visibility);
                let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert!(["pass", "warn", "fail"].contains(&value["status"].as_str().unwrap()));
                for (key, list) in value["checks"].as_object().into_iter().flatten() {
                    assert_eq!(key.matches(':').count(), 1, "{key}");
                    for object in list.as_array().unwrap() {
                        assert_eq!(object["status"] == "pass", object.get("output").is_none(), "{object}");
                    }
                }
            }
        }
    }
}
