//! kubectl reads the Kubernetes paths as it reads those of an API server.

use std::{process::Command, time::Duration};

use health_core::{CheckExt as _, Endpoint, Health, Outcome, check_fn, testing::Frozen};
use health_tests::{
    mount::{Form, Framework, serve},
    tools::{program, said},
};

#[test]
#[ignore = "needs kubectl: tests/run"]
fn kubectl_reads_what_it_reads_of_an_api_server() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("ping", ok().local().liveness()).check("database", ok())).unwrap();
    let record = |check, outcome| frozen.record(check, outcome, Duration::ZERO).unwrap();
    record("ping", Outcome::healthy());
    record("database", Outcome::healthy());
    for framework in [Framework::Actix, Framework::Axum, Framework::Warp] {
        record("database", Outcome::healthy());
        let server = serve(framework, Form::Routes, Endpoint::new(frozen.health()));
        let raw = |path: &str| {
            let mut kubectl = Command::new(program("usr/bin/kubectl"));
            kubectl.args(["get", "--raw", path, "--server", &format!("http://{}", server.address)]);
            // Neither a configuration nor a cache of anybody's.
            said(kubectl.env("KUBECONFIG", "/dev/null").env("HOME", "/nonexistent"), b"")
        };
        assert_eq!(raw("/livez"), (Some(0), "ok".into()), "{framework:?}");
        assert_eq!(raw("/livez?verbose"), (Some(0), "[+]ping ok\nlivez check passed\n".into()));
        let both = "[+]ping ok\n[+]database ok\nreadyz check passed\n";
        assert_eq!(raw("/readyz?verbose"), (Some(0), both.into()));
        record("database", Outcome::unhealthy("gone"));
        let (code, text) = raw("/readyz");
        assert_eq!(code, Some(1), "{text}");
        assert_eq!(raw("/readyz?exclude=database"), (Some(0), "ok".into()));
        assert_eq!(raw("/livez"), (Some(0), "ok".into()));
    }
}
