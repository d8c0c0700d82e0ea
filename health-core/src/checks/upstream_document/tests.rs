//! Tests with one document per dialect, as its own documentation or program prints it, and with any other input.

use proptest::prelude::*;

use super::*;

fn read_json(text: &str) -> Option<(Status, Vec<String>)> {
    read("application/json", text.as_bytes()).map(|document| {
        let failing = document.components.iter().filter(|component| component.status > Status::Healthy);
        // The application's features of serde_json decide between the order of the document and that of the names.
        let mut failing: Vec<String> = failing.map(ToString::to_string).collect();
        failing.sort();
        (document.status, failing)
    })
}

fn read_text(text: &str) -> Option<(Status, usize)> {
    read("text/plain", text.as_bytes()).map(|document| (document.status, document.components.len()))
}

fn says(status: Status, failing: &[&str]) -> Option<(Status, Vec<String>)> {
    Some((status, failing.iter().map(ToString::to_string).collect()))
}

#[test]
fn every_dialect_is_read() {
    let ours = r#"{"status":"unhealthy","root_causes":["database"],"checks":{"database":{"status":"unhealthy",
        "reason":"unreachable","critical":true},"jobs":{"status":"healthy","critical":true}}}"#;
    assert_eq!(read_json(ours), says(Status::Unhealthy, &["database unreachable"]));
    let draining = r#"{"status":"unhealthy","reason":"draining","checks":{}}"#;
    assert_eq!(read("", draining.as_bytes()).unwrap().reason.as_deref(), Some("draining"));
    let health_json = r#"{"status":"warn","checks":{"cassandra:responseTime":[{"status":"pass"},{"status":"WARN"}],
        "uptime":[{"componentType":"system","status":"pass"}]}}"#;
    assert_eq!(read_json(health_json), says(Status::Degraded, &["cassandra degraded"]));
    let spring = r#"{"status":"DOWN","groups":["liveness"],"components":{"db":{"status":"DOWN","details":{"error":"x"}},
        "broker":{"status":"UP","components":{"us1":{"status":"UP"},"us2":{"status":"OUT_OF_SERVICE"}}}}}"#;
    assert_eq!(read_json(spring), says(Status::Unhealthy, &["broker/us2 unhealthy", "db unhealthy"]));
    let old_spring = r#"{"status":"UP","details":{"diskSpace":{"status":"UNKNOWN","details":{"free":1}}}}"#;
    assert_eq!(read_json(old_spring), says(Status::Healthy, &["diskSpace degraded"]));
    let microprofile =
        r#"{"status":"DOWN","checks":[{"name":"a","status":"UP"},{"name":"b","status":"DOWN","data":{}}]}"#;
    assert_eq!(read_json(microprofile), says(Status::Unhealthy, &["b unhealthy"]));
    let aspnet = r#"{"status":"Unhealthy","totalDuration":"00:00:00.1","entries":{"pg":{"data":{},"description":"timed out",
        "duration":"00:00:00.1","status":"Unhealthy","tags":["db"]}}}"#;
    assert_eq!(read_json(aspnet), says(Status::Unhealthy, &["pg unhealthy"]));
    assert_eq!(read_json(r#"{"status":"UP"}"#), says(Status::Healthy, &[]));
    assert_eq!(read_text("Degraded"), Some((Status::Degraded, 0)));
    assert_eq!(read_text("ok"), Some((Status::Healthy, 0)));
    assert_eq!(
        read_text("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"),
        Some((Status::Unhealthy, 2))
    );
    assert_eq!(read_text("[+]ping ok\n[+]b ok (degraded)\nreadyz check passed\n"), Some((Status::Degraded, 2)));
    assert_eq!(read_text("[-]a excluded: ok\nreadyz check passed"), Some((Status::Healthy, 1)));
}

#[test]
fn other_input_is_no_document() {
    for text in ["", "hello", "<html>ok</html>", "{}", r#"{"status":1}"#, r#"{"status":"fine"}"#, "[]", "null", "{"] {
        assert_eq!(read_json(text), None, "{text}");
    }
    assert_eq!(read_text("<html>"), None);
}

proptest! {
    #[test]
    fn nothing_that_a_service_sends_does_harm(bytes in prop::collection::vec(any::<u8>(), 0..512), json in any::<bool>()) {
        let _ = read(if json { "application/json" } else { "text/plain" }, &bytes);
    }

    #[test]
    fn names_are_bounded(name in "\\PC{0,300}") {
        let body = serde_json::json!({"status": "DOWN", "components": {name: {"status": "DOWN"}}}).to_string();
        let document = read("application/json", body.as_bytes()).unwrap();
        prop_assert!(document.components.iter().all(|component| component.name.chars().count() <= WORD));
    }
}
