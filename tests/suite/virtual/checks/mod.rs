//! Tests of the shipped checks, one file for each check or group of checks.

mod backlog;
mod cpu;
mod disk_space;
mod error_rate;
mod file_descriptors;
mod gauge;
mod heartbeat;
mod host_trees;
mod latch;
mod memory;
mod quorum;
mod spool_directory;
mod task_alive;
mod toggle;
mod uptime;
