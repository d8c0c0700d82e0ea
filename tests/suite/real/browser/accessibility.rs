//! axe-core finds no violation in any colour mode.

use health_tests::{
    browser::Browser,
    sample_service::{State, frozen},
    tools,
};

use super::{FRAMEWORKS, grow_old, serve, url};

/// The violations that axe finds, each with up to three elements.
const VIOLATIONS: &str = "axe.run().then(it => it.violations.map(v => v.id + ': ' + \
     v.nodes.slice(0, 3).map(n => n.html.slice(0, 120) + ' ' + n.failureSummary).join(' | ')))";

#[test]
fn axe_finds_no_violation_in_light_dark_and_forced_colours() {
    tools::needs("axe-core");
    let axe = std::fs::read_to_string(tools::repository().join("target/tools/axe.min.js")).unwrap();
    let browser = Browser::start();
    let (well, ill) = (frozen(State::Healthy), frozen(State::Failing));
    for (turn, framework) in FRAMEWORKS.into_iter().enumerate() {
        let (well, ill) = (serve(framework, &well), serve(framework, &ill));
        // Every server sends the same bytes. Each state meets each width on at least one of them.
        let widths = if turn % 2 == 0 { [360, 1280] } else { [1280, 360] };
        let tab = browser.tab(1280, 800);
        for features in [
            &[("prefers-color-scheme", "light")][..],
            &[("prefers-color-scheme", "dark")],
            &[("forced-colors", "active"), ("prefers-color-scheme", "dark")],
        ] {
            tab.prefer(features);
            for (server, target) in
                [(&well, "/health"), (&ill, "/health"), (&ill, "/health/checks/jobs"), (&ill, "/health/ready")]
            {
                tab.open(&url(server, target));
                tab.run("document.querySelectorAll('details').forEach(it => it.open = true)");
                tab.run(&axe);
                for (width, state) in widths.into_iter().zip(["new", "old"]) {
                    if state == "old" {
                        grow_old(&tab);
                    }
                    tab.resize(width, 800);
                    let found = tab.run(VIOLATIONS);
                    assert_eq!(found, serde_json::json!([]), "{server:?}: {features:?} {target} {width} {state}");
                }
            }
        }
    }
}
