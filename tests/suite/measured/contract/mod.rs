//! Tests of the promises that the library makes to applications and callers.

mod answers;
mod status_page;
