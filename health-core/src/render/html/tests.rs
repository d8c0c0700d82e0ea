use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    model::status::Visibility,
    render::{html::context, samples},
};

/// The policy contains the hash of the style sheet. After a change of the style sheet, the message of this test has the
/// new hash.
#[test]
fn the_policy_has_the_hash_of_the_style_sheet() {
    let hash = format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(STYLE)));
    assert!(POLICY.contains(&hash), "POLICY must name the style sheet: {hash}");
}

#[test]
fn the_style_sheet_has_exactly_one_class_per_step() {
    for step in STEPS {
        assert!(STYLE.contains(&format!(".old-{step}{{--old:{step}s}}")), "{step}");
    }
    assert_eq!(STYLE.matches(".old-").count(), STEPS.len());
    // The page loads nothing, and a preference for reduced motion does not disable the cover of an old page.
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
fn each_kind_of_page_is_a_complete_document_with_its_title() {
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
    assert!(report.contains("pending"), "a check that has not run is not shown as pending");
}
