//! The ready-made checks, each in the file of its name.

mod kafka;
