//! The bytes of the status page: which requests get it, its contents and their order, its size, and the escaping of
//! texts.

use std::{collections::BTreeSet, time::Duration};

use health_core::{
    CheckExt as _, Endpoint, Health, Lifecycle, Limits, Outcome, Reason, Request, Visibility, check_fn, testing::Frozen,
};
use health_tests::sample_service::{self, State};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
const POLICY: &str = "content-security-policy";

/// An answer: the code, the headers, and the body as text.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

fn browse(endpoint: &Endpoint, target: &str) -> Answer {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let lines = |name: &str, line: usize| (name == "accept" && line == 0).then_some(BROWSER);
    let response = endpoint.respond(&Request::new("GET", path, query, None, &lines)).unwrap();
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    Answer {
        status: response.status,
        headers: response.headers.iter().map(|(name, value)| (name, text(value.as_bytes()))).collect(),
        body: text(&response.body),
    }
}

/// Returns the text of a page as a reader without styles sees it.
fn text(page: &str) -> String {
    let body = page.split_once("</head>").unwrap().1;
    let mut text = String::new();
    for piece in body.split('<') {
        text.push(' ');
        text.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Asserts that the words occur in this order.
fn assert_order(text: &str, words: &[&str]) {
    let mut rest = text;
    for word in words {
        let Some((_, after)) = rest.split_once(word) else { panic!("{word:?} does not follow in: {text}") };
        rest = after;
    }
}

#[test]
fn a_browser_gets_the_page_with_its_policy_and_other_clients_a_document() {
    let frozen = sample_service::frozen(State::Failing);
    let endpoint = Endpoint::new(frozen.health());
    for (path, status) in [
        ("/health", 503),
        ("/health/live", 200),
        ("/health/ready", 503),
        ("/health/tags/queues", 200),
        ("/health/checks/jobs", 200),
        ("/health/checks/database", 503),
    ] {
        let page = browse(&endpoint, path);
        assert_eq!(page.status, status, "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(page.header("vary"), Some("Accept"), "{path}");
        assert_eq!(page.header("refresh"), None, "{path}");
        let policy = page.header(POLICY).unwrap();
        for part in ["default-src 'none'", "style-src 'sha256-", "img-src data:", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!page.body.contains("<script") && !page.body.contains("style="), "{path}");
        // A request that names the format gets the same page.
        let named = browse(&endpoint, &format!("{path}?format=html"));
        assert_eq!((&named.body, named.header("vary")), (&page.body, None), "{path}");
    }
    // The Kubernetes paths and the metrics have no page.
    for path in ["/readyz", "/livez", "/healthz", "/health/metrics"] {
        assert!(browse(&endpoint, path).header("content-type").unwrap().starts_with("text/plain"), "{path}");
    }
    let json = browse(&endpoint, "/health?format=json&refresh=5");
    assert_eq!((json.header("refresh"), json.header(POLICY)), (None, None));
    let unknown = browse(&endpoint, "/health?format=xml");
    assert_eq!(unknown.body, "There is no such format: use json, health, html, text or svg.");
}

#[test]
fn the_page_refreshes_only_on_request() {
    let frozen = sample_service::frozen(State::Healthy);
    let endpoint = Endpoint::new(frozen.health()).envoy_headers(true);
    for (query, refresh) in
        [("", None), ("?refresh=5", Some("5")), ("?refresh=3600", Some("3600")), ("?refresh=1", None)]
    {
        assert_eq!(browse(&endpoint, &format!("/health{query}")).header("refresh"), refresh, "{query}");
    }
    // An answer can have all headers at once. While the service drains, a tag is Unhealthy, but a check is not.
    frozen.record("cache", Outcome::degraded("slow"), Duration::ZERO).unwrap();
    frozen.lifecycle(Lifecycle::Draining);
    let page = browse(&endpoint, "/health/checks/cache?refresh=5");
    let names: BTreeSet<&str> = page.headers.iter().map(|(name, _)| *name).collect();
    let expected = [
        "cache-control",
        "content-security-policy",
        "content-type",
        "refresh",
        "vary",
        "x-content-type-options",
        "x-envoy-degraded",
        "x-envoy-immediate-health-check-fail",
    ];
    assert_eq!(names, BTreeSet::from(expected));
}

#[test]
fn without_its_style_the_page_is_in_the_order_of_importance() {
    let frozen = sample_service::frozen(State::Failing);
    let endpoint = Endpoint::new(frozen.health()).visibility(Visibility::Full);
    let page = browse(&endpoint, "/health").body;
    assert!(page.contains("<title>✖ Unhealthy: database – orders</title>"));
    let text = text(&page);
    assert_order(
        &text,
        &[
            "orders 1.4.2",
            "2026-01-05 08:06:02 UTC",
            "Unhealthy",
            "for 34 s, since 08:05:28 UTC",
            "Cause database : unreachable; unhealthy since 08:05:28 UTC, last run 0.8 s ago",
            "connection refused (the server at 10.0.0.12 is gone)",
            "Waiting for it invoices",
            "Muted search until 09:00:00 UTC (“the index is moving”)",
            "Readiness unhealthy",
            "Failing 2",
            "database critical unreachable connection refused",
            "Degraded 2",
            "jobs critical threshold the consumers are too slow length 1,205 messages, limit 1,000",
            "Healthy 5",
            "True at 2026-01-05 08:06:02 UTC",
        ],
    );
    // The style sheet adds the notice of an old page, so that no page shows it too early.
    assert!(!text.contains("is old"), "{text}");
    let check = browse(&endpoint, "/health/checks/jobs").body;
    assert_order(
        &self::text(&check),
        &["jobs", "Degraded", "threshold; for 20 s", "Last run 0.8 s ago", "Uptime 100.00 %", "known for 98.67 %"],
    );
    assert_order(
        &self::text(&check),
        &["degraded above 1,000, unhealthy above 10,000", "Last runs", "Changes", "tags queues"],
    );
    assert!(check.contains("aria-label=\"the last 60 runs: 52 healthy, 8 degraded\""));
}

#[test]
fn each_visibility_shows_what_json_shows() {
    let frozen = sample_service::frozen(State::Failing);
    let page = |visibility, path: &str| browse(&Endpoint::new(frozen.health()).visibility(visibility), path);
    let status = text(&page(Visibility::Status, "/health").body);
    assert_order(&status, &["Health", "Unhealthy"]);
    for hidden in ["database", "orders", "Readiness", "Cause", "for 34 s"] {
        assert!(!status.contains(hidden), "{hidden} in {status}");
    }
    for path in ["/health/checks/database", "/health/tags/storage"] {
        assert_eq!(page(Visibility::Status, path).status, 404, "{path}");
    }
    for path in ["/health", "/health/checks/database", "/health/checks/jobs"] {
        let checks = page(Visibility::Checks, path).body;
        for hidden in [
            "orders",
            "1.4.2",
            "connection refused",
            "the index is moving",
            "1,205",
            "storage",
            "Uptime",
            "<svg class=\"s\"",
            "<svg class=\"s wide",
        ] {
            assert!(!checks.contains(hidden), "{hidden} in {path}");
        }
    }
    assert_order(&text(&page(Visibility::Checks, "/health").body), &["Cause database", "Muted search until 09:00:00"]);
}

/// Resolves a reference against a path, as a browser does.
fn resolved(path: &str, reference: &str) -> String {
    let mut segments: Vec<&str> = path.split('/').collect();
    segments.pop();
    for part in reference.split('/') {
        match part {
            ".." => drop(segments.pop()),
            part => segments.push(part),
        }
    }
    segments.join("/")
}

#[test]
fn every_link_leads_to_a_page_of_the_endpoint() {
    let frozen = sample_service::frozen(State::Failing);
    for base in ["/health", "/internal/status"] {
        let endpoint = Endpoint::new(frozen.health()).base_path(base).visibility(Visibility::Full);
        for path in ["", "/live", "/ready", "/startup", "/tags/storage", "/checks/database"] {
            let path = format!("{base}{path}");
            let page = browse(&endpoint, &path).body;
            let links: BTreeSet<&str> =
                page.split("<a ").skip(1).filter_map(|link| link.split("href=\"").nth(1)?.split('"').next()).collect();
            assert!(links.len() > 4, "{path}: {links:?}");
            for link in links {
                let target = if link.starts_with('?') { path.clone() } else { resolved(&path, link) };
                assert!(endpoint.owns(&target), "{path} links {link}, which is {target}");
                assert_ne!(browse(&endpoint, &target).status, 404, "{target}");
            }
        }
    }
}

/// A page is old as soon as its first critical result is. The class of its age is the greatest step within that time.
#[test]
fn the_age_class_of_a_page_counts_from_its_first_critical_result() {
    let ok = || check_fn(|| async { Ok(()) });
    let minute = Duration::from_secs(60);
    let builder = Health::builder().check("a", ok()).check("b", ok().every(minute)).check("c", ok().optional());
    let frozen = Frozen::new(builder).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    for name in ["c", "a", "b"] {
        frozen.record(name, Outcome::healthy(), Duration::ZERO).unwrap();
    }
    let class = |path: &str| {
        let page = browse(&endpoint, path).body;
        page.split_once("<body class=\"").unwrap().1.split('"').next().unwrap().to_owned()
    };
    // Three intervals of 5 s and the deadline of 2 s, less the second for which a page is served.
    assert_eq!((class("/health"), class("/health/checks/b")), ("old-15".into(), "old-180".into()));
    frozen.advance(Duration::from_secs(5));
    assert_eq!((class("/health"), class("/health/checks/b")), ("old-10".into(), "old-120".into()));
    frozen.advance(Duration::from_secs(5));
    assert_eq!(class("/health"), "old-5");
    frozen.advance(Duration::from_secs(5));
    assert_eq!(class("/health"), "old-5");
    frozen.advance(Duration::from_secs(5));
    let page = browse(&endpoint, "/health");
    assert_eq!(page.status, 503);
    assert_order(
        &text(&page.body),
        &[
            "Unhealthy",
            "Cause a : stale, last run 20 s ago",
            "Unknown 2",
            "a critical stale – 20 s ago",
            "c optional stale",
        ],
    );
    // Every check that is not healthy is unknown.
    assert!(page.body.contains("<title>? Unhealthy: a</title>") && page.body.contains("<header class=\"verdict x\">"));
    assert!(!page.body.contains("Failing"), "{}", page.body);
}

fn service(checks: usize) -> Frozen {
    let name = |number: usize| format!("a-dependency-of-ours-{number}");
    let builder = (0..checks).fold(Health::builder().service("orders").version("1.4.2"), |builder, number| {
        builder.check(name(number), check_fn(|| async { Ok(()) }))
    });
    let frozen = Frozen::new(builder).unwrap();
    // In the last run some checks fail, with messages of the greatest length.
    for run in 4..=63 {
        for number in 0..checks {
            let outcome = match (number % 10, run % 7) {
                (0, 0) => Outcome::unhealthy("connection refused, ".repeat(13)).reason(Reason::Unreachable),
                (1, 0) => Outcome::degraded("slow").reason(Reason::Slow),
                _ => Outcome::healthy().observe_within("length", run, "messages", Limits::new().warn_above(1_000)),
            };
            frozen
                .record(&name(number), outcome, Duration::from_micros(100 + 37 * ((run * 31 + number as u64) % 60)))
                .unwrap();
        }
    }
    frozen
}

#[test]
fn a_page_of_many_checks_is_small() {
    for (checks, visibility, most) in [
        (20, Visibility::Checks, 24 << 10),
        (20, Visibility::Full, 48 << 10),
        (200, Visibility::Checks, 160 << 10),
        (200, Visibility::Full, 400 << 10),
    ] {
        let frozen = service(checks);
        let page = browse(&Endpoint::new(frozen.health()).visibility(visibility), "/health").body;
        assert!(page.len() <= most, "{checks} checks at {visibility}: {} bytes, at most {most}", page.len());
        assert!(page.contains("<title>✖ Unhealthy"), "the measured page has failures");
        assert_eq!(page.matches("a-dependency-of-ours-7<").count(), 1);
    }
}

/// Returns the tags of a page without the values of their attributes.
fn tags(page: &str) -> Vec<String> {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    let tags = [head, body].into_iter().flat_map(|part| part.split('<').skip(1));
    let tags = tags.map(|piece| piece.split_once('>').expect("a closed tag").0);
    tags.map(|tag| tag.split('"').step_by(2).collect()).collect()
}

/// The page has the same tags with hostile texts of a check as with harmless ones.
#[test]
fn ten_thousand_hostile_texts_are_shown_as_text() {
    const CHECKS: usize = 10;
    let hostile = "</title><script>alert(1)</script>\"'";
    let made = |service: &str| {
        let builder = (0..CHECKS).fold(Health::builder().service(service).version(service), |builder, number| {
            builder.check(format!("check-{number}"), check_fn(|| async { Ok(()) }))
        });
        Frozen::new(builder).unwrap()
    };
    let pieces = [
        "<script>alert(1)</script>",
        "\"",
        "'",
        "<",
        ">",
        "&",
        "&lt;",
        "</td>",
        "</style>",
        "<!--",
        "-->",
        "]]>",
        "\u{0}",
        "\u{202e}",
        "javascript:",
        " onload=x ",
        "{{7*7}}",
        "\\",
        "`",
        "é",
        "🦀",
        "\n",
        "%3C",
        "=",
        "<svg/onload=alert(1)>",
        "</title>",
    ];
    let mut state = 7_u64;
    let mut text = |least: &str| {
        let mut text = least.to_owned();
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]);
        }
        text
    };
    let hour = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600);
    // The texts of a check, and the note of an operator.
    let round = |frozen: &Frozen, text: &mut dyn FnMut(&str) -> String| {
        for number in 0..CHECKS {
            let outcome = Outcome::unhealthy(text("m"))
                .reason(Reason::Failed)
                .observe_within(text("n"), 5, text("u"), Limits::new().fail_above(3))
                .detail(text("k"), text("v"));
            let name = format!("check-{number}");
            frozen.health().mute(&name, hour, text("w")).unwrap();
            frozen.record(&name, outcome, Duration::from_millis(1)).unwrap();
        }
    };
    let pages = |frozen: &Frozen| {
        let endpoint = Endpoint::new(frozen.health()).visibility(Visibility::Full);
        let checks = (0..CHECKS).map(|number| format!("/health/checks/check-{number}"));
        let paths = std::iter::once("/health".to_owned()).chain(checks);
        paths.map(|path| tags(&browse(&endpoint, &path).body)).collect::<Vec<_>>()
    };
    let (plain, hostile) = (made("orders"), made(hostile));
    // After 60 runs the strips of runs are full, and the tables have their final form.
    for frozen in [&plain, &hostile] {
        (0..60).for_each(|_| round(frozen, &mut |least| least.to_owned()));
    }
    let expected = pages(&plain);
    for _ in 0..10_000 / (6 * CHECKS) + 1 {
        round(&hostile, &mut text);
        assert_eq!(pages(&hostile), expected);
    }
}

