//! Whatever a caller sends: an answer from the contract, or none because the path is the application's.

use std::time::Duration;

use health_core::{CheckExt as _, Endpoint, Health, Outcome, Request, Visibility, check_fn, testing::Frozen};
use proptest::prelude::*;

fn endpoint(visibility: Visibility) -> Endpoint {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("a", ok().tag("t")).check("b", ok())).unwrap();
    frozen.record("a", Outcome::unhealthy("no"), Duration::ZERO).unwrap();
    Endpoint::new(frozen.health()).visibility(visibility).full_for_bearer("a-token-of-16-bytes")
}

/// Anything, and often something close to a path of ours.
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
    fn nothing_a_caller_sends_breaks_an_answer(
        method in prop_oneof![Just("GET".to_owned()), Just("HEAD".to_owned()), Just("OPTIONS".to_owned()), "\\PC{0,10}"],
        path in path(),
        query in proptest::option::of(prop_oneof!["(format|verbose|exclude)=?[a-z%0-9&=]{0,30}", ".{0,100}"]),
        accept in proptest::option::of(prop_oneof!["[a-z/*;=,q0-9. +]{0,60}", ".{0,60}"]),
        authorization in proptest::option::of(prop_oneof!["[Bb]earer .{0,30}", ".{0,40}"]),
        visibility in prop_oneof![Just(Visibility::Status), Just(Visibility::Checks), Just(Visibility::Full)],
    ) {
        let header = |name: &str| match name {
            "accept" => accept.as_deref(),
            "authorization" => authorization.as_deref(),
            _ => None,
        };
        let endpoint = endpoint(visibility);
        let request = Request { method: &method, path: &path, query: query.as_deref(), peer: None, header: &header };
        let Some(response) = endpoint.respond(&request) else {
            prop_assert!(!endpoint.owns(&path));
            return Ok(());
        };
        prop_assert!([200, 400, 404, 405, 503].contains(&response.status));
        prop_assert_eq!(response.content_length, response.body.len());
        for (_, value) in response.headers.iter() {
            prop_assert!(value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')));
        }
        if visibility == Visibility::Status && authorization.is_none() && response.status == 503 {
            let body = String::from_utf8_lossy(&response.body);
            prop_assert!(!body.contains('['), "{}", body);
        }
    }
}
