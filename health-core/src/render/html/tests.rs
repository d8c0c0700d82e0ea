use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    model::status::Visibility,
    render::{html::context, samples},
};

/// The policy names the style sheet by its hash. After a change of the style sheet, this test says what to write there.
#[test]
fn the_policy_names_the_style_sheet() {
    let hash = format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(STYLE)));
    assert!(POLICY.contains(&hash), "POLICY must name the style sheet: {hash}");
}

#[test]
fn the_style_sheet_has_a_class_for_every_step_and_none_besides() {
    for step in STEPS {
        assert!(STYLE.contains(&format!(".old-{step}{{--old:{step}s}}")), "{step}");
    }
    assert_eq!(STYLE.matches(".old-").count(), STEPS.len());
    // Nothing is fetched, and no reader's wish for less motion hides that a page is old.
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains("prefers-reduced-motion"));
    for (seconds, expected) in [(0, 5), (4, 5), (5, 5), (16, 15), (29, 20), (3_599, 1_800), (u64::MAX, 3_600)] {
        assert_eq!(step(seconds), expected, "{seconds}");
    }
}

fn page_of(report: &Report, visibility: Visibility) -> String {
    let probes = [Probe::Liveness, Probe::Readiness, Probe::Startup]
        .map(|probe| (probe, context::Verdict { status: Status::Healthy, reason: None, is_unknown: false }));
    let now = humantime::parse_rfc3339("2026-01-05T08:00:02Z").unwrap();
    let context =
        Context { now, expires_in: 16, probes, is_unknown: false, base: "health", visibility, uptime: report.uptime };
    String::from_utf8(page(report, context).to_vec()).unwrap()
}

#[test]
fn each_kind_of_page_is_whole() {
    for (report, title) in [
        (samples::report(), "✖ Unhealthy: database – orders"),
        (samples::healthy(), "✔ Healthy – orders"),
        (samples::one_check(), "✖ Unhealthy: database – orders"),
    ] {
        for visibility in Visibility::ALL {
            let page = page_of(&report, *visibility);
            assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">") && page.ends_with("</html>"));
            assert_eq!(
                page.contains(&format!("<title>{title}</title>")),
                *visibility == Visibility::Full,
                "{visibility}"
            );
            assert!(page.contains("<body class=\"old-15\">") && page.contains("2026-01-05 08:00:02 UTC"));
        }
    }
    let report = page_of(&samples::report(), Visibility::Checks);
    assert!(report.contains("pending"), "a check that has not run is shown as unknown");
}
