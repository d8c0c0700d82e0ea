//! The rows of checks and of groups.

use maud::{Markup, html};

use crate::{
    model::{group::GroupReport, report::CheckReport, status::Status},
    render::html::{
        context::{Context, Paths, impact, known_since},
        figures::{Mark, shape, strip},
        words,
    },
};

/// The largest number of observed numbers in the row of a check. The page of the check shows all of them.
const NUMBERS: usize = 2;

/// The rows of one table: checks, and groups, each of which represents its members.
pub(super) struct Rows<'r> {
    pub(super) checks: Vec<&'r CheckReport>,
    pub(super) groups: Vec<&'r GroupReport>,
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        self.checks.len() + self.groups.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the table, with the checks before the groups. `words` is its caption, which only screen readers read.
    pub(super) fn table(&self, words: &str, paths: &Paths, context: Context<'_>) -> Markup {
        html! {
            table class=[context.sees_all().then_some("full")] {
                caption { (words) }
                thead {
                    tr {
                        th class="c1" scope="col" { "Check" }
                        th class="c2" scope="col" { "State" }
                        th class="c3" scope="col" { "For" }
                        th class="c4" scope="col" { "Checked" }
                        th class="c5" scope="col" { "Took" }
                        @if context.sees_all() {
                            th class="c6" scope="col" { "Last 60 runs" }
                            th class="c7" scope="col" { "Uptime" }
                        }
                    }
                }
                tbody {
                    @for check in &self.checks { (row(check, paths, context)) }
                    @for group in &self.groups { (group_row(group, paths, context)) }
                }
            }
        }
    }
}

/// Returns the row of a group, which links to its members. Its cells for times have a dash.
fn group_row(group: &GroupReport, paths: &Paths, context: Context<'_>) -> Markup {
    let mark = Mark::of_group(group);
    let empty = if context.sees_all() { 5 } else { 3 };
    html! {
        tr {
            th scope="row" {
                a href={ (paths.below) "tags/" (group.name) } { (group.name) }
                " " small { (group.checks()) @if group.checks() == 1 { " check" } @else { " checks" } }
            }
            td class=(mark.class()) {
                (shape(mark)) b { (group.reason.map_or_else(|| group.status.as_str(), |reason| reason.as_str())) }
                @if group.status > Status::Healthy { p { (counts(group)) } }
            }
            @for _ in 0..empty { td { "–" } }
        }
    }
}

/// Returns the counts of members that are not Healthy, such as `2 unhealthy, 1 degraded, 1 of them pending`.
fn counts(group: &GroupReport) -> String {
    let count = |status: Status| (group.count(status), status.as_str());
    let bad = [count(Status::Unhealthy), count(Status::Degraded)].into_iter().filter(|(count, _)| *count > 0);
    let mut words: Vec<String> = bad.map(|(count, word)| format!("{count} {word}")).collect();
    if group.pending > 0 {
        words.push(format!("{} of them pending", group.pending));
    }
    words.join(", ")
}

fn row(check: &CheckReport, paths: &Paths, context: Context<'_>) -> Markup {
    let mark = Mark::of_check(check);
    let age = |at: Option<_>| at.map_or_else(|| "–".to_owned(), |at| words::between(at, context.now));
    html! {
        tr {
            th scope="row" {
                a href={ (paths.below) "checks/" (check.name) } { (check.name) }
                " " small { (impact(check)) @if check.muted.is_some() { ", muted" } }
            }
            td class=(mark.class()) {
                (shape(mark)) b { (check.reason.map_or_else(|| check.status.as_str(), |reason| reason.as_str())) }
                @if context.sees_all() { (told(check)) }
            }
            td { (age(known_since(check))) }
            td { (age(check.checked_at)) @if check.checked_at.is_some() { " ago" } }
            td { (check.duration.map_or_else(|| "–".to_owned(), words::duration)) }
            @if context.sees_all() {
                td { (strip(&check.history, "s")) }
                td {
                    (check.uptime_at(context.uptime).map_or_else(
                        || "–".to_owned(),
                        |it| words::percent(it.share_in_ten_thousandths())
                    ))
                }
            }
        }
    }
}

/// Returns the message, the first observed numbers with a limit, and the number of changes of the status.
fn told(check: &CheckReport) -> Markup {
    let changes = check.history.totals().transitions();
    html! {
        @if let Some(message) = &check.message { p { (message) } }
        @for observed in check.observed.iter().take(NUMBERS) {
            p {
                (observed.name) " " (words::value(observed))
                @if let Some(limit) = words::first_limit(observed) { ", " (limit) }
            }
        }
        @if changes > 0 { p { (changes) @if changes == 1 { " change" } @else { " changes" } } }
    }
}
