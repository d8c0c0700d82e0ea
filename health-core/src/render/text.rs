//! The text format of `/livez`, `/readyz` and `/healthz` of the Kubernetes API server, as in
//! `pkg/server/healthz/healthz.go`: `ok`, or one line per check. The API server withholds the reasons of failures; this
//! renderer writes the public reasons.

use std::{collections::BTreeMap, fmt::Write as _};

use bytes::Bytes;

use crate::model::{
    report::{CheckReport, Report, Subject},
    status::{Reason, Status, Visibility},
};

/// The text of a page that passes, unless the list is requested.
pub(crate) const OK: &[u8] = b"ok";

/// The largest number of names in the warning about names that cannot be excluded.
const NAMES_ECHOED: usize = 10;

/// Writes the negotiated text document: always the list, which ends with `health check passed` or
/// `health check failed`.
pub(crate) fn document(report: &Report, visibility: Visibility) -> Bytes {
    list(report, "health", visibility)
}

/// Writes the text of a Kubernetes path: [`list`], or [`one_check`] on the page of a check.
pub(crate) fn kubernetes(report: &Report, name: &str, visibility: Visibility) -> Bytes {
    match (&report.subject, report.checks.first()) {
        (Subject::Check(_), Some(check)) => one_check(check),
        _ => list(report, name, visibility),
    }
}

/// Writes one line per check, and a last line `{name} check passed` or `{name} check failed`. At [`Visibility::Status`]
/// it writes only the last line.
fn list(report: &Report, name: &str, visibility: Visibility) -> Bytes {
    let mut text = String::new();
    if visibility > Visibility::Status {
        lines(&mut text, report, &|_| false);
    }
    close(text, name, report.status)
}

/// Returns the status of a report in which the checks named in `excluded` do not count, and its text: `ok` if the
/// report passes and `verbose` is `false`, otherwise the list.
pub(crate) fn excluding(report: &Report, name: &str, excluded: &[String], verbose: bool) -> (Status, Bytes) {
    // Sorted once, so that a request with many names costs no comparison of each name with each check.
    let mut names: Vec<&str> = excluded.iter().map(String::as_str).collect();
    names.sort_unstable();
    let excludes = |check: &CheckReport| names.binary_search(&&*check.name).is_ok();
    let mut text = String::new();
    let worst = lines(&mut text, report, &excludes);
    let status = if report.reason.is_some() { Status::Unhealthy } else { worst };
    if status != Status::Unhealthy && !verbose {
        return (status, Bytes::from_static(OK));
    }
    warn_of_unknown(&mut text, report, excluded);
    (status, close(text, name, status))
}

/// Writes the page of one check.
fn one_check(check: &CheckReport) -> Bytes {
    match (check.status, check.reason) {
        (Status::Unhealthy, reason) => {
            let reason = reason.unwrap_or(Reason::Failed);
            close_text(format!("[-]{} failed: {reason}\n", check.name))
        }
        _ => Bytes::from_static(OK),
    }
}

/// The members of a group that are not excluded, by the status with which they count.
struct Members<'r> {
    name: &'r str,
    worst: Status,
    /// The reason of the first member that counts with the worst status.
    reason: Option<Reason>,
    /// The number of members that count with the worst status.
    of_worst: usize,
    all: usize,
}

impl<'r> Members<'r> {
    fn new(name: &'r str) -> Self {
        Self { name, worst: Status::Healthy, reason: None, of_worst: 0, all: 0 }
    }

    fn add(&mut self, counted: Status, reason: Option<Reason>) {
        self.all += 1;
        if counted > self.worst {
            (self.worst, self.reason, self.of_worst) = (counted, reason, 0);
        }
        self.of_worst += usize::from(counted == self.worst);
    }

    fn line(&self, text: &mut String) {
        let Self { name, of_worst, all, .. } = self;
        // Writing to memory cannot fail.
        let _ = match self.worst {
            Status::Healthy => writeln!(text, "[+]{name} ok ({of_worst} of {all})"),
            Status::Degraded => writeln!(text, "[+]{name} ok (degraded) ({of_worst} of {all})"),
            Status::Unhealthy => {
                writeln!(text, "[-]{name} failed: {} ({of_worst} of {all})", self.reason.unwrap_or(Reason::Failed))
            }
        };
    }
}

