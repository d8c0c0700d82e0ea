//! Tests of failures outside of the service, and of situations that must not count as failures.

mod false_alarm;
mod fault_matrix;
mod load;
