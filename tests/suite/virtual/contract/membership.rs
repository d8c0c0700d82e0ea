//! The probes that each check counts for, and how its failure counts.

use health_core::{
    Backlog, Check, CheckExt as _, Cpu, DiskSpace, Dns, ErrorRate, FileDescriptors, Gauge, Health, Heartbeat, Http,
    Impact, Kind, Latch, Lifecycle, Membership, Memory, Outcome, Probe, Reason, RuntimeLag, SpoolDirectory, Status,
    TaskAlive, Tcp, Toggle, Upstream, Uptime, check_fn,
    testing::{Frozen, scripted},
};
use tokio::time::sleep;

use health_tests::support::{body, code, millis, secs};

#[tokio::test(start_paused = true)]
async fn a_probe_without_members_is_200_at_once() {
    let health = Health::builder().start().unwrap();
    for path in ["/livez", "/readyz", "/startupz", "/healthz", "/health"] {
        assert_eq!(code(&health, path), 200, "{path}");
    }
    assert_eq!(health.report().lifecycle(), Lifecycle::Ready);
}

#[test]
fn a_pending_check_counts_by_its_impact_but_not_for_liveness() {
    let ok = || check_fn(|| async { Ok(()) }).local().liveness();
    let statuses = |critical: bool| {
        let check = if critical { ok().startup() } else { ok().optional() };
        let frozen = Frozen::new(Health::builder().check("x", check)).unwrap();
        frozen.lifecycle(Lifecycle::Ready);
        // The lifecycle was set by hand, so the check is still pending.
        let health = frozen.health();
        let code = |path| code(&health, path);
        (
            health.report().status(),
            health.status(Probe::Readiness),
            code("/livez"),
            code("/startupz"),
            code("/health/checks/x"),
        )
    };
    assert_eq!(statuses(true), (Status::Unhealthy, Status::Unhealthy, 200, 503, 503));
    assert_eq!(statuses(false), (Status::Degraded, Status::Degraded, 200, 200, 503));
}

#[test]
fn an_optional_failure_is_degraded_and_503_only_on_its_own_page() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("database", ok()).check("cache", ok().optional())).unwrap();
    let health = frozen.health();
    frozen.record("database", Outcome::healthy(), millis(1)).unwrap();
    frozen.record("cache", Outcome::unhealthy("refused"), millis(1)).unwrap();
    assert_eq!(health.report().status(), Status::Degraded);
    let codes = ["/health", "/readyz", "/health/checks/cache", "/readyz/cache"].map(|path| code(&health, path));
    assert_eq!(codes, [200, 200, 503, 503]);
    assert_eq!(health.report().root_causes().iter().map(|name| &**name).collect::<Vec<_>>(), ["cache"]);
}

#[tokio::test(start_paused = true)]
async fn measures_and_report_only_checks_do_not_count_for_readiness() {
    let (noisy, noisy_says) = scripted();
    let (backlog, backlog_says) = scripted();
    noisy_says.answer(Outcome::unhealthy("refused"));
    backlog_says.answer(Outcome::unhealthy("refused"));
    let health = Health::builder()
        .check("gauge", Gauge::new(|| 11).fail_above(10))
        .check("noisy", noisy.report_only())
        .check("counted", Gauge::new(|| 1).fail_above(10).readiness())
        .check("backlog", backlog.report_only().tag("queues"))
        .start()
        .unwrap();
    assert!(health.ready().await);
    assert_eq!(
        (code(&health, "/readyz"), code(&health, "/health"), code(&health, "/health/tags/queues")),
        (200, 503, 503)
    );
    assert_eq!(body(&health, "/readyz?verbose"), "[+]counted ok\nreadyz check passed\n");
}

