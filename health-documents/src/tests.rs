//! Tests with documents from the documentation or the programs of each dialect, and with arbitrary input.

use proptest::prelude::*;

use super::*;

fn read_json(text: &str) -> Option<(Status, Vec<String>)> {
    read(200, "application/json", text.as_bytes()).map(|document| {
        let failing = document.components.iter().filter(|component| component.status > Status::Healthy);
        (document.status, failing.map(ToString::to_string).collect())
    })
}

fn read_text(text: &str) -> Option<(Status, usize)> {
    read(200, "text/plain", text.as_bytes()).map(|document| (document.status, document.components.len()))
}

fn says(status: Status, failing: &[&str]) -> Option<(Status, Vec<String>)> {
    Some((status, failing.iter().map(ToString::to_string).collect()))
}

#[test]
fn every_dialect_is_read() {
    use Status::{Degraded, Healthy, Unhealthy};
    for (dialect, text, status, failing) in [
        (
            "health-core",
            r#"{"status":"unhealthy","root_causes":["database"],"checks":{"database":{"status":"unhealthy",
                "reason":"unreachable","critical":true},"jobs":{"status":"healthy","critical":true}}}"#,
            Unhealthy,
            &["database unreachable"][..],
        ),
        (
            "health+json",
            r#"{"status":"warn","checks":{"cassandra:responseTime":[{"status":"pass"},{"status":"WARN"}],
                "uptime":[{"componentType":"system","status":"pass"}]}}"#,
            Degraded,
            &["cassandra degraded"],
        ),
        (
            "health+json, one component measured twice",
            r#"{"status":"fail","checks":{"cassandra:connections":[{"status":"fail"}],
                "cassandra:responseTime":[{"status":"warn"}]}}"#,
            Unhealthy,
            &["cassandra unhealthy"],
        ),
        (
            "health+json, two nodes of one component",
            r#"{"status":"fail","checks":{"cpu:utilization":[{"status":"pass"},{"status":"fail"}]}}"#,
            Unhealthy,
            &["cpu unhealthy"],
        ),
        (
            "health+json, older",
            r#"{"status":"fail","details":{"db:time":[{"status":"fail"}]}}"#,
            Unhealthy,
            &["db unhealthy"],
        ),
        (
            "Spring",
            r#"{"status":"DOWN","groups":["liveness"],"components":{"db":{"status":"DOWN","details":{"error":"x"}},
                "broker":{"status":"OUT_OF_SERVICE",
                "components":{"us1":{"status":"UP"},"us2":{"status":"OUT_OF_SERVICE"}}}}}"#,
            Unhealthy,
            &["broker/us2 unhealthy", "db unhealthy"],
        ),
        (
            "Spring, a composite without components that is down",
            r#"{"status":"DOWN","components":{"db":{"status":"DOWN","components":{}}}}"#,
            Unhealthy,
            &["db unhealthy"],
        ),
        (
            "Spring, a composite that is worse than its components",
            r#"{"status":"DOWN","components":{"db":{"status":"DOWN","components":{"a":{"status":"UNKNOWN"}}}}}"#,
            Unhealthy,
            &["db unhealthy", "db/a degraded"],
        ),
        (
            "Spring 2.0",
            r#"{"status":"DOWN","details":{"diskSpace":{"status":"UNKNOWN","details":{"free":1}},
                "db":{"status":"DOWN",
                "details":{"primary":{"status":"DOWN","details":{"error":"x"}},"second":{"status":"UP"}}}}}"#,
            Unhealthy,
            &["db/primary unhealthy", "diskSpace degraded"],
        ),
        (
            "Spring 1",
            r#"{"status":"DOWN","diskSpace":{"status":"UP","free":1},"db":{"status":"DOWN","error":"x"}}"#,
            Unhealthy,
            &["db unhealthy"],
        ),
        (
            "Spring, a custom status",
            r#"{"status":"WARNING","components":{"a":{"status":"THROTTLED"},"b":{"status":"UP"}}}"#,
            Degraded,
            &["a THROTTLED"],
        ),
        (
            "Spring, custom statuses that are words of other dialects",
            r#"{"status":"FATAL","components":{"a":{"status":"FATAL"},"b":{"status":"WARNING"}}}"#,
            Unhealthy,
            &["a FATAL", "b WARNING"],
        ),
        ("Spring, an unknown status alone", r#"{"status":"BUSY"}"#, Degraded, &[]),
        (
            "Spring, a custom status in small letters",
            r#"{"status":"DOWN","components":{"a":{"status":"Throttled"}}}"#,
            Unhealthy,
            &["a Throttled"],
        ),
        (
            "an empty first member",
            r#"{"status":"DOWN","checks":[],"components":{"db":{"status":"DOWN"}}}"#,
            Unhealthy,
            &["db unhealthy"],
        ),
        (
            "details without components",
            r#"{"status":"DOWN","details":{"error":"x"},"db":{"status":"DOWN"}}"#,
            Unhealthy,
            &["db unhealthy"],
        ),
        (
            "a measurement without a component",
            r#"{"status":"fail","checks":{":uptime":[{"status":"fail"}]}}"#,
            Unhealthy,
            &["uptime unhealthy"],
        ),
        ("a word as JSON", r#""Degraded""#, Degraded, &[]),
        ("a word that is not JSON", "Unhealthy", Unhealthy, &[]),
        (
            "MicroProfile",
            r#"{"status":"DOWN","checks":[{"name":"a","status":"UP"},{"name":"b","status":"DOWN","data":{}}]}"#,
            Unhealthy,
            &["b unhealthy"],
        ),
        (
            "MicroProfile 1.0",
            r#"{"outcome":"DOWN","checks":[{"name":"a","state":"UP"},{"name":"b","state":"DOWN"}]}"#,
            Unhealthy,
            &["b unhealthy"],
        ),
        (
            "ASP.NET's UI",
            r#"{"status":"Unhealthy","totalDuration":"00:00:00.1","entries":{"pg":{"data":{},"description":"timed out",
                "duration":"00:00:00.1","status":"Unhealthy","tags":["db"]}}}"#,
            Unhealthy,
            &["pg unhealthy"],
        ),
        (
            "ASP.NET's example",
            r#"{"status":"Degraded","results":{"pg":{"status":"Degraded","data":{}}}}"#,
            Degraded,
            &["pg degraded"],
        ),
        (
            "ASP.NET in Pascal case",
            r#"{"Status":"Unhealthy","Entries":{"pg":{"Status":"Unhealthy"}}}"#,
            Unhealthy,
            &["pg unhealthy"],
        ),
        (
            "ASP.NET in numbers",
            r#"{"status":0,"entries":{"pg":{"status":0},"mq":{"status":1},"a":{"status":2}}}"#,
            Unhealthy,
            &["mq degraded", "pg unhealthy"],
        ),
        (
            "ASP.NET by components",
            r#"{"status":"Unhealthy","checks":[{"component":"db","status":"Unhealthy"}]}"#,
            Unhealthy,
            &["db unhealthy"],
        ),
        (
            "components without names",
            r#"{"status":"fail","checks":[{"status":"pass"},{"status":"fail"},{"name":"","status":"fail"}]}"#,
            Unhealthy,
            &["#2 unhealthy", "#3 unhealthy"],
        ),
        (
            "other members for the name",
            r#"{"status":"fail","checks":[{"componentName":"a","status":"fail"},{"id":"b","status":"fail"}]}"#,
            Unhealthy,
            &["a unhealthy", "b unhealthy"],
        ),
        (
            "words as components",
            r#"{"status":"error","checks":{"redis":"error","db":"ok","mq":false}}"#,
            Unhealthy,
            &["mq unhealthy", "redis unhealthy"],
        ),
        ("a status alone", r#"{"status":"UP"}"#, Healthy, &[]),
        (
            "a number that is too large for a float",
            r#"{"status":"UP","components":{"a":{"status":"UP","n":-1e400,"t":"1e400"}}}"#,
            Healthy,
            &[],
        ),
    ] {
        assert_eq!(read_json(text), says(status, failing), "{dialect}");
    }
    let draining = read(503, "", br#"{"status":"unhealthy","reason":"draining","checks":{}}"#).unwrap();
    assert_eq!(draining.reason.as_deref(), Some("draining"));
}

