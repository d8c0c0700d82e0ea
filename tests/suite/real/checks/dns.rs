//! The `Dns` check with this machine's resolver. The test `fault_table` has its faults over TCP.

use std::net::UdpSocket;

use health_core::{CheckExt as _, Dns, Reason, Status};
use health_tests::{
    name_server, process,
    support::{checked, checked_within, invalid, millis, observed, rerun, secs, shown, verdict},
    wait,
};

#[tokio::test]
async fn a_name_with_too_few_addresses_is_unhealthy() {
    let report = shown(&checked(Dns::new("localhost")).await);
    assert_eq!(report.status(), Status::Healthy);
    assert!((1.0..=2.0).contains(&observed(&report, "addresses")), "{report:?}");
    let report = shown(&checked(Dns::new("localhost").at_least(9)).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Threshold)));
    let report = shown(&checked(Dns::new("no-such-name.invalid")).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Unreachable)));
}

#[test]
fn an_invalid_name_is_refused() {
    for name in ["", "a:1", "http://a", "a b"] {
        assert!(invalid(Dns::new(name)).contains("is not a name"), "{name}");
    }
    assert!(invalid(Dns::new("a").at_least(0)).contains("1 or more"));
}

#[test]
fn a_name_server_that_is_silent_is_a_timeout_and_holds_one_thread() {
    let test = std::thread::spawn(|| {
        let address = name_server::address(2);
        name_server::ask(address, "timeout:1 attempts:1");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let silent = UdpSocket::bind(address).unwrap();
            let check = Dns::new(name_server::NAME).at_least(2).every(secs(3600));
            let health = checked_within(millis(400), check).await;
            let until = async |status, reason| {
                wait::done("the verdict", async || {
                    let report = rerun(&health).await;
                    if verdict(&report) == (status, reason) { Ok(report) } else { Err(report) }
                })
                .await
            };
            for _ in 0..3 {
                until(Status::Unhealthy, Some(Reason::Timeout)).await;
                assert_eq!(process::threads_of_checks(), ["health-x"], "one thread for all runs");
            }
            drop(silent);
            // The resolver gives up on its last query after a second.
            until(Status::Unhealthy, Some(Reason::Unreachable)).await;
            let server = name_server::Server::at(address);
            let report = until(Status::Healthy, None).await;
            assert_eq!(observed(&report, "addresses"), 2.0, "{report:?}");
            drop(server);
            until(Status::Unhealthy, Some(Reason::Unreachable)).await;
        });
    });
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}
