//! The page of one check: its facts, its observed numbers, its last runs, its changes, its details, and the meaning of
//! its Healthy status.

use std::time::Duration;

use maud::{Markup, html};

use crate::{
    model::{history::History, report::CheckReport},
    render::html::{
        context::{Context, impact, known_since},
        figures::{Mark, bar, shape, strip},
        words,
    },
};

/// Returns the part of the page below the verdict.
pub(super) fn body(check: &CheckReport, context: Context<'_>) -> Markup {
    html! {
        @if let Some(message) = check.message.as_ref().filter(|_| context.sees_all()) {
            p class="message" { (message) }
        }
        dl class="facts" { (facts(check, context)) }
        @if context.sees_all() {
            (numbers(check))
            h2 { "Last runs" }
            (strip(&check.history, "s wide"))
            (durations(&check.history))
            (changes(check, context))
            (details(check))
            @if !check.traits.proves.is_empty() {
                h2 { "What green proves" }
                p class="proves" { (check.traits.proves) }
            }
        }
    }
}

fn fact(name: &str, value: &str, beside: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) @if !beside.is_empty() { small { (beside) } } } } }
}

fn facts(check: &CheckReport, context: Context<'_>) -> Markup {
    let since =
        known_since(check).map(|since| (words::between(since, context.now), words::time_of_day(since, context.now)));
    let ran = check.checked_at.map(|at| words::between(at, context.now));
    let took = check.duration.map_or_else(String::new, words::duration);
    let allowed = format!(
        "took {took}, allowed {}, every {}",
        words::setting(check.traits.timeout),
        words::setting(check.traits.interval)
    );
    let effect = match check.muted.as_ref() {
        Some(muted) => format!("muted until {} UTC", words::time_of_day(muted.until, context.now)),
        None => String::new(),
    };
    html! {
        @if let Some((length, at)) = since { (fact("In this state", &length, &format!("since {at} UTC"))) }
        @match ran {
            Some(ago) if context.sees_all() => (fact("Last run", &format!("{ago} ago"), &allowed)),
            Some(ago) => (fact("Last run", &format!("{ago} ago"), &format!("took {took}"))),
            None => (fact("Last run", "none yet", "")),
        }
        @if context.sees_all() {
            @if let Some(uptime) = check.uptime_at(context.uptime) {
                @let (share, coverage) = (uptime.share_in_ten_thousandths(), uptime.coverage_in_ten_thousandths());
                @let since = words::time_of_day(uptime.since(), context.now);
                (fact(
                    "Uptime",
                    &words::percent(share),
                    &format!("known for {} of the time since {since} UTC", words::percent(coverage)),
                ))
            } @else {
                (fact("Uptime", "–", "no verdict yet"))
            }
            (in_a_row(check))
        }
        (fact("Impact of a failure", impact(check), &effect))
    }
}

fn in_a_row(check: &CheckReport) -> Markup {
    let (count, word) = match (check.consecutive_failures, check.consecutive_successes) {
        (0, successes) => (successes, "without failure"),
        (failures, _) => (failures, "failed"),
    };
    let turns = check.history.flaps();
    let turned = match turns {
        0 => "never turned between good and bad".to_owned(),
        1 => "turned once between good and bad".to_owned(),
        _ => format!("turned {turns} times between good and bad"),
    };
    fact("Consecutive runs", &format!("{} {word}", words::number(count.into())), &turned)
}

/// Returns the numbers that the last run observed, with their limits.
fn numbers(check: &CheckReport) -> Markup {
    html! {
        @if !check.observed.is_empty() {
            h2 { "Numbers" }
            dl class="facts" {
                @for observed in check.observed.iter() {
                    div {
                        dt { (observed.name) }
                        dd {
                            (words::value(observed))
                            (bar(observed, &format!("{} {}", observed.name, words::value(observed))))
                            small { (words::limits(observed)) }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the median, the minimum and the maximum of the durations of the last runs.
fn durations(history: &History) -> Markup {
    let mut durations: Vec<Duration> = history.results().map(|result| result.duration()).collect();
    durations.sort_unstable();
    html! {
        @if let (Some(least), Some(greatest)) = (durations.first(), durations.last()) {
            p class="dim" {
                "Oldest at the left, newest at the right. Took " (words::duration(durations[durations.len() / 2]))
                " in the median, " (words::duration(*least)) " at least, " (words::duration(*greatest)) " at most."
            }
        }
    }
}

/// Returns the table of the last transitions of the status.
fn changes(check: &CheckReport, context: Context<'_>) -> Markup {
    html! {
        @if check.history.transitions().len() > 0 {
            h2 { "Changes" }
            table class="changes" {
                caption { "Changes of the state" }
                thead {
                    tr {
                        th scope="col" { "When (UTC)" }
                        th scope="col" { "State" }
                        th scope="col" { "Before" }
                        th scope="col" { "Reason" }
                    }
                }
                tbody {
                    @for change in check.history.transitions() {
                        @let mark = Mark::of(change.to(), false);
                        tr {
                            th scope="row" { (words::time_of_day(change.at(), context.now)) }
                            td class=(mark.class()) { (shape(mark)) b { (change.to().as_str()) } }
                            td { (change.from().map_or("–", |from| from.as_str())) }
                            td { (change.reason().map_or("–", |reason| reason.as_str())) }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the causes, the tags, and the details of the last run.
fn details(check: &CheckReport) -> Markup {
    let tags = check.traits.tags.iter().map(|tag| &**tag).collect::<Vec<_>>().join(", ");
    html! {
        @if check.details().next().is_some() || !tags.is_empty() || !check.caused_by.is_empty() {
            h2 { "Details" }
            dl class="details" {
                @if !check.caused_by.is_empty() { div { dt { "caused by" } dd { (check.caused_by.join(", ")) } } }
                @if !tags.is_empty() { div { dt { "tags" } dd { (tags) } } }
                @for (key, value) in check.details() {
                    div { dt { (key) } dd { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) } }
                }
            }
        }
    }
}
