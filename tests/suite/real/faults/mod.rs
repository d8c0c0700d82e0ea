//! Faults outside of the service, and conditions that must not be reported as faults.

mod blocking;
mod costs;
mod fault_table;
mod pools;
mod stale;
mod starved;
mod tls;