/// If no result on a page expires, its age counts from the heartbeat of the scheduler. A view also shows the probes, so
/// that their results count.
#[tokio::test(start_paused = true)]
async fn a_page_without_expiring_results_still_becomes_old() {
    let class = |endpoint: &Endpoint, path: &str| {
        let page = browse(endpoint, path).body;
        page.split_once("<body class=\"").unwrap().1.split('"').next().unwrap().to_owned()
    };
    let health = Health::builder().check("migrations", check_fn(|| async { Ok(()) }).once()).start().unwrap();
    health.ready().await;
    let endpoint = Endpoint::new(health.clone());
    for path in ["/health", "/health/live", "/health/checks/migrations"] {
        assert_eq!(class(&endpoint, path), "old-20", "{path}");
    }
    health.insert("database", check_fn(|| async { Ok(()) })).unwrap();
    health.refresh("database").await.unwrap();
    assert_eq!((class(&endpoint, "/health"), class(&endpoint, "/health/live")), ("old-15".into(), "old-15".into()));
    health.stop().await;
}

#[test]
fn since_is_the_time_for_which_the_shown_status_has_held() {
    let ok = || check_fn(|| async { Ok(()) });
    let builder = Health::builder().check("a", ok().optional()).check("b", ok().optional()).check("c", ok());
    let frozen = Frozen::new(builder.check("d", ok().depends_on("c"))).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    let record = |name: &str, outcome| frozen.record(name, outcome, Duration::ZERO).unwrap();
    let bad = || Outcome::unhealthy("no").reason(Reason::Failed);
    let said = |path: &str| {
        let page = browse(&endpoint, path).body;
        let line = page.split_once("<p class=\"since\">").unwrap().1.split_once("</p>").unwrap().0.to_owned();
        line.split(", since").next().unwrap().replace('\u{a0}', " ")
    };
    ["a", "b", "c", "d"].iter().for_each(|name| record(name, Outcome::healthy()));
    let minute = Duration::from_secs(60);
    let renew = |names: &[&str]| names.iter().for_each(|name| record(name, Outcome::healthy()));
    record("a", bad());
    frozen.advance(minute);
    record("a", bad());
    record("b", bad());
    frozen.advance(Duration::from_secs(10));
    renew(&["b", "c", "d"]);
    record("a", bad());
    // "b" has just recovered. The time counts from the last recovery of any check, although "a" has failed for longer
    // and "b" did not make the service worse.
    assert_eq!(said("/health"), "for 0.0 s");
    frozen.advance(Duration::from_secs(5));
    assert_eq!(said("/health"), "for 5.0 s");
    record("c", bad());
    frozen.advance(Duration::from_secs(2));
    assert_eq!(said("/health"), "for 2.0 s");
    assert_eq!(said("/health/checks/c"), "failed; for 2.0 s");
    // The page of a check is only about that check and shows no more than JSON does.
    let waiting = browse(&endpoint, "/health/checks/d").body;
    assert!(waiting.contains("<title>✖ Unhealthy: d</title>") && !waiting.contains(">c<"), "{waiting}");
    frozen.advance(Duration::from_secs(100));
    // A check that waits for its dependency is never stale. The other checks are unknown.
    assert_eq!((said("/health"), said("/health/checks/c")), ("for 1 min 42 s".to_owned(), "stale".to_owned()));
}