#[test]
fn texts_are_read_line_by_line() {
    for (text, expected) in [
        ("Degraded", Some((Status::Degraded, 0))),
        ("ok", Some((Status::Healthy, 0))),
        ("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n", Some((Status::Unhealthy, 2))),
        ("[+]ping ok\n[+]b ok (degraded)\nreadyz check passed\n", Some((Status::Degraded, 2))),
        ("[-]a excluded: ok\nreadyz check passed", Some((Status::Healthy, 1))),
        (
            "[+]a excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed",
            Some((Status::Healthy, 1)),
        ),
        ("[-]db failed: timeout", Some((Status::Unhealthy, 1))),
        ("[-]db failed: timeout\nreadyz check passed", Some((Status::Unhealthy, 1))),
        ("livez check passed\n", Some((Status::Healthy, 0))),
        ("readyz check failed", Some((Status::Unhealthy, 0))),
        ("Your browser check passed", None),
        ("Browser check passed", None),
        ("wait\nbrowser check passed", None),
        ("readyz check passed\nand more", None),
        ("[+]a ok and more\nreadyz check passed", None),
        ("[+] ok\nreadyz check passed", None),
        ("no upstream: health check failed", None),
        ("hello", None),
        ("", None),
    ] {
        assert_eq!(read_text(text), expected, "{text:?}");
    }
}

