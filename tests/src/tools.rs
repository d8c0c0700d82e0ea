//! Programs that read what we write, where `tests/run` has put them.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The repository's own folder.
#[must_use]
pub fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A program out of a Debian package, for instance `usr/bin/promtool`.
#[must_use]
pub fn program(path: &str) -> PathBuf {
    repository().join("target/tools/root").join(path)
}

/// A file for another program in `examples/deploy`.
#[must_use]
pub fn deploy(path: &str) -> PathBuf {
    repository().join("examples/deploy").join(path)
}

/// Python with the packages of the consumers, about to run one of `tests/consumers`.
#[must_use]
pub fn consumer(script: &str) -> Command {
    let mut command = Command::new(repository().join("target/tools/python/bin/python"));
    command.arg(repository().join("tests/consumers").join(script));
    command
}

/// Runs a program to its end with this input: its exit code, and everything it said.
///
/// # Panics
///
/// There is no such program: `tests/run` installs it.
#[must_use]
pub fn said(command: &mut Command, input: &[u8]) -> (Option<i32>, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}: tests/run installs it"));
    // One that has heard enough may close its end.
    let _ = child.stdin.take().expect("its input").write_all(input);
    let output = child.wait_with_output().expect("its output");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}
