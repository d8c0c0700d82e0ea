//! The schemas refuse documents that the endpoint never sends.

use health_core::{Endpoint, Visibility};
use health_tests::{
    json_schema::AnswerSchemas,
    support::ask,
    wire_contract::{State, enter, frozen},
};
use serde_json::{Value, json};

use super::{documents, names};

/// Returns the JSON pointers of everything in a document except the contents of details, which are arbitrary.
fn pointers(value: &Value, here: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(values) => values.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let below = children.into_iter().filter(|(name, _)| name != "details");
    let below = below.flat_map(|(name, value)| pointers(value, &format!("{here}/{name}")));
    [here.to_owned()].into_iter().chain(below).collect()
}

/// Returns the document with another value at a pointer.
fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = document.clone();
    if document.pointer(pointer).is_some() {
        *changed.pointer_mut(pointer).unwrap() = value;
    } else {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[name] = value;
    }
    changed
}

/// Returns the documents of a healthy and of an unhealthy service at the visibilities Checks and Full.
fn samples() -> Vec<Value> {
    let frozen = frozen(true);
    let mut samples: Vec<Value> = Vec::new();
    for state in [State::Healthy, State::Unhealthy] {
        enter(&frozen, state);
        for visibility in [Visibility::Checks, Visibility::Full] {
            let endpoint = Endpoint::new(frozen.health()).kubernetes_paths(false).visibility(visibility);
            samples.extend(documents(&endpoint, &names()));
        }
    }
    samples
}

#[test]
fn a_document_with_one_fault_is_refused() {
    let schemas = AnswerSchemas::read();
    // The ends of the names of members that are never negative.
    let never_negative = ["_ms", "_seconds", "_failures", "_successes", "/share", "/coverage"];
    let (mut unknown, mut null, mut negative) = (0, 0, 0);
    for document in samples() {
        for pointer in pointers(&document, "") {
            let refused = |wrong: &Value| assert!(schemas.fault(wrong).is_some(), "{pointer} is allowed in {wrong}");
            let value = document.pointer(&pointer).unwrap();
            if value.is_object() {
                refused(&with(&document, &format!("{pointer}/unknown member"), json!(1)));
                unknown += 1;
            }
            if !pointer.is_empty() {
                refused(&with(&document, &pointer, Value::Null));
                null += 1;
            }
            if pointer.ends_with("/status") {
                for word in ["ok", "Healthy", "PASS", ""] {
                    refused(&with(&document, &pointer, json!(word)));
                }
            }
            if value.is_number() && never_negative.iter().any(|end| pointer.ends_with(end)) {
                refused(&with(&document, &pointer, json!(-1)));
                negative += 1;
            }
        }
    }
    assert!(unknown > 100 && null > 300 && negative > 50, "{unknown} unknown, {null} null, {negative} negative");
}

#[test]
fn a_value_that_only_another_document_may_have_is_refused() {
    let schemas = AnswerSchemas::read();
    let frozen = frozen(true);
    enter(&frozen, State::Healthy);
    let answer = |visibility, target: &str| -> Value {
        let endpoint = Endpoint::new(frozen.health()).visibility(visibility);
        serde_json::from_slice(&ask(&endpoint, "GET", target).body).unwrap()
    };
    let status = answer(Visibility::Status, "/health");
    let report = answer(Visibility::Checks, "/health");
    let full = answer(Visibility::Full, "/health");
    let page = answer(Visibility::Full, "/health/checks/database");
    let health_json = answer(Visibility::Checks, "/health?format=health");
    let run = page["history"][0].clone();
    let numbers: serde_json::Map<String, Value> =
        (0..17).map(|number| (format!("number {number}"), json!({ "value": number }))).collect();
    for (document, pointer, value) in [
        (&status, "/reason", json!("draining")),
        (&status, "/checks", json!([])),
        (&report, "/reason", json!("timeout")),
        (&report, "/lifecycle", json!("ready")),
        (&report, "/root_causes", json!([])),
        (&report, "/root_causes", json!(["database", "database"])),
        (&report, "/root_causes", json!(["a name with spaces"])),
        (&report, "/checks/database/message", json!("refused")),
        (&report, "/checks/database/reason", json!("draining")),
        (&report, "/checks/database/checked_at", json!("2026-01-05 08:00:00.123")),
        (&report, "/checks/database/checked_at", json!("2026-13-05T08:00:00.123Z")),
        (&report, "/checks/database/checked_at", json!("2026-01-05T08:00:00Z")),
        (&report, "/checks/database/duration_ms", json!("1.42")),
        (&report, "/checks/database/critical", json!("yes")),
        (&full, "/uptime_seconds", json!(1.5)),
        (&full, "/lifecycle", json!("running")),
        (&full, "/checks/database/history", json!([])),
        (&full, "/checks/database/kind", json!("remote")),
        (&full, "/checks/database/tags", json!([])),
        (&full, "/checks/database/caused_by", json!([])),
        (&full, "/checks/database/consecutive_failures", json!(0.5)),
        (&full, "/checks/database/details", json!({})),
        (&full, "/checks/database/observed", json!({})),
        (&full, "/checks/database/observed", json!(numbers)),
        (&full, "/checks/database/observed/pool_size/unit", json!("")),
        (&full, "/checks/database/observed/pool_size/limit", json!(1)),
        (&page, "/history", json!(vec![run; 61])),
        (&page, "/uptime/share", json!(1.1)),
        (&page, "/checks", json!({})),
        (&health_json, "/output", json!("timeout")),
        (&health_json, "/serviceId", json!("orders")),
        (&health_json, "/checks/database:responseTime", json!([])),
        (&health_json, "/checks/database", json!([{ "status": "pass" }])),
        (&health_json, "/checks/database:responseTime/0/componentType", json!("component")),
        (&health_json, "/checks/database:responseTime/0/observedUnit", json!("s")),
        (&health_json, "/checks/database:responseTime/0/observedValue", json!(-1)),
        (&health_json, "/checks/database:responseTime/0/output", json!("refused by 10.0.0.1")),
    ] {
        assert_eq!(schemas.fault(document), None);
        let wrong = with(document, pointer, value);
        assert!(schemas.fault(&wrong).is_some(), "{pointer} is allowed in {wrong}");
    }
    for wrong in [json!([]), json!("healthy"), json!({}), json!({ "checks": {} }), json!({ "status": "up" })] {
        assert!(schemas.fault(&wrong).is_some(), "{wrong}");
    }
}
