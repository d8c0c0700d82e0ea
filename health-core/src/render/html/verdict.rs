//! The verdict at the top of the page: the subject, its status, the time since which it holds, and the causes.

use std::time::SystemTime;

use maud::{Markup, PreEscaped, html};

use crate::{
    model::{
        history::Transition,
        report::{CheckReport, Report, Subject},
        status::{Reason, Status},
    },
    render::html::{
        context::{Context, Paths, known_since, reason, subject_name},
        figures::{Mark, shape},
        words::{between, capital, moment, time_of_day},
    },
};

/// Returns the verdict with its causes. The style sheet covers it once the page is old.
pub(super) fn verdict(report: &Report, mark: Mark, paths: &Paths, context: Context<'_>) -> Markup {
    let who = [&report.service, &report.version].into_iter().flatten().filter(|_| context.sees_all());
    let who = who.map(|word| &**word).collect::<Vec<_>>().join(" ");
    html! {
        header class={ "verdict " (mark.class()) } {
            // First in the document, so that a screen reader reads it before the verdict.
            div class="old" data-at={ (moment(context.now)) " UTC" } {}
            p class="who" {
                span {
                    @match (&report.subject, context.sees_names()) {
                        (Subject::All, _) | (_, false) => strong { (if who.is_empty() { "Health" } else { &who }) },
                        (subject, _) => {
                            a href=(paths.home) { (if who.is_empty() { "Health" } else { &who }) }
                            " › " strong { (kind_of(subject)) (subject_name(subject).unwrap_or_default()) }
                        }
                    }
                }
                " "
                time datetime=(crate::time::rfc3339(context.now).as_str()) { (moment(context.now)) " UTC" }
            }
            h1 { (shape(mark)) (capital(report.status)) }
            @if context.sees_names() {
                (summary(report, context))
                (causes(report, paths, context))
            }
        }
    }
}

fn kind_of(subject: &Subject) -> &'static str {
    match subject {
        Subject::Tag(_) => "tag ",
        _ => "",
    }
}

/// Returns the line below the verdict: the reason, and how long the status has held.
fn summary(report: &Report, context: Context<'_>) -> Markup {
    let reason = reason(report);
    html! {
        p class="since" {
            @if let Some(reason) = reason { (reason.as_str()) }
            @if let Some(since) = since(report) {
                @if reason.is_some() { "; " }
                "for " (between(since, context.now)) ", since " (time_of_day(since, context.now)) " UTC"
            } @else if report.checks.is_empty() {
                "no checks"
            }
        }
    }
}

/// Returns the time since which the status has certainly held; `None` if that is unknown, or if the status comes from
/// the service and not from its checks.
fn since(report: &Report) -> Option<SystemTime> {
    if let (Subject::Check(_), Some(check)) = (&report.subject, report.checks.first()) {
        return known_since(check);
    }
    if report.reason.is_some() {
        return None;
    }
    let counting = |status: Status| {
        let checks = report.checks.iter().map(|check| &**check);
        checks.filter(move |check| check.counts && report.counted(check) == status)
    };
    match report.status {
        Status::Unhealthy => counting(Status::Unhealthy).filter_map(known_since).min(),
        Status::Degraded => {
            // The earliest `since` of the degraded checks, but not before the end of the last failure of any check.
            let first = counting(Status::Degraded).filter_map(known_since).min()?;
            let recoveries = report.checks.iter().filter_map(|check| {
                let ends_a_failure = |change: &Transition| change.from() == Some(Status::Unhealthy);
                Some(check.history.transitions().find(ends_a_failure)?.at())
            });
            Some(recoveries.max().map_or(first, |last| last.max(first)))
        }
        Status::Healthy => {
            counting(Status::Healthy).filter(|check| check.status == Status::Healthy).filter_map(known_since).max()
        }
    }
}

/// Returns the list of causes, of checks that wait for them, of stale checks and of muted checks.
fn causes(report: &Report, paths: &Paths, context: Context<'_>) -> Markup {
    if matches!(report.subject, Subject::Check(_)) {
        return PreEscaped(String::new());
    }
    let link = |name: &str| html! { a href={ (paths.below) "checks/" (name) } { (name) } };
    let named = |wanted: &dyn Fn(&CheckReport) -> bool| -> Vec<&str> {
        report.checks.iter().filter(|check| wanted(check)).map(|check| &*check.name).collect()
    };
    let waiting = named(&|check| check.reason == Some(Reason::Dependency));
    let is_cause = |check: &CheckReport| report.root_causes.iter().take(NAMED).any(|name| *name == check.name);
    let unknown = named(&|check| check.reason == Some(Reason::Stale) && !is_cause(check));
    let muted = report.checks.iter().filter_map(|check| Some((check, check.muted.as_ref()?)));
    let is_plural = report.root_causes.len() > 1;
    html! {
        dl class="causes" {
            @for name in report.root_causes.iter().take(NAMED) {
                div class="cause" { dt { "Cause" } dd { (link(name)) (cause(report.check(name), context)) } }
            }
            (and_more(report.root_causes.len()))
            (list(if is_plural { "Waiting for them" } else { "Waiting for it" }, &waiting, &link))
            (list("No news of", &unknown, &link))
            @for (check, muted) in muted.clone().take(NAMED) {
                div {
                    dt { "Muted" }
                    dd {
                        (link(&check.name)) " until " (time_of_day(muted.until, context.now)) " UTC"
                        @if let Some(note) = muted.note.as_ref().filter(|_| context.sees_all()) { " (“" (note) "”)" }
                    }
                }
            }
            (and_more(muted.count()))
        }
    }
}

/// Returns the text after the name of a cause: its reason, its status, the time since which the status holds, and the
/// age of its last run.
fn cause(check: Option<&CheckReport>, context: Context<'_>) -> Markup {
    html! {
        @if let Some(check) = check {
            @if let Some(reason) = check.reason { ": " (reason.as_str()) }
            @if let Some(since) = known_since(check) {
                "; " (check.status.as_str()) " since " (time_of_day(since, context.now)) " UTC"
            }
            @if let Some(at) = check.checked_at { ", last run " (between(at, context.now)) " ago" }
            @if let Some(message) = check.message.as_ref().filter(|_| context.sees_all()) { p { (message) } }
        }
    }
}

/// Returns the line `and {n} more` if the count is larger than the number of named checks.
fn and_more(count: usize) -> Markup {
    html! { @if count > NAMED { div { dt {} dd { "and " (count - NAMED) " more" } } } }
}

/// The largest number of names in a line of the verdict. The tables below list all checks.
const NAMED: usize = 20;

fn list(words: &str, names: &[&str], link: &dyn Fn(&str) -> Markup) -> Markup {
    html! {
        @if !names.is_empty() {
            div {
                dt { (words) }
                dd {
                    @for (position, name) in names.iter().take(NAMED).enumerate() {
                        @if position > 0 { ", " }
                        (link(name))
                    }
                    @if names.len() > NAMED { " and " (names.len() - NAMED) " more" }
                }
            }
        }
    }
}
