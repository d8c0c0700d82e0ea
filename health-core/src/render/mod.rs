//! Renderers. Each format has one file, with pure functions that render a report at a visibility into bytes.
//!
//! To add a format, add a file here with golden answers in its tests, a variant of `Format`, a variant of `BodyFormat`,
//! and an arm in `endpoint::answer`.

pub(crate) mod health_json;
#[cfg(feature = "html")]
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod metric_families;
pub(crate) mod prometheus;
#[cfg(feature = "html")]
pub(crate) mod svg;
pub(crate) mod text;
pub(crate) mod writer;

#[cfg(test)]
pub(crate) mod samples;
