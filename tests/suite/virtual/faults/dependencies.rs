//! `depends_on`: which checks are held back, what they show, and which causes the report names.

use health_core::{CheckExt as _, Health, Outcome, Reason, Status, testing::scripted};
use tokio::time::sleep;

use health_tests::support::{body, millis, secs, settle};

fn shown(health: &Health, name: &str) -> (Status, Option<Reason>, Vec<String>) {
    let report = health.report();
    let check = report.check(name).unwrap();
    (check.status(), check.reason(), check.caused_by().iter().map(ToString::to_string).collect())
}

#[tokio::test(start_paused = true)]
async fn a_dependant_waits_for_its_failed_dependency_and_runs_at_once_on_recovery() {
    let (database, database_says) = scripted();
    let (orders, orders_says) = scripted();
    let (reports, reports_says) = scripted();
    let health = Health::builder()
        .check("reports", reports.depends_on("orders"))
        .check("orders", orders.depends_on("database"))
        .check("database", database)
        .start()
        .unwrap();
    assert!(health.ready().await);

    database_says.answer(Outcome::unhealthy("refused").reason(Reason::Unreachable));
    orders_says.answer(Outcome::unhealthy("would fail, too"));
    health.refresh("database").await.unwrap();
    let runs = (orders_says.runs(), reports_says.runs());
    sleep(secs(100)).await;
    assert_eq!((orders_says.runs(), reports_says.runs()), runs, "not run while the database fails");
    for name in ["orders", "reports"] {
        let expected = (Status::Unhealthy, Some(Reason::Dependency), vec!["database".to_owned()]);
        assert_eq!(shown(&health, name), expected, "{name} is never stale");
    }
    let report = health.report();
    assert_eq!(report.root_causes().iter().map(|name| &**name).collect::<Vec<_>>(), ["database"]);
    assert!(body(&health, "/health").contains(r#""root_causes":["database"]"#));

    orders_says.answer(Outcome::healthy());
    database_says.answer(Outcome::healthy());
    health.refresh("database").await.unwrap();
    settle().await;
    assert_eq!((orders_says.runs(), reports_says.runs()), (runs.0 + 1, runs.1 + 1), "run at once");
    assert_eq!(shown(&health, "reports"), (Status::Healthy, None, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_dependant_keeps_its_verdict_until_its_dependency_is_unhealthy() {
    let (database, database_says) = scripted();
    let (orders, orders_says) = scripted();
    let health = Health::builder()
        .check("database", database.failures(3))
        .check("orders", orders.depends_on("database"))
        .start()
        .unwrap();
    assert!(health.ready().await);
    database_says.answer(Outcome::unhealthy("refused"));
    health.refresh("database").await.unwrap();
    assert_eq!(shown(&health, "database").0, Status::Degraded);
    let runs = orders_says.runs();
    assert_eq!(shown(&health, "orders"), (Status::Healthy, None, vec![]));
    health.refresh("database").await.unwrap();
    health.refresh("database").await.unwrap();
    assert_eq!(shown(&health, "orders").1, Some(Reason::Dependency));
    assert_eq!(orders_says.runs(), runs);
    // The last run of the dependency holds the check back, not its status after thresholds. So one success releases
    // the check.
    database_says.answer(Outcome::degraded("slow"));
    health.refresh("database").await.unwrap();
    settle().await;
    assert_eq!(orders_says.runs(), runs + 1);
}

#[tokio::test(start_paused = true)]
async fn a_degraded_or_pending_dependency_holds_no_check_back() {
    let (database, database_says) = scripted();
    let (orders, orders_says) = scripted();
    database_says.hang();
    let health = Health::builder()
        .check("database", database.timeout(secs(60)))
        .check("orders", orders.depends_on("database"))
        .start()
        .unwrap();
    sleep(millis(10)).await;
    assert_eq!(orders_says.runs(), 1);
    assert_eq!(shown(&health, "orders").0, Status::Healthy);
    assert_eq!(shown(&health, "database").1, Some(Reason::Pending));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_runs_a_check_that_is_held_back() {
    let (database, database_says) = scripted();
    let (orders, orders_says) = scripted();
    database_says.answer(Outcome::unhealthy("refused"));
    let health =
        Health::builder().check("database", database).check("orders", orders.depends_on("database")).start().unwrap();
    sleep(secs(1)).await;
    let runs = orders_says.runs();
    health.refresh("orders").await.unwrap();
    assert_eq!(orders_says.runs(), runs + 1);
}

#[tokio::test(start_paused = true)]
async fn an_optional_outage_does_not_keep_a_service_in_starting() {
    let (cache, cache_says) = scripted();
    let (warm, _warm_says) = scripted();
    cache_says.answer(Outcome::unhealthy("refused"));
    let health = Health::builder()
        .check("cache", cache.optional())
        .check("warm", warm.optional().depends_on("cache"))
        .start()
        .unwrap();
    assert!(health.ready().await, "an optional failure leaves readiness at Degraded");
}

#[tokio::test(start_paused = true)]
async fn a_dependant_that_is_released_late_is_not_stale() {
    let (database, database_says) = scripted();
    let (orders, orders_says) = scripted();
    let health =
        Health::builder().check("database", database).check("orders", orders.depends_on("database")).start().unwrap();
    assert!(health.ready().await);
    database_says.answer(Outcome::unhealthy("refused"));
    health.refresh("database").await.unwrap();
    sleep(secs(300)).await;
    orders_says.delay(secs(1));
    database_says.answer(Outcome::healthy());
    health.refresh("database").await.unwrap();
    settle().await;
    assert_eq!(
        shown(&health, "orders"),
        (Status::Healthy, None, vec![]),
        "the last verdict holds until the current run ends"
    );
}
