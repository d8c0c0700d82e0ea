//! What goes wrong outside, and what must not be taken for it.

mod dependencies;
mod documents;
mod false_alarm;
mod flapping;
mod stale;
mod suspect;
