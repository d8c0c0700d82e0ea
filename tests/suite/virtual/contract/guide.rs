//! The guide is complete: every page is in its summary, every check has a page, and every page with Rust code is
//! compiled.

use std::{collections::BTreeSet, fs, path::PathBuf};

use health_tests::{
    module_graph::Crate,
    tools::{guide_pages, repository},
};

/// Returns the pages of the guide, relative to its folder.
fn pages() -> BTreeSet<String> {
    let root = repository().join("docs/src");
    let relative = |page: PathBuf| page.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    guide_pages().into_iter().map(relative).filter(|page| page != "SUMMARY.md").collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = read("docs/src/SUMMARY.md");
    let missing: Vec<_> = pages().into_iter().filter(|page| !summary.contains(&format!("({page})"))).collect();
    assert!(missing.is_empty(), "SUMMARY.md has no link to {missing:?}");
}

#[test]
fn every_check_has_a_page() {
    let sources = Crate::read(&repository().join("health-core/src/lib.rs")).unwrap();
    let checks: BTreeSet<&str> = sources
        .modules()
        .filter(|(_, module)| module.implements.contains("Check"))
        .filter_map(|(path, _)| match &path[..] {
            [room, check, ..] if room == "checks" => Some(check.as_str()),
            _ => None,
        })
        .collect();
    assert!(checks.len() > 30, "{checks:?}");
    let pages = pages();
    let missing: Vec<_> = checks.iter().filter(|check| !pages.contains(&format!("checks/{check}.md"))).collect();
    assert!(missing.is_empty(), "the guide has no page for {missing:?}");
}

#[test]
fn every_page_with_rust_code_is_compiled() {
    let compiled = read("tests/src/guide.rs");
    let has_code = |page: &String| read(&format!("docs/src/{page}")).contains("```rust");
    let missing: Vec<_> =
        pages().into_iter().filter(has_code).filter(|page| !compiled.contains(&format!("docs/src/{page}\""))).collect();
    assert!(missing.is_empty(), "tests/src/guide.rs does not include {missing:?}");
}

#[test]
fn the_readme_has_at_most_150_lines() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines");
}
