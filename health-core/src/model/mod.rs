//! Plain data that callers read: statuses, reports, histories and changes.

pub(crate) mod change;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod observed;
pub(crate) mod report;
mod ring;
pub(crate) mod status;
pub(crate) mod totals;
