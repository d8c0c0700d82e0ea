//! The status page: one document without scripts, with one constant style sheet. All functions are pure.
//!
//! The order of the page is: the verdict, its causes, the checks that wait for them, failing checks, checks with an
//! unknown status, degraded checks, and the healthy checks, folded. Every age counts from the printed time.

mod check;
pub(crate) mod context;
mod figures;
mod rows;
mod verdict;
mod words;

use bytes::Bytes;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    model::{
        report::{Report, Subject},
        status::{Probe, Reason, Status},
    },
    render::html::{
        context::{Context, Paths, subject_name},
        figures::{Mark, shape, shapes},
        rows::Rows,
        verdict::verdict,
        words::{capital, moment},
    },
};

/// The style sheet. A change of the style sheet requires a new hash in [`POLICY`].
const STYLE: &str = include_str!("style.css");

/// The Content Security Policy of the page. It allows only the style sheet, by its hash, and the icon.
pub(crate) const POLICY: &str = concat!(
    "default-src 'none'; style-src 'sha256-Hy1t+T9ov7ILWYHNgFHlC1Ksuffudyyeak5FOj2d0qc='; ",
    "img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
);

/// The times, in seconds, after which a page can declare itself old. The style sheet has a class for each of them.
const STEPS: [u64; 15] = [5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1_800, 3_600];

/// Writes the page of a report, or of one check.
pub(crate) fn page(report: &Report, context: Context<'_>) -> Bytes {
    let paths = Paths::of(&report.subject, context.base);
    // At `Status` a caller does not see reasons, so that unknown is shown as Unhealthy or Degraded.
    let mark = Mark::of(report.status, context.is_unknown && context.sees_names());
    let body = match (&report.subject, report.checks.first()) {
        (Subject::Check(_), Some(check)) if context.sees_names() => check::body(check, context),
        _ if context.sees_names() => report_body(report, &paths, context),
        _ => PreEscaped(String::new()),
    };
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title(report, mark, context)) }
                link rel="icon" href=(PreEscaped(mark.icon()));
                style { (PreEscaped(STYLE)) }
            }
            body class={ "old-" (step(context.expires_in)) } {
                (shapes())
                main {
                    (verdict(report, mark, &paths, context))
                    (body)
                    (footer(report, &paths, context))
                }
                p class="late" data-at={ (moment(context.now)) " UTC" } {}
            }
        }
    };
    let body = Bytes::from(markup.into_string());
    // The first clone of an owned buffer allocates. Later clones, made for requests, do not.
    let _ = body.clone();
    body
}

/// Rounds a time down to a step. A time below the first step becomes the first step, so that there is time to read the
/// page.
fn step(seconds: u64) -> u64 {
    STEPS.iter().rev().find(|step| **step <= seconds).copied().unwrap_or(STEPS[0])
}

fn title(report: &Report, mark: Mark, context: Context<'_>) -> String {
    let mut title = format!("{} {}", mark.character(), capital(report.status));
    if context.sees_names() {
        let cause = report.root_causes.first().map(|name| &**name);
        let words = match (&report.subject, cause) {
            (Subject::Check(name), _) => Some(name.to_string()),
            (subject, cause) => match (subject_name(subject), cause) {
                (Some(subject), Some(cause)) => Some(format!("{subject}, {cause}")),
                (subject, cause) => subject.or(cause).map(str::to_owned),
            },
        };
        if let Some(words) = words {
            title = format!("{title}: {words}");
        }
    }
    match report.service.as_ref().filter(|_| context.sees_all()) {
        Some(service) => format!("{title} – {service}"),
        None => title,
    }
}

fn report_body(report: &Report, paths: &Paths, context: Context<'_>) -> Markup {
    let with_mark = |mark| Rows {
        checks: report.listed().filter(|check| Mark::of_check(check) == mark).collect(),
        groups: report.groups.iter().map(|group| &**group).filter(|group| Mark::of_group(group) == mark).collect(),
    };
    let (failing, unknown) = (with_mark(Mark::Unhealthy), with_mark(Mark::Unknown));
    let (degraded, healthy) = (with_mark(Mark::Degraded), with_mark(Mark::Healthy));
    let table = |rows: &Rows<'_>, words: &str| rows.table(words, paths, context);
    html! {
        (probes(paths, context))
        @if !failing.is_empty() { h2 { "Failing " span { (failing.len()) } } (table(&failing, "Failing checks")) }
        @if !unknown.is_empty() {
            h2 { "Unknown " span { (unknown.len()) } }
            (table(&unknown, "Checks without a current result"))
        }
        @if !degraded.is_empty() { h2 { "Degraded " span { (degraded.len()) } } (table(&degraded, "Degraded checks")) }
        @if !healthy.is_empty() {
            details open[failing.is_empty() && unknown.is_empty() && degraded.is_empty()] {
                summary { h2 { "Healthy " span { (healthy.len()) } } }
                (table(&healthy, "Healthy checks"))
            }
        }
    }
}

fn probes(paths: &Paths, context: Context<'_>) -> Markup {
    let word = |probe: &Probe, status: Status| match (probe, status) {
        (Probe::Startup, Status::Healthy) => "passed",
        (_, status) => status.as_str(),
    };
    let path = |probe: &Probe| match probe {
        Probe::Liveness => "live",
        Probe::Readiness => "ready",
        Probe::Startup => "startup",
    };
    html! {
        nav aria-label="Probes" {
            ul class="probes" {
                @for (probe, verdict) in &context.probes {
                    @let mark = Mark::of(verdict.status, verdict.is_unknown);
                    li {
                        a class=(mark.class()) href={ (paths.below) (path(probe)) } {
                            (shape(mark)) b { (probe_name(*probe)) } " "
                            (verdict.reason.map_or_else(|| word(probe, verdict.status), Reason::as_str))
                        }
                    }
                }
            }
        }
    }
}

fn probe_name(probe: Probe) -> &'static str {
    match probe {
        Probe::Liveness => "Liveness",
        Probe::Readiness => "Readiness",
        Probe::Startup => "Startup",
    }
}

fn footer(report: &Report, paths: &Paths, context: Context<'_>) -> Markup {
    html! {
        footer {
            p {
                "True at " (moment(context.now)) " UTC. Every age counts from then. If this device has slept since, "
                "compare this time with a clock."
            }
            p {
                "Refresh " a href="?refresh=5" { "every 5 s" } ", " a href="?refresh=60" { "every minute" } ", "
                a href="?" { "not at all" }
            }
            p {
                a href="?format=json" { "JSON" } " · " a href="?format=text" { "text" }
                @if context.sees_names() && !matches!(report.subject, Subject::Check(_)) {
                    " · " a href={ (paths.below) "metrics" } { "metrics" }
                }
                @if context.sees_all() { " · health " (env!("CARGO_PKG_VERSION")) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
