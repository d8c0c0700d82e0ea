//! The verdict: what the page is about, its status and since when, and the causes.

use std::time::SystemTime;

use maud::{Markup, PreEscaped, html};

use crate::{
    model::{
        report::{CheckReport, Report, Subject},
        status::{Reason, Status},
    },
    render::html::{
        context::{Context, Paths, reason, subject_name},
        figures::{Mark, shape},
        words::{between, capital, clock_time, moment, time_of_day},
    },
};

/// The verdict with its causes. The style sheet covers it once the page is old.
pub(super) fn verdict(report: &Report, mark: Mark, paths: &Paths, context: Context<'_>) -> Markup {
    let who = [&report.service, &report.version].into_iter().flatten().filter(|_| context.sees_all());
    let who = who.map(|word| &**word).collect::<Vec<_>>().join(" ");
    html! {
        header class={ "verdict " (mark.class()) } {
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
            div class="old" data-at=(clock_time(context.now)) {}
        }
    }
}

fn kind_of(subject: &Subject) -> &'static str {
    match subject {
        Subject::Tag(_) => "tag ",
        _ => "",
    }
}

/// The line below the verdict: the reason, and for how long it has held.
fn summary(report: &Report, context: Context<'_>) -> Markup {
    html! {
        p class="since" {
            @if let Some(reason) = reason(report) { (reason.as_str()) " " }
            @if let Some(since) = since(report) {
                "for " (between(since, context.now)) ", since " (time_of_day(since, context.now)) " UTC"
            } @else if report.checks.is_empty() {
                "no checks"
            }
        }
    }
}

/// The time from which on the verdict has certainly held: for Unhealthy the earliest failure that still counts, else the last
/// change of any check. `None` if the reason is the service's own.
fn since(report: &Report) -> Option<SystemTime> {
    if report.reason.is_some() && !matches!(report.subject, Subject::Check(_)) {
        return None;
    }
    let checks = report.checks.iter().filter(|check| check.counts);
    match report.status {
        Status::Unhealthy => {
            checks.filter(|check| report.counted(check) == Status::Unhealthy).filter_map(|check| check.since).min()
        }
        Status::Healthy | Status::Degraded => checks.filter_map(|check| check.since).max(),
    }
}

/// The causes and what waits for them, what an operator has muted, and what nothing is known about.
fn causes(report: &Report, paths: &Paths, context: Context<'_>) -> Markup {
    if matches!(report.subject, Subject::Check(_)) {
        return PreEscaped(String::new());
    }
    let link = |name: &str| html! { a href={ (paths.below) "checks/" (name) } { (name) } };
    let named = |wanted: &dyn Fn(&CheckReport) -> bool| -> Vec<&str> {
        report.checks.iter().filter(|check| wanted(check)).map(|check| &*check.name).collect()
    };
    let waiting = named(&|check| check.reason == Some(Reason::Dependency));
    let unknown = named(&|check| check.reason == Some(Reason::Stale));
    let muted = report.checks.iter().filter_map(|check| Some((check, check.muted.as_ref()?)));
    html! {
        dl class="causes" {
            @for name in &report.root_causes {
                div class="cause" {
                    dt { "Cause" }
                    dd {
                        (link(name))
                        @if let Some(check) = report.check(name) {
                            @if let Some(reason) = check.reason { ": " (reason.as_str()) }
                            @if let Some(since) = check.since { " since " (time_of_day(since, context.now)) }
                            @if let Some(at) = check.checked_at { ", last run " (between(at, context.now)) " ago" }
                        }
                    }
                }
            }
            (list("Waiting for it", &waiting, &link))
            (list("No news of", &unknown, &link))
            @for (check, muted) in muted {
                div {
                    dt { "Muted" }
                    dd {
                        (link(&check.name)) " until " (time_of_day(muted.until, context.now))
                        @if let Some(note) = muted.note.as_ref().filter(|_| context.sees_all()) { " (“" (note) "”)" }
                    }
                }
            }
        }
    }
}

/// The most names in a line of the verdict. The rows below have all of them.
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