#[test]
fn white_space_marks_and_media_types_do_not_change_a_document() {
    let status = |code, media, body: &[u8]| read(code, media, body).map(|document| document.status);
    for (media, body) in [
        ("text/html", &b"\n{\"status\":\"UP\"}"[..]),
        ("APPLICATION/JSON", b" {\"status\":\"UP\"}"),
        ("application/json", b"\xef\xbb\xbf{\"status\":\"UP\"}"),
        ("", b"\xef\xbb\xbf\r\n\t{\"status\":\"UP\"}\n"),
        ("text/plain", b"\xef\xbb\xbfHealthy\r\n"),
    ] {
        assert_eq!(status(200, media, body), Some(Status::Healthy), "{media} {body:?}");
    }
    let page = b"<html>\n<p>wait\nbrowser check passed\n</html>";
    assert_eq!(status(200, "text/html", page), None);
    assert_eq!(status(200, "text/plain", page), None);
    assert_eq!(status(200, "Text/HTML; charset=utf-8", b"readyz check passed"), None);
    for code in [100, 199, 300, 302, 304, 399] {
        assert_eq!(status(code, "application/json", b"{\"status\":\"UP\"}"), None, "{code}");
        assert_eq!(status(code, "text/plain", b"OK"), None, "{code}");
    }
}

#[test]
fn other_input_is_not_a_health_document() {
    for text in [
        "",
        "hello",
        "<html>ok</html>",
        "{}",
        r#"{"status":1}"#,
        r#"{"status":"fine"}"#,
        "[]",
        "null",
        "{",
        r#"{"status":true}"#,
        r#"{"status":null,"checks":{}}"#,
        r#"{"status":7,"entries":{}}"#,
        r#"{"checks":{"a":{"status":"UP"}}}"#,
        r#"{"status":""}"#,
    ] {
        assert_eq!(read_json(text), None, "{text}");
    }
}

