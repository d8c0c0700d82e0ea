//! Dedicated servers end regardless of their clients, and report unhealthy if the runtime stalls.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
};

use health_core::{CheckExt as _, Health, check_fn};
use health_tests::{
    http,
    support::{Blocked, millis, secs},
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_finishes_does_not_delay_the_end() {
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap();
    assert!(health.ready().await);
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    for server in [
        health_actix::serve_dedicated(health.clone(), listener()).unwrap(),
        health_axum::serve_dedicated(health.clone(), listener()).unwrap(),
        health_warp::serve_dedicated(health.clone(), listener()).unwrap(),
        health_hyper::serve_dedicated(health.clone(), listener()).unwrap(),
    ] {
        assert_eq!(http::get(server.address(), "/readyz", &[]).text(), "ok");
        let mut slow = TcpStream::connect(server.address()).unwrap();
        slow.write_all(b"GET /readyz HTTP/1.1\r\nhost: ").unwrap();
        // The answer to another client's request shows that the server has read this incomplete one.
        assert_eq!(http::get(server.address(), "/livez", &[]).text(), "ok");
        let address = server.address();
        // A shutdown that waited for the client would never end.
        drop(server);
        assert!(TcpStream::connect(address).is_err(), "the port is closed");
    }
}

/// All workers of the runtime are blocked: every dedicated server is unhealthy, and healthy again when the runtime
/// recovers.
#[test]
fn a_blocked_runtime_is_unhealthy_on_every_dedicated_server_and_recovers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let health = runtime.block_on(async {
        let ok = check_fn(|| async { Ok(()) }).every(millis(200)).timeout(millis(100)).stale_after(secs(1));
        let health = Health::builder().check("database", ok.readiness()).start().unwrap();
        assert!(health.ready().await);
        health
    });
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = [
        health_actix::serve_dedicated(health.clone(), listener()).unwrap(),
        health_axum::serve_dedicated(health.clone(), listener()).unwrap(),
        health_warp::serve_dedicated(health.clone(), listener()).unwrap(),
        health_hyper::serve_dedicated(health.clone(), listener()).unwrap(),
    ];
    let answers = |path: &str| -> Vec<String> {
        servers.iter().map(|server| http::get(server.address(), path, &[]).text()).collect()
    };
    let all = |answer: &str| vec![answer.to_owned(); servers.len()];
    wait::equals("before", &all("ok"), || answers("/readyz"));
    let blocked = Blocked::workers(runtime.handle(), 2);
    wait::equals("blocked", &all("[-]database failed: stale\n"), || answers("/readyz/database"));
    // Liveness fails only after 30 s. A test on the virtual clock shows it.
    drop(blocked);
    wait::equals("after", &all("ok"), || answers("/readyz"));
    drop((servers, health));
}