#[test]
fn a_failure_of_a_muted_check_lowers_its_uptime() {
    let frozen = Frozen::new(Health::builder().check("a", check_fn(|| async { Ok(()) }))).unwrap();
    let endpoint = Endpoint::new(frozen.health()).visibility(Visibility::Full);
    let hour = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600);
    let record = |outcome| frozen.record("a", outcome, Duration::from_secs(10)).unwrap();
    record(Outcome::healthy());
    frozen.health().mute("a", hour, "known").unwrap();
    record(Outcome::unhealthy("no"));
    record(Outcome::healthy());
    let body = browse(&endpoint, "/health/checks/a?format=json").body;
    let uptime = serde_json::from_str::<serde_json::Value>(&body).unwrap()["uptime"].clone();
    assert_eq!((&uptime["share"], &uptime["coverage"]), (&0.5.into(), &0.6666.into()), "{body}");
}

/// While the runtime is stalled every check is unknown, also one whose last result would be valid for longer.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_stalled_runtime_is_unknown() {
    let hourly = check_fn(|| async { Ok(()) }).every(Duration::from_secs(3_600));
    let once = check_fn(|| async { Ok(()) }).once();
    let health = Health::builder().check("hourly", hourly).check("once", once).start().unwrap();
    health.ready().await;
    tokio::time::sleep(Duration::from_secs(70)).await;
    // The clock jumps, as it does for the tasks of a stalled runtime.
    tokio::time::advance(Duration::from_secs(130)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let endpoint = Endpoint::new(health.clone()).visibility(Visibility::Full);
    for name in ["hourly", "once"] {
        let body = browse(&endpoint, &format!("/health/checks/{name}?format=json")).body;
        let uptime = serde_json::from_str::<serde_json::Value>(&body).unwrap()["uptime"].clone();
        assert_eq!(uptime["share"], 1.0, "{name}: {body}");
        // 30 s after its last heartbeat the scheduler counted as dead: about 100 of 205 s are unknown.
        let coverage = uptime["coverage"].as_f64().unwrap();
        assert!((0.47..0.53).contains(&coverage), "{name}: {uptime}");
    }
    health.stop().await;
}

