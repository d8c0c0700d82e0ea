//! One file per format: pure functions from a report and a visibility to bytes. To add one: a file here, an arm in
//! `Endpoint::document`, a golden answer in its tests.

pub(crate) mod health_json;
pub(crate) mod json;
pub(crate) mod prometheus;
pub(crate) mod text;
pub(crate) mod writer;

#[cfg(test)]
pub(crate) mod samples;
