//! File trees that show a host as Linux presents it to a process. In the text form, a line `==> path <==` precedes
//! each file.

use std::{fs, path::Path};

use tempfile::TempDir;

/// Returns the path and the text of each file of a tree.
///
/// # Panics
///
/// Panics if the text is not a tree.
pub fn sections(tree: &str) -> impl Iterator<Item = (&str, &str)> {
    tree.split("==> ").skip(1).map(|file| file.split_once(" <==\n").expect("a path and a text"))
}

/// Writes a tree into a temporary directory.
///
/// # Panics
///
/// Panics if the text is not a tree or a file cannot be written.
#[must_use]
pub fn plant(tree: &str) -> TempDir {
    let root = tempfile::tempdir().expect("a temporary directory");
    sections(tree).for_each(|(path, text)| write(root.path(), path, text));
    root
}

/// Writes a file of a tree.
///
/// # Panics
///
/// Panics if the file cannot be written.
pub fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}
