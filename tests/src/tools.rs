//! Programs that consume the output of `health`, in the places where `tests/run` installs them.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Returns the root folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the pages of the guide, its summary included.
///
/// # Panics
///
/// Panics if a folder of the guide cannot be read.
#[must_use]
pub fn guide_pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![repository().join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the guide") {
            let path = entry.expect("an entry of the folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// Declares that the running test needs a program of `tests/PROGRAMS.md`.
///
/// # Panics
///
/// Panics if the table does not name the program for this test, because `tests/run` would not install it then.
pub fn needs(program: &str) {
    let variable = |name: &str| std::env::var(name).ok();
    // Only nextest sets these variables. It runs each test in a process of its own.
    let (Some(binary), Some(test)) = (variable("NEXTEST_BINARY_ID"), variable("NEXTEST_TEST_NAME")) else { return };
    let name = format!("{}::{test}", binary.trim_start_matches("health-tests::"));
    let table = std::fs::read_to_string(repository().join("tests/PROGRAMS.md")).expect("the table of programs");
    let begins = format!("| `{program}` | ");
    let row = table
        .lines()
        .find_map(|line| line.strip_prefix(&begins))
        .unwrap_or_else(|| panic!("tests/PROGRAMS.md has no row for {program}"));
    let mut patterns = row.split(" | ").next().unwrap_or_default().split(' ').map(|pattern| pattern.trim_matches('`'));
    assert!(patterns.any(|pattern| fits(pattern, &name)), "tests/PROGRAMS.md does not say that {name} needs {program}");
}

/// Returns whether a name matches a pattern, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Returns the path of a program from a Debian package, for instance `usr/bin/promtool`.
#[must_use]
pub fn program(path: &str) -> PathBuf {
    needs(match path.rsplit('/').next().unwrap_or_default() {
        "promtool" => "prometheus",
        "prometheus-blackbox-exporter" => "blackbox_exporter",
        "plugins" => "check_http",
        name => name,
    });
    repository().join("target/tools/root").join(path)
}

/// Returns the path of a file in `examples/deploy`.
#[must_use]
pub fn deploy(path: &str) -> PathBuf {
    repository().join("examples/deploy").join(path)
}

/// Returns a command that runs a script of `tests/consumers` with Python and the packages of the consumers.
#[must_use]
pub fn consumer(script: &str) -> Command {
    needs("python");
    let mut command = Command::new(repository().join("target/tools/python/bin/python"));
    command.arg(repository().join("tests/consumers").join(script));
    command
}

/// Runs a program to its end with this input. Returns its exit code and its output.
///
/// # Panics
///
/// Panics if the program is missing: `tests/run` installs it.
#[must_use]
pub fn said(command: &mut Command, input: &[u8]) -> (Option<i32>, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs the program"));
    // A program that needs no more input may close its end.
    let _ = child.stdin.take().expect("the program's input").write_all(input);
    let output = child.wait_with_output().expect("the program's output");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// Returns a copy of a file in `examples/deploy` with one text replaced.
///
/// # Panics
///
/// Panics if the file does not contain the text.
#[must_use]
pub fn changed(file: &str, from: &str, to: &str) -> (TempDir, PathBuf) {
    let text = std::fs::read_to_string(deploy(file)).expect("a file of the examples");
    assert!(text.contains(from), "{file} does not contain {from}");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("changed");
    std::fs::write(&path, text.replacen(from, to, 1)).expect("a file");
    (folder, path)
}
