//! The documents about faults agree with the tests, and they contain every networked check.

use std::fmt::Write as _;

use health_tests::{
    fault_matrix::{document, file, without_moments},
    fault_rows::{FAULTS, POOL_FAULTS, ROWS},
    tools::repository,
};

/// Every check that talks to a server has a row in the table.
#[test]
fn every_networked_check_has_a_row_in_the_fault_table() {
    let local = [
        "backlog",
        "blocking",
        "closure",
        "connect",
        "cpu",
        "disk_space",
        "driver_error",
        "error_rate",
        "failure",
        "file_descriptors",
        "gauge",
        "heartbeat",
        "host",
        "latch",
        "limits",
        "memory",
        "mod",
        "open_files",
        "pool",
        "postgres_error",
        "quorum",
        "rabbitmq_protocol",
        "redis_protocol",
        "resolve",
        "runtime_lag",
        "saturation",
        "spool_directory",
        "sqlstate",
        "task_alive",
        "toggle",
        "uptime",
    ];
    for entry in std::fs::read_dir(repository().join("health-core/src/checks")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(local.contains(&name) != ROWS.iter().any(|row| row.name == name), "{name}");
    }
}

/// Returns the table as the page on checks shows it.
fn table() -> String {
    let columns = [&FAULTS[..], &POOL_FAULTS[..]].concat();
    let mut text = format!("| check | {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len() + 1));
    for row in ROWS.iter().copied() {
        let cells: Vec<&str> = row.cells().chain(row.pool_cells()).map(|(_, said)| said).collect();
        writeln!(text, "| `{}` | {} |", row.name, cells.join(" | ")).unwrap();
    }
    text
}

#[test]
fn the_page_on_checks_shows_the_fault_table() {
    assert!(ROWS.iter().all(|row| row.cells().count() == FAULTS.len()));
    assert!(ROWS.iter().all(|row| row.pool_cells().count() == POOL_FAULTS.len()));
    let page = std::fs::read_to_string(repository().join("docs/src/checks.md")).unwrap();
    assert!(page.contains(&table()), "docs/src/checks.md does not have:\n{}", table());
}

#[test]
fn the_fault_matrix_document_shows_what_is_tested() {
    let written = std::fs::read_to_string(file()).unwrap_or_default();
    assert!(
        without_moments(&written) == document(None),
        "FAULTS.md is old: run HEALTH_WRITE_FAULTS=1 tests/run fault_matrix"
    );
}
