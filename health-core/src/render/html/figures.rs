//! Small drawings: the shape of a status, the strip of past results, and the bar of a number with its limits. Their
//! colours come from classes of the style sheet. Every drawing has a text with the same content.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use crate::model::{
    group::GroupReport,
    history::History,
    observed::{Limits, Number, Observed},
    report::CheckReport,
    status::Status,
};

/// The meaning of a shape: a status, or an unknown status. Its class, one letter, is also the id of its drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Healthy,
    Degraded,
    Unhealthy,
    Unknown,
}

impl Mark {
    pub(super) fn of(status: Status, is_unknown: bool) -> Self {
        match status {
            _ if is_unknown => Self::Unknown,
            Status::Healthy => Self::Healthy,
            Status::Degraded => Self::Degraded,
            Status::Unhealthy => Self::Unhealthy,
        }
    }

    pub(super) fn of_check(check: &CheckReport) -> Self {
        Self::of(check.status, check.is_unknown())
    }

    pub(super) fn of_group(group: &GroupReport) -> Self {
        Self::of(group.status, group.is_unknown)
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Healthy => "h",
            Self::Degraded => "d",
            Self::Unhealthy => "u",
            Self::Unknown => "x",
        }
    }

    /// The first character of the title of a page.
    pub(super) fn character(self) -> char {
        match self {
            Self::Healthy => '✔',
            Self::Degraded => '▲',
            Self::Unhealthy => '✖',
            Self::Unknown => '?',
        }
    }

    /// The icon of the page, as a data URL: the shape in its colour.
    pub(super) fn icon(self) -> String {
        let (colour, path) = match self {
            Self::Healthy => ("0a7d45", HEALTHY),
            Self::Degraded => ("b26b00", DEGRADED),
            Self::Unhealthy => ("c02b22", UNHEALTHY),
            Self::Unknown => ("5b6672", UNKNOWN),
        };
        format!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
             %3Cpath fill='%23{colour}' d='{path}'/%3E%3C/svg%3E"
        )
    }
}

// The paths of the shapes: a disc with a tick, a triangle with an exclamation mark, an octagon with a cross, and a ring
// with a question mark.
const HEALTHY: &str = "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0Zm-1.2 11.6L3.4 8.2l1.3-1.3 2.1 2.1 4.5-4.6 1.3 1.3Z";
const DEGRADED: &str = "M8 .8 16 15H0Zm-.9 5v4.2h1.8V5.8Zm0 5.4V13h1.8v-1.8Z";
const UNHEALTHY: &str = "M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7Zm.9 4.2L4.2 5.6 6.6 8l-2.4 2.4 1.4 1.4L8 9.4l2.4 \
                         2.4 1.4-1.4L9.4 8l2.4-2.4-1.4-1.4L8 6.6Z";
const UNKNOWN: &str = "M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0Zm0 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Zm-.9 \
                       7.2h1.8v-1c1-.4 1.8-1.1 1.8-2.3A2.6 2.6 0 0 0 8 3.4a2.7 2.7 0 0 0-2.7 2.2l1.6.5c.2-.7.6-1 \
                       1.1-1 .6 0 .9.3.9.8 0 .7-.8 1-1.8 1.6Zm0 1.4V12h1.8v-1.4Z";

/// Returns the drawings of all shapes, to which the shapes on the page refer.
pub(super) fn shapes() -> Markup {
    html! {
        svg class="shapes" width="0" height="0" aria-hidden="true" {
            @for (mark, path) in [
                (Mark::Healthy, HEALTHY),
                (Mark::Degraded, DEGRADED),
                (Mark::Unhealthy, UNHEALTHY),
                (Mark::Unknown, UNKNOWN)
            ] {
                symbol id=(mark.class()) viewBox="0 0 16 16" { path d=(path) {} }
            }
        }
    }
}

/// Returns the shape of a mark. It is hidden from screen readers, because the word next to it has the same meaning.
pub(super) fn shape(mark: Mark) -> Markup {
    html! { svg class="i" aria-hidden="true" { use href={ "#" (mark.class()) } {} } }
}

