//! Tests of the shipped checks, one file for each check.

mod kafka;
