//! What Linux shows of a host and its control groups in `/proc` and `/sys`. Every path is below a root, so that the files of
//! another machine can be read, too.

pub(crate) mod cgroup;
mod mount;

use std::io;

use crate::check::{error::CheckError, outcome::Outcome};

/// Explains an error of reading a file of the host. Only Linux has these files.
pub(crate) fn unreadable(error: &io::Error) -> CheckError {
    let elsewhere = if cfg!(target_os = "linux") {
        ""
    } else {
        ": it is read from /proc, which Linux alone has, so register the check under #[cfg(target_os = \"linux\")]"
    };
    CheckError::new(format!("{error}{elsewhere}"))
}

/// Adds the details that say what could not be known: why the limit of the control group is not, and the first file that
/// could not be read.
pub(crate) fn with_gaps(outcome: Outcome, unknown_group: Option<String>, unread: Option<String>) -> Outcome {
    let gaps = [("cgroup", unknown_group), ("unread", unread)].into_iter();
    gaps.fold(outcome, |outcome, (name, gap)| match gap {
        Some(gap) => outcome.detail(name, gap),
        None => outcome,
    })
}

/// Returns a share in percent, rounded to two decimals. Of a whole of 0 every part is more than there is.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float's precision")]
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 10_000.0).round() / 100.0
}

/// Returns how many processors a list of the kernel names, such as `0-3,8`; `None` if it is no such list.
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
    fn processors_of_a_list_are_counted() {
        for (list, expected) in
            [("0-3\n", Some(4)), ("0", Some(1)), ("0-3,8,10-11", Some(7)), ("", None), ("3-1", None), ("x", None)]
        {
            assert_eq!(processors(list), expected, "{list:?}");
        }
    }
}
