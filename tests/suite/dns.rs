//! The `Dns` check, with this machine's resolver.

use health_core::{Dns, Reason, Status};

use crate::support::{checked, invalid, observed, shown, verdict};

#[tokio::test]
async fn a_name_needs_its_addresses() {
    let report = shown(&checked(Dns::new("localhost")).await);
    assert_eq!(report.status, Status::Healthy);
    assert!((1.0..=2.0).contains(&observed(&report, "addresses")), "{report:?}");
    let report = shown(&checked(Dns::new("localhost").at_least(9)).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Threshold)));
    let report = shown(&checked(Dns::new("no-such-name.invalid")).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Unreachable)));
}

#[test]
fn what_is_no_name_is_refused() {
    for name in ["", "a:1", "http://a", "a b"] {
        assert!(invalid(Dns::new(name)).contains("is not a name"), "{name}");
    }
    assert!(invalid(Dns::new("a").at_least(0)).contains("1 or more"));
}