/// Writes the lines, and returns the worst status among the checks that are not excluded. A group has one line, which
/// leaves out its excluded members. An excluded member has its own line.
fn lines(text: &mut String, report: &Report, excludes: &dyn Fn(&CheckReport) -> bool) -> Status {
    let mut worst = Status::Healthy;
    let mut groups: BTreeMap<usize, Members<'_>> = BTreeMap::new();
    for check in &report.checks {
        let name = &check.name;
        // Writing to memory cannot fail.
        let _ = if excludes(check) {
            writeln!(text, "[+]{name} excluded: ok")
        } else {
            let status = report.counted(check);
            worst = worst.max(status);
            if let Some(group) = report.group_of(check) {
                groups.entry(group.position).or_insert_with(|| Members::new(&group.name)).add(status, check.reason);
                continue;
            }
            match status {
                Status::Healthy => writeln!(text, "[+]{name} ok"),
                Status::Degraded => writeln!(text, "[+]{name} ok (degraded)"),
                Status::Unhealthy => writeln!(text, "[-]{name} failed: {}", check.reason.unwrap_or(Reason::Failed)),
            }
        };
    }
    groups.values().for_each(|members| members.line(text));
    if !matches!(report.subject, Subject::Check(_)) {
        let failed = match report.reason {
            Some(reason @ Reason::Starting) => Some(("starting", reason)),
            Some(reason @ (Reason::Draining | Reason::Stopped)) => Some(("shutdown", reason)),
            _ => None,
        };
        if let Some((line, reason)) = failed {
            // Writing to memory cannot fail.
            let _ = writeln!(text, "[-]{line} failed: {reason}");
        }
    }
    worst
}

/// Writes the warning of kube-apiserver about excluded names that match no check. The names are sorted and quoted. A
/// name that no check could have is written as `?`, and at most [`NAMES_ECHOED`] names are written.
fn warn_of_unknown(text: &mut String, report: &Report, excluded: &[String]) {
    let could_be_a_name = |name: &str| {
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let mut known: Vec<&str> = report.checks.iter().map(|check| &*check.name).collect();
    known.sort_unstable();
    let mut unknown: Vec<&str> = excluded
        .iter()
        .filter(|name| known.binary_search(&name.as_str()).is_err())
        .map(|name| if could_be_a_name(name) { name.as_str() } else { "?" })
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() {
        return;
    }
    let names: Vec<String> = unknown.iter().take(NAMES_ECHOED).map(|name| format!("\"{name}\"")).collect();
    let _ = writeln!(text, "warn: some health checks cannot be excluded: no matches for {}", names.join(","));
}

fn close(mut text: String, name: &str, status: Status) -> Bytes {
    text.push_str(name);
    text.push_str(if status == Status::Unhealthy { " check failed\n" } else { " check passed\n" });
    close_text(text)
}

fn close_text(text: String) -> Bytes {
    let shared = Bytes::from(text);
    // The first clone of an owned buffer allocates. Later clones, made for requests, do not.
    let _ = shared.clone();
    shared
}

#[cfg(test)]
mod tests {
    use super::{super::samples, *};

    #[test]
    fn golden_answers() {
        let report = samples::report();
        assert_eq!(list(&report, "healthz", Visibility::Status), "healthz check failed\n");
        assert_eq!(
            list(&report, "healthz", Visibility::Checks),
            "[-]database failed: unreachable\n[+]jobs ok\n[+]later ok (degraded)\nhealthz check failed\n"
        );
        assert_eq!(document(&samples::healthy(), Visibility::Full), "[+]jobs ok\nhealth check passed\n");
        assert_eq!(one_check(&samples::one_check().checks[0]), "[-]database failed: unreachable\n");
    }

    #[test]
    fn an_excluded_failure_does_not_count() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let report = samples::report();
        assert_eq!(excluding(&report, "readyz", &names(&["database"]), false), (Status::Degraded, OK.into()));
        let (status, text) = excluding(&report, "readyz", &names(&["nope", "x y", "database", "a", "a"]), true);
        assert_eq!(status, Status::Degraded);
        assert_eq!(
            text,
            "[+]database excluded: ok\n[+]jobs ok\n[+]later ok (degraded)\n\
             warn: some health checks cannot be excluded: no matches for \"?\",\"a\",\"nope\"\nreadyz check passed\n"
        );
        assert_eq!(excluding(&report, "readyz", &names(&["jobs"]), false).0, Status::Unhealthy);
    }

    #[test]
    fn lifecycle_lines_cannot_be_excluded() {
        for (reason, line) in
            [(Reason::Starting, "starting"), (Reason::Draining, "shutdown"), (Reason::Stopped, "shutdown")]
        {
            let mut report = samples::healthy();
            report.reason = Some(reason);
            let (status, text) = excluding(&report, "readyz", &[line.to_owned()], false);
            assert_eq!(status, Status::Unhealthy);
            let text = String::from_utf8(text.to_vec()).unwrap();
            assert!(text.contains(&format!("[-]{line} failed: {reason}\n")), "{text}");
        }
    }
}
