//! The order of dependencies: the positions of upstreams and dependants, and ranks that put a check after all its
//! upstreams.

use std::collections::VecDeque;

use crate::engine::store::tracked_check::TrackedCheck;

/// Links the checks from position `first` on with their upstreams, and ranks them. Requires that no check before
/// `first` depends on one of them, and that dependencies have no cycles.
pub(super) fn link(checks: &mut [TrackedCheck], first: usize, position: impl Fn(&str) -> Option<usize>) {
    for at in first..checks.len() {
        let mut upstreams: Vec<usize> = Vec::new();
        for upstream in checks[at].plan.depends_on.iter().filter_map(|name| position(name)) {
            if !upstreams.contains(&upstream) {
                upstreams.push(upstream);
            }
        }
        if !upstreams.is_empty() {
            upstreams.iter().for_each(|upstream| checks[*upstream].links.get_or_insert_default().dependants.push(at));
            checks[at].links.get_or_insert_default().upstreams = upstreams;
        }
    }
    let unranked = |check: &TrackedCheck| check.upstreams().iter().filter(|upstream| **upstream >= first).count();
    let mut unranked: Vec<usize> = checks[first..].iter().map(unranked).collect();
    let mut ready: VecDeque<usize> = (first..checks.len()).filter(|at| unranked[at - first] == 0).collect();
    while let Some(at) = ready.pop_front() {
        let above = checks[at].upstreams().iter().map(|upstream| checks[*upstream].rank + 1);
        checks[at].rank = above.max().unwrap_or(0);
        for dependant in checks[at].dependants().to_vec() {
            unranked[dependant - first] -= 1;
            if unranked[dependant - first] == 0 {
                ready.push_back(dependant);
            }
        }
    }
}