/// The width of the slot of one result in a strip.
const SLOT: usize = 4;
/// The height of a strip.
const HEIGHT: u128 = 28;
/// The smallest height of a bar for each status, so that a failure stands out even without its colour.
const LEAST: [u128; 3] = [4, 18, 28];

/// Returns the strip of the last results, with the newest at the right. The height of a bar is the duration of its run
/// relative to the longest run, but not less than the smallest height for its status.
pub(super) fn strip(history: &History, class: &str) -> Markup {
    let results: Vec<_> = history.results().rev().collect();
    let longest = results.iter().map(|result| result.duration.as_micros()).max().unwrap_or_default().max(1);
    let first = History::KEPT - results.len();
    let mut paths: [(String, usize); 3] = Default::default();
    let mut counts = [0_usize; 3];
    for (position, result) in results.iter().enumerate() {
        let status = result.status as usize;
        counts[status] += 1;
        let height = (result.duration.as_micros() * HEIGHT / longest).max(LEAST[status]).min(HEIGHT);
        let x = (first + position) * SLOT;
        let (path, pen) = &mut paths[status];
        // After `z` the pen is at the foot of its bar again, from which the next relative move starts.
        let _ = match path.is_empty() {
            true => write!(path, "M{x} {HEIGHT}v-{height}h3v{height}z"),
            false => write!(path, "m{} 0v-{height}h3v{height}z", x - *pen),
        };
        *pen = x;
    }
    let said = Status::ALL.iter().filter(|status| counts[**status as usize] > 0);
    let said: Vec<String> = said.map(|status| format!("{} {}", counts[*status as usize], status.as_str())).collect();
    let label = match results.len() {
        0 => "no run yet".to_owned(),
        1 => format!("the last run: {}", said.join(", ")),
        runs => format!("the last {runs} runs: {}", said.join(", ")),
    };
    html! {
        svg class=(class) viewBox="0 0 239 28" preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (mark, (path, _)) in [Mark::Healthy, Mark::Degraded, Mark::Unhealthy].iter().zip(&paths) {
                @if !path.is_empty() { path class=(mark.class()) d=(path) {} }
            }
        }
    }
}

/// The length of the bar of a number.
const LENGTH: f64 = 240.0;

/// Returns the bar of a number, with a line at each of its limits; empty for a number without limits.
pub(super) fn bar(observed: &Observed, label: &str) -> Markup {
    let limits: Vec<f64> =
        observed.limits.named().iter().filter_map(|(_, limit)| Some(limit.as_ref()?.as_f64())).collect();
    let value = observed.value.as_f64();
    // The bar ends a quarter beyond the greatest limit or the value, so that a value beyond the limit is visible.
    let greatest = limits.iter().copied().fold(value, f64::max) * 1.25;
    if limits.is_empty() || !greatest.is_finite() || greatest <= 0.0 {
        return PreEscaped(String::new());
    }
    let place = |number: f64| format!("{:.0}", (number / greatest).clamp(0.0, 1.0) * LENGTH);
    html! {
        svg class="bar" viewBox="0 0 240 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect class="t" width="240" height="10" {}
            rect class=(crossed(observed.value, &observed.limits).class()) width=(place(value)) height="10" {}
            @for limit in &limits { path class="l" d={ "M" (place(*limit)) " 0v10" } {} }
        }
    }
}

/// Returns the mark of a number, according to its own limits.
fn crossed(value: Number, limits: &Limits) -> Mark {
    let value = value.as_f64();
    let above = |limit: Option<Number>| limit.is_some_and(|limit| value > limit.as_f64());
    let below = |limit: Option<Number>| limit.is_some_and(|limit| value < limit.as_f64());
    if above(limits.fail_above) || below(limits.fail_below) {
        Mark::Unhealthy
    } else if above(limits.warn_above) || below(limits.warn_below) {
        Mark::Degraded
    } else {
        Mark::Healthy
    }
}