#[test]
fn a_badge_is_small_and_shows_an_unknown_status() {
    let frozen = sample_service::frozen(State::Failing);
    let endpoint = Endpoint::new(frozen.health());
    for (path, status, said) in [
        ("/health", 503, "health: unhealthy"),
        ("/health/live", 200, "liveness: healthy"),
        ("/health/ready", 503, "readiness: unhealthy"),
        ("/health/tags/queues", 200, "queues: degraded"),
        ("/health/checks/database", 503, "database: unhealthy"),
    ] {
        let badge = browse(&endpoint, &format!("{path}?format=svg"));
        assert_eq!((badge.status, badge.header("content-type")), (status, Some("image/svg+xml")), "{path}");
        assert_eq!(badge.header("cache-control"), Some("no-store"), "{path}");
        assert!(badge.body.contains(&format!("<title>{said}</title>")) && badge.body.len() <= 1024, "{}", badge.body);
    }
    frozen.advance(Duration::from_secs(100));
    let badge = browse(&endpoint, "/health/checks/cache?format=svg");
    assert!(badge.body.contains("<title>cache: unknown</title>"), "{}", badge.body);
}

#[test]
fn json_has_the_uptime_of_a_check_with_its_coverage() {
    let frozen = sample_service::frozen(State::Failing);
    let endpoint = Endpoint::new(frozen.health()).visibility(Visibility::Full);
    let uptime = |path: &str| {
        let body = browse(&endpoint, &format!("{path}?format=json")).body;
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["uptime"].clone()
    };
    // Of 362 s, the 4.8 s before the first run are unknown. The database failed in the last 35 s.
    let expected = serde_json::json!({"share": 0.9053, "coverage": 0.9867, "since": "2026-01-05T08:00:00.000Z"});
    assert_eq!(uptime("/health/checks/database"), expected);
    // The check fails together with the database, although it has not run since.
    assert_eq!(uptime("/health/checks/invoices")["share"], 0.9053);
    assert_eq!(uptime("/health/checks/worker")["share"], 1.0);
    let checks = Endpoint::new(frozen.health());
    assert!(!browse(&checks, "/health/checks/database?format=json").body.contains("uptime"));
    // Time in which the last result was stale does not count in the share and lowers the coverage.
    frozen.advance(Duration::from_secs(1_000));
    frozen.record("worker", Outcome::healthy(), Duration::ZERO).unwrap();
    let worker = uptime("/health/checks/worker");
    assert_eq!(worker["share"], 1.0);
    assert!(worker["coverage"].as_f64().unwrap() < 0.3, "{worker}");
}
