//! Trees of files as Linux shows a host to a process: every file below its path, `==> path <==`.

use std::{fs, path::Path};

use tempfile::TempDir;

/// The files of a tree: the path and the text of each.
///
/// # Panics
///
/// It is no tree.
pub fn sections(tree: &str) -> impl Iterator<Item = (&str, &str)> {
    tree.split("==> ").skip(1).map(|file| file.split_once(" <==\n").expect("a path and a text"))
}

/// Puts a tree on disk.
///
/// # Panics
///
/// It is no tree, or cannot be written.
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
/// It cannot be written.
pub fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}
