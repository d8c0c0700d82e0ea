//! The rows of checks.

use maud::{Markup, html};

use crate::{
    model::report::CheckReport,
    render::html::{
        context::{Context, Paths, impact, known_since},
        figures::{Mark, shape, strip},
        words,
    },
};

/// The most numbers of a check that its row shows. Its own page has all of them.
const NUMBERS: usize = 2;

/// Returns the table of some checks.
pub(super) fn table(checks: &[&CheckReport], words: &str, paths: &Paths, context: Context<'_>) -> Markup {
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
                    @if context.sees_all() { th class="c6" scope="col" { "Last 60 runs" } th class="c7" scope="col" { "Uptime" } }
                }
            }
            tbody { @for check in checks { (row(check, paths, context)) } }
        }
    }
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
                td { (check.uptime_at(context.uptime).map_or_else(|| "–".to_owned(), |it| words::percent(it.share_in_ten_thousandths()))) }
            }
        }
    }
}

/// The message, the first numbers beside their limits, and the number of changes.
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
