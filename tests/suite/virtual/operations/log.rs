//! The log lines of a running service, on the paused clock.

use health_core::{CheckExt as _, Dogstatsd, Endpoint, Health, Toggle, check_fn};

use health_tests::support::{Lines, ask, millis, poll_once, secs, settle};

fn lines_with<'a>(log: &'a str, words: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(words)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_flapping_check_logs_one_failure_in_ten_seconds_and_then_its_last_status() {
    let lines = Lines::default();
    let logging = tracing::dispatcher::set_default(&lines.logging());
    let toggle = Toggle::new();
    let health = Health::builder().check("switch", toggle.check().every(secs(60))).start().unwrap();
    assert!(health.ready().await);
    // Three failures and recoveries within the pause, and then no further change.
    for _ in 0..3 {
        tokio::time::sleep(secs(1)).await;
        toggle.unhealthy("maintenance");
        health.refresh("switch").await.unwrap();
        tokio::time::sleep(secs(1)).await;
        toggle.healthy();
        health.refresh("switch").await.unwrap();
    }
    let log = lines.text();
    // The first failure is not held back by the line of the start.
    let told = lines_with(&log, "check is");
    assert!(told.len() == 2 && told[1].contains("check is unhealthy"), "{log}");
    tokio::time::sleep(secs(6)).await;
    let log = lines.text();
    let told = lines_with(&log, "check is");
    assert_eq!(told.len(), 3, "{log}");
    assert!(told[2].contains("check is healthy") && told[2].contains("suppressed=4"), "{log}");
    drop(logging);
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_in_every_run_logs_one_line_in_ten_seconds() {
    let lines = Lines::default();
    let logging = tracing::dispatcher::set_default(&lines.logging());
    let panics = check_fn(|| async {
        let works = std::hint::black_box(false);
        assert!(works, "of no use");
        Ok(())
    });
    let health = Health::builder().check("broken", panics.every(millis(500)).recheck(millis(500))).start().unwrap();
    tokio::time::sleep(secs(25)).await;
    drop(logging);
    let log = lines.text();
    let told = lines_with(&log, "health: check panicked");
    assert_eq!(told.len(), 3, "{log}");
    assert!(told[0].contains("of no use") && !told[0].contains("suppressed"), "{log}");
    assert!(told[1].contains("suppressed=") && told[2].contains("suppressed="), "{log}");
    health.stop().await;
}

/// A stall changes no check but makes pages stale, so it is logged.
#[tokio::test(start_paused = true)]
async fn a_stalled_runtime_is_logged() {
    let lines = Lines::default();
    let logging = tracing::dispatcher::set_default(&lines.logging());
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap();
    assert!(health.ready().await);
    tokio::time::sleep(secs(30)).await;
    assert!(!lines.text().contains("runtime stalled"), "{}", lines.text());
    // The time passes before any task can run.
    assert!(!poll_once(tokio::time::advance(secs(17))));
    settle().await;
    drop(logging);
    let log = lines.text();
    let told = lines_with(&log, "runtime stalled");
    assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains("seconds=1"), "{log}");
    health.stop().await;
}

/// An application can answer in place of the endpoint, which then gets no request.
#[tokio::test(start_paused = true)]
async fn an_endpoint_without_requests_is_logged_once() {
    const WORDS: &str = "endpoint received no request for a minute";
    for (is_mounted, is_asked, expected) in [(true, false, 1), (true, true, 0), (false, false, 0)] {
        let lines = Lines::default();
        let logging = tracing::dispatcher::set_default(&lines.logging());
        let health = Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap();
        assert!(health.ready().await);
        let endpoint = Endpoint::from(health.clone());
        let endpoint = if is_mounted { endpoint.mounted() } else { endpoint };
        tokio::time::sleep(secs(50)).await;
        if is_asked {
            assert_eq!(ask(&endpoint, "GET", "/livez").status, 200);
        }
        assert_eq!(lines_with(&lines.text(), WORDS).len(), 0, "too early");
        tokio::time::sleep(secs(600)).await;
        assert_eq!(lines_with(&lines.text(), WORDS).len(), expected, "{is_mounted} {is_asked}: {}", lines.text());
        drop(logging);
        health.stop().await;
    }
}

/// A publisher logs once that its receiver is unreachable, and once that it is reachable again.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn an_unreachable_receiver_is_logged_once() {
    let lines = Lines::default();
    let logging = tracing::dispatcher::set_default(&lines.logging());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dsd.socket");
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap();
    assert!(health.ready().await);
    health.publish(Dogstatsd::unix(format!("unix://{}", path.display())).unwrap().every(secs(1)));
    let (away, there) = ("publisher cannot reach its receiver", "publisher reaches its receiver again");
    for turn in 1..=2 {
        tokio::time::sleep(secs(5)).await;
        assert_eq!(lines_with(&lines.text(), away).len(), turn, "{}", lines.text());
        let agent = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        agent.set_nonblocking(true).unwrap();
        tokio::time::sleep(secs(5)).await;
        assert_eq!(lines_with(&lines.text(), there).len(), turn, "{}", lines.text());
        assert!(agent.recv(&mut [0; 2048]).is_ok());
        drop(agent);
        std::fs::remove_file(&path).unwrap();
    }
    drop(logging);
    health.stop().await;
}
