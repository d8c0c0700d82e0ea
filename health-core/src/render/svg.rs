//! The badge: a small image of a verdict, which other documents embed by its URL. All functions are pure.

use bytes::Bytes;

use crate::model::{
    report::Subject,
    status::{Probe, Status, Visibility},
};

/// The width of a character, in pixels.
const CHARACTER: usize = 7;
/// The space around a word, in pixels.
const SPACE: usize = 16;
/// The largest number of characters of a label.
const LONGEST: usize = 40;

/// Writes the badge of a page: its subject and its verdict. If all of the worst checks are unknown, and the visibility
/// shows reasons, the badge is grey and says "unknown".
pub(crate) fn badge(subject: &Subject, status: Status, is_unknown: bool, visibility: Visibility) -> Bytes {
    let label = match subject {
        Subject::Probe(Probe::Liveness) => "liveness",
        Subject::Probe(Probe::Readiness) => "readiness",
        Subject::Probe(Probe::Startup) => "startup",
        Subject::Tag(name) | Subject::Check(name) if visibility > Visibility::Status => name,
        _ => "health",
    };
    // Names of checks and tags consist of letters, digits, `_`, `-` and `.`, which need no escapes.
    let label: String = label.chars().take(LONGEST).collect();
    let (word, colour) = match status {
        _ if is_unknown && visibility > Visibility::Status => ("unknown", "525c67"),
        Status::Healthy => ("healthy", "0a6b3c"),
        Status::Degraded => ("degraded", "835000"),
        Status::Unhealthy => ("unhealthy", "ab241b"),
    };
    let (left, right) = (label.len() * CHARACTER + SPACE, word.len() * CHARACTER + SPACE);
    let (width, middle, end) = (left + right, left / 2, left + right / 2);
    let body = Bytes::from(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"20\" \
         role=\"img\" aria-label=\"{label}: {word}\">\
         <title>{label}: {word}</title><rect width=\"{width}\" height=\"20\" rx=\"4\" fill=\"#30363d\"/>\
         <path d=\"M{left} 0h{inner}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-{inner}z\" fill=\"#{colour}\"/>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"system-ui,Verdana,sans-serif\" font-size=\"12\">\
         <text x=\"{middle}\" y=\"14\">{label}</text><text x=\"{end}\" y=\"14\">{word}</text></g></svg>",
        inner = right - 4,
    ));
    // The first clone of an owned buffer allocates. Later clones, made for requests, do not.
    let _ = body.clone();
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(subject: &Subject, status: Status, is_unknown: bool) -> String {
        String::from_utf8(badge(subject, status, is_unknown, Visibility::Checks).to_vec()).unwrap()
    }

    #[test]
    fn every_badge_is_small_and_names_its_subject_and_verdict() {
        let longest: std::sync::Arc<str> = "x".repeat(64).into();
        for (subject, label) in [
            (Subject::All, "health"),
            (Subject::Probe(Probe::Readiness), "readiness"),
            (Subject::Tag("db".into()), "db"),
            (Subject::Check(longest), &*"x".repeat(LONGEST)),
        ] {
            for (status, is_unknown, word) in [
                (Status::Healthy, false, "healthy"),
                (Status::Degraded, false, "degraded"),
                (Status::Unhealthy, false, "unhealthy"),
                (Status::Unhealthy, true, "unknown"),
                (Status::Degraded, true, "unknown"),
            ] {
                let drawn = drawn(&subject, status, is_unknown);
                assert!(drawn.len() <= 1024, "{} bytes", drawn.len());
                assert!(drawn.contains(&format!("<title>{label}: {word}</title>")), "{drawn}");
            }
        }
    }

    #[test]
    fn the_lowest_visibility_shows_neither_names_nor_unknown() {
        let badge = badge(&Subject::Check("database".into()), Status::Unhealthy, true, Visibility::Status);
        let badge = String::from_utf8_lossy(&badge);
        assert!(!badge.contains("database") && !badge.contains("unknown"), "{badge}");
    }
}
