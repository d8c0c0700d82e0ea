//! Lines of the sources have at most 120 characters.

use std::{fs, path::Path};

use health_tests::tools::repository;

const MOST: usize = 120;

#[test]
fn no_line_of_the_sources_is_wider_than_120_characters() {
    let (mut wide, mut files) = (Vec::new(), 0);
    let mut folders = vec![repository()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !path.is_symlink() && name != "target" && name != ".git" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| ["rs", "py", "sh"].iter().any(|it| extension == *it)) {
                files += 1;
                wide.extend(wide_lines(&path));
            }
        }
    }
    assert!(files > 300, "{files} files");
    assert!(wide.is_empty(), "{} lines are wider than {MOST} characters:\n{}", wide.len(), wide.join("\n"));
}

/// Returns the places of lines that are too wide. An address, a row of a table in a comment and a raw text cannot be
/// broken.
fn wide_lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let is_whole = |line: &str| line.contains("://") || line.trim_start().starts_with("//! |") || line.contains("r#\"");
    let wide = text.lines().enumerate().filter(|(_, line)| line.chars().count() > MOST && !is_whole(line));
    wide.map(|(number, _)| format!("{}:{}", path.display(), number + 1)).collect()
}
