//! What goes wrong outside, and what must not be taken for it.

mod blocking;
mod costs;
mod fault_table;
mod pools;
mod stale;
mod starved;
mod tls;
