//! Reads the numbers of a host and its control groups from `/proc` and `/sys` of Linux. Every path is below a root
//! directory, so that recorded files of another machine can be read, too.

pub(crate) mod cgroup;
mod mount;

use std::io;

use crate::check::{error::CheckError, outcome::Outcome};

/// Converts the error of reading a file of the host. Only Linux has these files, so the message names this cause on
/// other systems.
pub(crate) fn unreadable(error: &io::Error) -> CheckError {
    let elsewhere = if cfg!(target_os = "linux") {
        ""
    } else {
        ": the check reads /proc, which only Linux has, so register it under #[cfg(target_os = \"linux\")]"
    };
    CheckError::new(format!("{error}{elsewhere}"))
}

/// Adds the details on missing numbers: `cgroup` is the reason for which the limit of the control group is unknown, and
/// `unread` is the first file that could not be read.
pub(crate) fn with_gaps(outcome: Outcome, unknown_group: Option<String>, unread: Option<String>) -> Outcome {
    let gaps = [("cgroup", unknown_group), ("unread", unread)].into_iter();
    gaps.fold(outcome, |outcome, (name, gap)| match gap {
        Some(gap) => outcome.detail(name, gap),
        None => outcome,
    })
}

/// Returns a share in percent, rounded to two decimals. A whole of 0 counts as 1, so that any part of it is at least
/// 100 %.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float's precision")]
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 10_000.0).round() / 100.0
}

/// Returns the number of processors in a list of the kernel, such as `0-3,8`; `None` if the text is not such a list.
pub(crate) fn processors(list: &str) -> Option<u32> {
    list.trim().split(',').try_fold(0_u32, |count, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_in_a_list_of_the_kernel_are_counted() {
        for (list, expected) in
            [("0-3\n", Some(4)), ("0", Some(1)), ("0-3,8,10-11", Some(7)), ("", None), ("3-1", None), ("x", None)]
        {
            assert_eq!(processors(list), expected, "{list:?}");
        }
    }
}
