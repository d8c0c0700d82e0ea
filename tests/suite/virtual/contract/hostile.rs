//! Random requests: each gets an answer within the contract, or none because the path belongs to the application.

use health_core::Visibility;
use proptest::prelude::*;

#[path = "../../../fuzz/promises.rs"]
mod promises;

/// Generates any path, often one that is close to a path of the endpoint.
fn path() -> impl Strategy<Value = String> {
    let start = prop_oneof![
        Just("/health"),
        Just("/health/live"),
        Just("/health/checks/"),
        Just("/health/tags/"),
        Just("/livez"),
        Just("/readyz/"),
        Just("/healthz/"),
        Just(""),
    ];
    (start, prop_oneof![Just("a".to_owned()), Just("%61".to_owned()), ".{0,80}", "[/%a-z0-9.]{0,20}"])
        .prop_map(|(start, rest)| format!("{start}{rest}"))
}

proptest! {
    #[test]
    fn any_request_gets_an_answer_within_the_contract(
        method in prop_oneof![
            Just("GET".to_owned()),
            Just("HEAD".to_owned()),
            Just("OPTIONS".to_owned()),
            "\\PC{0,10}",
        ],
        path in path(),
        query in proptest::option::of(prop_oneof!["(format|verbose|exclude)=?[a-z%0-9&=]{0,30}", ".{0,100}"]),
        accept in proptest::option::of(prop_oneof!["[a-z/*;=,q0-9. +]{0,60}", ".{0,60}"]),
        authorization in proptest::option::of(prop_oneof!["[Bb]earer .{0,30}", ".{0,40}"]),
        visibility in prop_oneof![Just(Visibility::Status), Just(Visibility::Checks), Just(Visibility::Full)],
    ) {
        let sent = promises::Sent { method, path, query, accept, authorization };
        promises::request(&promises::endpoint(visibility), visibility, &sent);
    }
}

/// Replays the inputs that libFuzzer kept because they reach further code.
#[test]
fn every_kept_fuzz_input_keeps_its_promise() {
    let endpoints = promises::endpoints();
    kept("request", |input| promises::request_input(&endpoints, input));
    kept("probe_answer", promises::probe_answer_input);
    kept("redaction", promises::redaction_input);
    kept("upstream_document", promises::upstream_document_input);
}

fn kept(target: &str, check: impl Fn(&[u8])) {
    let path = format!("{}/fuzz/corpus/{target}.hex", env!("CARGO_MANIFEST_DIR"));
    let lines = std::fs::read_to_string(path).unwrap();
    assert!(lines.lines().count() > 50, "{target}");
    for line in lines.lines() {
        let digits = line.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let input: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        check(&input);
    }
}
