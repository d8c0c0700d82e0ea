//! What goes wrong outside, and what must not be taken for it.

mod false_alarm;
mod fault_matrix;
mod load;