#[tokio::test(start_paused = true)]
async fn a_passed_startup_stays_passed() {
    let (migrations, says) = scripted();
    says.answer(Outcome::unhealthy("not yet"));
    let health = Health::builder().check("migrations", migrations.local().startup()).start().unwrap();
    sleep(secs(3)).await;
    assert_eq!((code(&health, "/startupz"), code(&health, "/readyz")), (503, 503));
    says.answer(Outcome::healthy());
    health.refresh("migrations").await.unwrap();
    assert_eq!(code(&health, "/startupz"), 200);
    says.answer(Outcome::unhealthy("broken again"));
    health.refresh("migrations").await.unwrap();
    assert_eq!((code(&health, "/startupz"), code(&health, "/readyz")), (200, 503));
    // A startup check that is inserted later and has never succeeded does not undo it.
    let (late, says) = scripted();
    says.answer(Outcome::unhealthy("not yet"));
    health.insert("late", late.local().startup()).unwrap();
    health.refresh("late").await.unwrap();
    assert_eq!(code(&health, "/startupz"), 200);
    health.drain(secs(1)).await;
    assert_eq!(code(&health, "/startupz"), 200);
}

#[tokio::test(start_paused = true)]
async fn liveness_counts_only_checks_that_were_registered_for_it() {
    let heartbeat = Heartbeat::new().warn_after(secs(2)).fail_after(secs(4));
    let (database, says) = scripted();
    let health =
        Health::builder().check("database", database).check("worker", heartbeat.check().liveness()).start().unwrap();
    assert!(health.ready().await);
    says.answer(Outcome::unhealthy("refused").reason(Reason::Unreachable));
    health.refresh("database").await.unwrap();
    assert_eq!((code(&health, "/readyz"), code(&health, "/livez")), (503, 200));
    sleep(secs(20)).await;
    assert_eq!(code(&health, "/livez"), 503);
    assert_eq!(body(&health, "/livez/worker"), "[-]worker failed: threshold\n");
}

#[tokio::test]
async fn every_check_has_its_documented_kind_impact_and_membership() {
    fn place(check: &impl Check) -> (Kind, Impact, Membership) {
        (check.kind(), check.impact(), check.membership())
    }
    use Impact::{Critical, Optional};
    use Kind::{Dependency, Local};
    use Membership::{Readiness, ReportOnly};
    let task = tokio::spawn(async {});
    let client = health_tests::support::client;
    for (name, found, expected) in [
        ("Backlog", place(&Backlog::new(Cpu::new())), (Local, Critical, ReportOnly)),
        ("Cpu", place(&Cpu::new()), (Local, Critical, ReportOnly)),
        ("DiskSpace", place(&DiskSpace::new("/")), (Local, Critical, ReportOnly)),
        ("Dns", place(&Dns::new("localhost")), (Dependency, Critical, Readiness)),
        ("ErrorRate", place(&ErrorRate::new().check()), (Dependency, Critical, ReportOnly)),
        ("FileDescriptors", place(&FileDescriptors::new()), (Local, Critical, ReportOnly)),
        ("Gauge", place(&Gauge::new(|| 1)), (Dependency, Critical, ReportOnly)),
        ("Heartbeat", place(&Heartbeat::new().check()), (Local, Critical, Readiness)),
        ("Http", place(&Http::get(client(), "http://x/")), (Dependency, Optional, Readiness)),
        ("Latch", place(&Latch::new().check()), (Local, Critical, Readiness)),
        ("Memory", place(&Memory::new()), (Local, Critical, ReportOnly)),
        ("RuntimeLag", place(&RuntimeLag::new()), (Local, Critical, ReportOnly)),
        ("SpoolDirectory", place(&SpoolDirectory::new("/x")), (Dependency, Critical, ReportOnly)),
        ("TaskAlive", place(&TaskAlive::new(task)), (Local, Critical, Readiness)),
        ("Tcp", place(&Tcp::new("x:1")), (Dependency, Critical, Readiness)),
        ("Toggle", place(&Toggle::new().check()), (Local, Critical, Readiness)),
        ("Upstream", place(&Upstream::new(client(), "http://x/")), (Dependency, Optional, Readiness)),
        ("Uptime", place(&Uptime::new()), (Local, Critical, ReportOnly)),
    ] {
        assert_eq!(found, expected, "{name}");
    }
}
