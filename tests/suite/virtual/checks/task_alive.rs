//! The `TaskAlive` check.

use health_core::{CheckExt as _, Health, Reason, Status, TaskAlive};
use tokio::sync::oneshot;

use health_tests::support::{checked, rerun, settle, shown};

#[tokio::test(start_paused = true)]
async fn the_message_says_how_the_task_ended() {
    for (word, message, reason) in [
        ("return", "it returned", Reason::Failed),
        ("panic", "it panicked", Reason::Panicked),
        ("abort", "it was aborted", Reason::Failed),
    ] {
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let word: &str = ended.await.unwrap();
            assert_ne!(word, "panic");
        });
        let handle = task.abort_handle();
        let health = checked(TaskAlive::new(task).liveness()).await;
        assert_eq!(shown(&health).status(), Status::Healthy);
        if word == "abort" {
            handle.abort();
        } else {
            end.send(word).unwrap();
        }
        settle().await;
        let report = rerun(&health).await;
        assert_eq!((report.status(), report.reason()), (Status::Unhealthy, Some(reason)), "{word}");
        assert!(report.message().unwrap().contains(message), "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_can_be_watched_by_its_abort_handle() {
    let task = tokio::spawn(std::future::pending::<()>());
    let health = Health::builder().check("x", TaskAlive::of(task.abort_handle())).start().unwrap();
    assert_eq!(rerun(&health).await.status(), Status::Healthy);
    task.abort();
    settle().await;
    assert_eq!(rerun(&health).await.status(), Status::Unhealthy);
}
