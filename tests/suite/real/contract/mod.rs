//! What the library promises to whoever uses it.

mod access_log;
mod conformance;
mod debug_output;
mod external_types;
mod features;
mod host_recorder;
