//! What the architecture promises of the sources themselves.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use health_tests::program::cargo;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn source(path: &str) -> String {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    // Tests and examples of a file may do what the file may not.
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn answering_and_rendering_do_no_io_and_wait_for_nothing() {
    for path in [
        "endpoint.rs",
        "endpoint_options.rs",
        "route.rs",
        "query.rs",
        "negotiate.rs",
        "visibility.rs",
        "wire.rs",
        "format.rs",
        "snapshot.rs",
        "policy.rs",
        "plan.rs",
        "report.rs",
        "totals.rs",
        "bounds.rs",
        "redact.rs",
        "status.rs",
        "families.rs",
        "publish/webhook/news.rs",
        "publish/webhook/notice.rs",
        "render/json.rs",
        "render/health_json.rs",
        "render/prometheus.rs",
        "render/text.rs",
        "render/writer.rs",
    ] {
        let text = source(&format!("health-core/src/{path}"));
        for word in ["tokio::", ".await", "async fn", "Mutex", "RwLock", "std::fs", "std::net::Tcp", "crate::checks"] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn one_place_publishes() {
    let text = source("health-core/src/board.rs");
    assert_eq!(text.matches("published.swap(").count() + text.matches("published.store(").count(), 1);
}

#[test]
fn a_ready_made_check_imports_only_the_contract_and_its_driver() {
    let checks = root().join("health-core/src/checks");
    for entry in std::fs::read_dir(checks).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = source(&format!("health-core/src/checks/{name}"));
        for word in
            ["crate::board", "crate::scheduler", "crate::snapshot", "crate::policy", "crate::endpoint", "tracing"]
        {
            assert!(!text.contains(word), "{name} has {word}");
        }
    }
}

#[test]
fn adapters_decide_nothing() {
    for adapter in ["actix", "axum", "warp"] {
        let text = source(&format!("health-{adapter}/src/lib.rs"));
        for word in ["503", "\"/health", "\"/livez", "no-store", "serde", "Visibility", "application/"] {
            assert!(!text.contains(word), "health-{adapter} has {word}");
        }
    }
}

#[test]
fn a_checks_feature_file_module_and_test_share_one_name() {
    let manifest = source("health-core/Cargo.toml");
    assert!(!manifest.contains("?/"), "a weak feature reaches into a driver");
    let module = source("health-core/src/checks/mod.rs");
    let features = features();
    let mut checks = 0;
    let modules = module.lines().map(|line| line.trim_start_matches("pub(crate) "));
    for line in modules.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')) {
        assert!(root().join(format!("health-core/src/checks/{line}.rs")).exists(), "no file {line}");
        // What several checks share, and the closures, whose test is that of the scheduler.
        if ["blocking", "cgroup", "closure", "limits", "pool", "resolve", "upstream_document"].contains(&line) {
            continue;
        }
        assert!(has_test("checks", line), "no test {line}");
        checks += 1;
    }
    assert!(checks > 25, "{checks} checks");
    let publishers = source("health-core/src/publish/mod.rs");
    for line in publishers.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')) {
        assert!(root().join(format!("health-core/src/publish/{line}.rs")).exists(), "no file {line}");
        assert!(has_test("consumers", line), "no test {line}");
    }
    for feature in features.iter().filter(|feature| !["serde", "signal", "testing"].contains(&feature.as_str())) {
        let gated = |visible| format!("#[cfg(feature = \"{feature}\")]\n{visible}mod {feature};");
        let has_it = |text: &str| text.contains(&gated("")) || text.contains(&gated("pub(crate) "));
        assert!(has_it(&module) || has_it(&publishers), "the feature {feature} has no module of its name");
    }
}

/// Whether a test of that name is of the virtual or of the real kind.
fn has_test(group: &str, name: &str) -> bool {
    ["virtual", "real"].iter().any(|kind| root().join(format!("tests/suite/{kind}/{group}/{name}.rs")).exists())
}

/// The features of the core but the default one, which is empty.
fn features() -> Vec<String> {
    let manifest = source("health-core/Cargo.toml");
    let section = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()));
    let (default, others): (Vec<String>, Vec<String>) = names.partition(|name| name == "default");
    assert_eq!(default.len(), 1);
    assert!(section.contains("default = []"), "default features add no driver");
    others
}

/// What a green result proves and what not, an example, and the least privilege: in the file of every check.
#[test]
fn every_check_says_what_it_proves_and_what_it_needs() {
    let shared =
        ["blocking", "cgroup", "closure", "limits", "mod", "pool", "pool_tests", "resolve", "upstream_document"];
    for entry in std::fs::read_dir(root().join("health-core/src/checks")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if shared.contains(&name) || name == "upstream_document_tests" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let first: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let first = first.replace("//!", "");
        assert!(
            first.contains("roves") && (first.contains("not prove") || first.contains("not  prove")),
            "{name}: {first}"
        );
        for words in ["Least privilege: ", "```"] {
            assert!(text.contains(words), "{name} has no {words}");
        }
    }
}

/// Each is checked alone, with nothing else.
#[test]
fn the_continuous_integration_builds_each_feature_alone() {
    let script = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    let line = script.lines().find(|line| line.starts_with("for feature in ")).unwrap();
    for feature in features() {
        assert!(
            line.split_whitespace().any(|word| word.trim_end_matches(';') == feature),
            "{feature} is not in {line}"
        );
    }
}

fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = cargo()
        .args(["tree", "--quiet", "--edges", "normal", "--prefix", "none", "--package", "health-core"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

#[test]
fn the_core_stays_small_and_chooses_no_tls() {
    let core = tree(&["--no-default-features"]);
    assert!(core.len() <= 22, "{} crates: {core:?}", core.len());
    let all = tree(&["--all-features"]);
    // rustls comes with `certificate` and `nats`, without the cryptography that makes it a stack of TLS.
    for tls in ["native-tls", "openssl", "openssl-sys", "ring", "aws-lc-rs", "aws-lc-sys", "webpki-roots"] {
        assert!(!all.contains(tls), "a feature brings {tls}");
    }
    for runtime in ["async-std", "async-global-executor", "smol", "actix-rt", "mio-st"] {
        assert!(!all.contains(runtime), "a feature brings {runtime}");
    }
}
