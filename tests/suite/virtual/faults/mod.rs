//! Tests of failures outside of the service, and of situations that must not count as failures.

mod dependencies;
mod documents;
mod false_alarm;
mod flapping;
mod stale;
mod suspect;
