//! The checker of links reports every kind of broken link, and no other.

use std::{fs, process::Command};

use health_tests::tools::{repository, said};

/// Runs `tests/links` on a folder with these files, and returns its exit code and its output.
fn links(files: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    said(Command::new("python3").arg(repository().join("tests/links")).arg(folder.path()), b"")
}

#[test]
fn good_links_of_markdown_and_html_pass() {
    let (code, output) = links(&[
        ("a.md", "# One `two`\n[up](#one-two) [b](b.md#end-1) [c](c.html#x) [other](https://example.org/none)\n"),
        ("b.md", "## End\n## End\n`[code](none.md)`\n```text\n[code](none.md)\n```\n[by reference][a]\n\n[a]: a.md\n"),
        ("c.html", "<p id=\"x\"><a href=\"a.md\">a</a> <a href=\"d.html#y\">moved</a></p>"),
        ("d.html", "<meta http-equiv=\"refresh\" content=\"0;URL=e.html\">"),
        ("e.html", "<a name=\"y\" href=\"#y\">y</a>"),
        // rustdoc repeats the documentation of other crates in its last section.
        ("f.html", "<h2 id=\"blanket-implementations\"></h2><a href=\"gone.html\">gone</a>"),
    ]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("0 broken"), "{output}");
}

#[test]
fn each_kind_of_broken_link_is_reported() {
    for (name, text, why) in [
        ("a.md", "[gone](gone.md)", "gone.md: no such file"),
        ("a.md", "![gone](gone.png)", "gone.png: no such file"),
        ("a.md", "# One\n[two](#two)", "#two: no such heading"),
        ("a.md", "[by reference][x]\n\n[x]: gone.md\n", "gone.md: no such file"),
        ("a.md", "[root](/gone.md)", "begins at the root"),
        ("a.html", "<a href=\"gone.html\">gone</a>", "gone.html: no such file"),
        ("a.html", "<p id=\"one\"><a href=\"#two\">two</a></p>", "#two: no such heading or element"),
        ("a.html", "<img src=\"gone.png\">", "gone.png: no such file"),
        ("a.html", "<a href=\"gone.html\">gone</a><h2 id=\"blanket-implementations\"></h2>", "gone.html: no such file"),
    ] {
        let (code, output) = links(&[(name, text)]);
        assert_eq!(code, Some(1), "{text}: {output}");
        assert!(output.contains(why) && output.contains("1 broken"), "{text}: {output}");
    }
}