/// The published rules of three dialects: their statuses, the aggregation of two statuses, and the status code of the
/// answer.
///
/// - Spring Boot: `SimpleStatusAggregator` takes the first of DOWN, OUT_OF_SERVICE, UP, UNKNOWN, then any other.
///   `SimpleHttpCodeStatusMapper` answers the first two with 503 and all others with 200.
/// - MicroProfile Health 4.0, section 3: DOWN if any check is DOWN.
/// - ASP.NET: `HealthReport` takes the lowest `HealthStatus`. Healthy and Degraded are answered with 200.
#[test]
fn no_document_is_read_as_better_than_its_dialect_defines() {
    let spring: [(&str, u8, Status); 5] = [
        ("THROTTLED", 4, Status::Degraded),
        ("UNKNOWN", 3, Status::Degraded),
        ("UP", 2, Status::Healthy),
        ("OUT_OF_SERVICE", 1, Status::Unhealthy),
        ("DOWN", 0, Status::Unhealthy),
    ];
    let microprofile = [("UP", 1, Status::Healthy), ("DOWN", 0, Status::Unhealthy)];
    let aspnet =
        [("Healthy", 2, Status::Healthy), ("Degraded", 1, Status::Degraded), ("Unhealthy", 0, Status::Unhealthy)];
    let array = |one: &str, other: &str, all: &str| {
        format!(r#"{{"status":"{all}","checks":[{{"name":"a","status":"{one}"}},{{"name":"b","status":"{other}"}}]}}"#)
    };
    let object = |key: &'static str| {
        move |one: &str, other: &str, all: &str| {
            format!(r#"{{"status":"{all}","{key}":{{"a":{{"status":"{one}"}},"b":{{"status":"{other}"}}}}}}"#)
        }
    };
    type Dialect<'a> = (&'a [(&'a str, u8, Status)], &'a dyn Fn(&str, &str, &str) -> String);
    let (components, entries) = (object("components"), object("entries"));
    let dialects: [Dialect<'_>; 3] = [(&spring, &components), (&microprofile, &array), (&aspnet, &entries)];
    for (statuses, write) in dialects {
        for one in statuses {
            for other in statuses {
                let all = if one.1 < other.1 { one } else { other };
                let text = write(one.0, other.0, all.0);
                let document = read(200, "application/json", text.as_bytes()).unwrap();
                assert_eq!(document.status, all.2, "{text}");
                let said: Vec<Status> = document.components.iter().map(|component| component.status).collect();
                assert_eq!(said, [one.2, other.2], "{text}");
                // A document is below Unhealthy if and only if the framework answers with 200.
                let is_up = !["DOWN", "OUT_OF_SERVICE", "Unhealthy"].contains(&all.0);
                assert_eq!(document.status < Status::Unhealthy, is_up, "{text}");
            }
        }
    }
}

#[test]
fn a_component_is_named_once_with_its_numbers() {
    let text = r#"{"status":"fail","checks":{
        "jobs:length":[{"status":"fail","observedValue":7,"observedUnit":"messages"}],
        "jobs:age":[{"status":"pass","observedValue":3,"observedUnit":"s"}],
        "jobs":[{"status":"fail","output":"late"}],"db":[{"status":"fail"}]}}"#;
    let document = read(503, "application/health+json", text.as_bytes()).unwrap();
    let causes: Vec<String> = document.causes().into_iter().map(ToString::to_string).collect();
    assert_eq!(causes, ["db unhealthy", "jobs unhealthy"]);
    let jobs = &document.components[1];
    assert_eq!(
        jobs.observed,
        [("age".to_owned(), 3.0, "s".to_owned()), ("length".to_owned(), 7.0, "messages".to_owned())]
    );
    let many: Vec<String> = (0..300).map(|n| format!(r#""c{n:03}":{{"status":"UP"}}"#)).collect();
    let many = format!(r#"{{"status":"DOWN","components":{{{},"z":{{"status":"DOWN"}}}}}}"#, many.join(","));
    let document = read(503, "", many.as_bytes()).unwrap();
    assert_eq!((document.components.len(), document.causes()[0].name.as_str()), (256, "z"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..512), json in any::<bool>()) {
        let _ = read(200, if json { "application/json" } else { "text/plain" }, &bytes);
    }

    #[test]
    fn names_are_bounded(name in "\\PC{0,300}") {
        let body = serde_json::json!({"status": "DOWN", "components": {name: {"status": "DOWN"}}}).to_string();
        let document = read(503, "application/json", body.as_bytes()).unwrap();
        prop_assert!(document.components.iter().all(|component| component.name.chars().count() <= 64));
    }

    /// Prose is not a health document, even if it contains a line of a dialect.
    #[test]
    fn prose_is_not_a_health_document(before in "[A-Z][a-z ,]{3,40}", after in "[a-z ,\n]{0,40}") {
        for text in [
            format!("{before}.\n{after}"),
            format!("{before}: readyz check passed"),
            format!("<p>{before}</p>\nlivez check passed"),
        ] {
            prop_assert_eq!(read(200, "text/html", text.as_bytes()), None);
            prop_assert_eq!(read(200, "text/plain", text.as_bytes()), None);
        }
    }
}
