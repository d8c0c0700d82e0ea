//! The compiler wrapper `tests/lint` fails a build whose code clippy warns of.

use std::{fs, path::Path};

use health_tests::{
    program::cargo,
    tools::{repository, said},
};

const GOOD: &str = "//! A crate.

/// Returns whether a list is empty.
#[must_use]
pub fn has_none(list: &[u8]) -> bool {
    list.is_empty()
}
";

/// Builds a crate and its tests with the wrapper. Returns the exit code and the output.
fn build(folder: &Path, source: &str) -> (Option<i32>, String) {
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = "[package]\nname = \"linted\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), source).unwrap();
    let mut cargo = cargo();
    cargo.args(["build", "--lib", "--tests", "--offline", "--color", "never"]).current_dir(folder);
    cargo.env("CARGO_TARGET_DIR", folder.join("target"));
    said(cargo.env("RUSTC_WORKSPACE_WRAPPER", repository().join("tests/lint")), b"")
}

#[test]
fn good_code_is_compiled_and_its_artifacts_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let (code, output) = build(folder.path(), GOOD);
    assert_eq!(code, Some(0), "{output}");
    assert!(folder.path().join("target/debug/liblinted.rlib").exists(), "{output}");
}

#[test]
fn a_warning_of_clippy_fails_the_build_of_a_crate_and_of_its_tests() {
    for (source, lint) in [
        (GOOD.replace("list.is_empty()", "list.len() == 0"), "clippy::len-zero"),
        (GOOD.replace("list.is_empty()", "return list.is_empty();"), "clippy::needless-return"),
        (format!("{GOOD}\n#[test]\nfn test() {{\n    assert!(\"\".len() == 0);\n}}\n"), "clippy::len-zero"),
        (GOOD.replace("list.is_empty()", "let unused = 1;\n    list.is_empty()"), "unused-variables"),
        (GOOD.replace("list.is_empty()", "list.is_none()"), "no method named `is_none`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for turn in ["first", "second"] {
            let (code, output) = build(folder.path(), &source);
            assert_eq!(code, Some(101), "{turn} build of {source}: {output}");
            assert!(output.contains(lint), "{turn} build of {source}: {output}");
        }
    }
}
