//! Every text of a check is shown as text, and the page fetches nothing.

use std::time::Duration;

use health_core::{Endpoint, Health, Limits, Outcome, Reason, Visibility, check_fn, testing::Frozen};
use health_tests::{
    browser::Browser,
    mount::{self, Form},
};

use super::{FRAMEWORKS, url};

const HOSTILE: &str =
    "</style><script>window.hit=1</script><img src=//elsewhere.example/x onerror=\"window.hit=1\">'&amp;";

#[test]
fn hostile_texts_are_shown_as_text_and_the_page_fetches_nothing_on_every_server() {
    let builder = Health::builder().service(HOSTILE).version(HOSTILE).check("a", check_fn(|| async { Ok(()) }));
    let frozen = Frozen::new(builder).unwrap();
    let outcome = Outcome::unhealthy(HOSTILE)
        .reason(Reason::Failed)
        .observe_within(HOSTILE, 5, HOSTILE, Limits::new().fail_above(3))
        .detail(HOSTILE, HOSTILE);
    frozen.record("a", outcome, Duration::from_millis(3)).unwrap();
    let browser = Browser::start();
    for framework in FRAMEWORKS {
        let endpoint = Endpoint::new(frozen.health()).visibility(Visibility::Full);
        let server = mount::serve(framework, Form::Nested, endpoint);
        for path in ["/internal/health", "/internal/health/checks/a"] {
            let tab = browser.tab(1280, 800);
            tab.open(&url(&server, path));
            assert!(
                tab.run("window.hit === undefined && document.scripts.length === 0 && document.images.length === 0")
                    .as_bool()
                    .unwrap()
            );
            let text = tab.text("document.body.innerText");
            assert!(text.matches("window.hit=1").count() >= 4, "{server:?} {path}: {text}");
            assert_eq!(tab.errors(), Vec::<String>::new(), "{server:?} {path}");
            let origin = url(&server, "/");
            for request in tab.requests() {
                assert!(request.starts_with(&origin) || request.starts_with("data:image/svg+xml,"), "{request}");
            }
            // The page may neither run a script nor be framed by another page.
            let received = tab.events("Network.responseReceived");
            let headers = received
                .iter()
                .find(|event| event["type"] == "Document")
                .map(|event| event["response"]["headers"].clone())
                .unwrap();
            let policy = headers
                .as_object()
                .unwrap()
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-security-policy"));
            let policy = policy.and_then(|(_, value)| value.as_str()).unwrap();
            assert!(
                policy.starts_with("default-src 'none'; style-src 'sha256-")
                    && policy.contains("frame-ancestors 'none'"),
                "{policy}"
            );
            assert_eq!(tab.run("document.styleSheets.length"), 1, "the policy allows the style sheet");
        }
    }
}
