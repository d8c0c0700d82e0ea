//! Promises of the library to its users.

mod access_log;
mod conformance;
mod debug_output;
mod external_types;
mod features;
mod host_recorder;
mod links;
mod lint;
