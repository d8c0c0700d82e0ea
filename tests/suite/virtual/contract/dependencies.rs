//! The crates that the packages bring: their number, and that none of them chooses TLS or a runtime for the user.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use health_tests::program::cargo;

fn tree(package: &str, arguments: &[&str]) -> BTreeSet<String> {
    let output = cargo()
        .args(["tree", "--quiet", "--edges", "normal", "--prefix", "none", "--package", package])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

#[test]
fn the_core_stays_small_and_chooses_no_tls() {
    let core = tree("health-core", &["--no-default-features"]);
    assert!(core.len() <= 22, "{} crates: {core:?}", core.len());
    let all = tree("health-core", &["--all-features"]);
    // `certificate` and `nats` bring rustls without a cryptography provider, so they choose no TLS stack.
    for tls in ["native-tls", "openssl", "openssl-sys", "ring", "aws-lc-rs", "aws-lc-sys", "webpki-roots"] {
        assert!(!all.contains(tls), "a feature brings {tls}");
    }
    for runtime in ["async-std", "async-global-executor", "smol", "actix-rt", "mio-st"] {
        assert!(!all.contains(runtime), "a feature brings {runtime}");
    }
}

/// A worker without an HTTP server uses `health-hyper`. The test counts the crates that `health-hyper` adds to the
/// core: without its default features, which are the page and signals, and with all features.
#[test]
fn health_hyper_adds_few_crates_to_the_core() {
    for (ours, core, most) in [
        (&["--no-default-features"][..], &["--no-default-features"][..], 15),
        (&["--all-features"], &["--no-default-features", "--features", "html,signal"], 12),
    ] {
        let (ours, core) = (tree("health-hyper", ours), tree("health-core", core));
        let added: Vec<_> = ours.difference(&core).collect();
        assert!(added.len() <= most && core.is_subset(&ours), "{} crates: {added:?}", added.len());
    }
}

/// Covers the crates that `cargo run --example hello` of an adapter builds.
#[test]
fn the_minimal_example_of_an_adapter_builds_no_other_framework() {
    let frameworks = ["actix-web", "axum", "warp"];
    for (adapter, its) in [("actix", "actix-web"), ("axum", "axum"), ("hyper", ""), ("warp", "warp")] {
        let crates = tree(&format!("health-{adapter}"), &["--edges", "normal,dev"]);
        let others: Vec<_> = frameworks.iter().filter(|name| **name != its && crates.contains(**name)).collect();
        assert!(others.is_empty(), "health-{adapter} brings {others:?}");
    }
}

/// The default features of axum, without `form`, `json` and `query`, whose crates the workspace has not fetched.
const AXUM: &str = r#""http1", "matched-path", "original-uri", "tokio", "tower-log", "tracing""#;

/// Compares the crates of an application, which is axum's first example with Tokio's feature `full`, without and with
/// `health-axum`. The application is outside of the workspace, because Cargo would unify its features with those of the
/// workspace. `serde_json` takes the place of the crates of axum's feature `json`.
#[test]
fn health_axum_adds_few_crates_to_an_axum_application() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let crates_with = |dependency: &str| {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("src")).unwrap();
        fs::write(directory.path().join("src/main.rs"), "fn main() {}\n").unwrap();
        let manifest = format!(
            "[package]\nname = \"application\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
             axum = {{ version = \"0.8\", default-features = false, features = [{AXUM}] }}\n\
             serde_json = \"1\"\ntokio = {{ version = \"1\", features = [\"full\"] }}\n{dependency}\n"
        );
        fs::write(directory.path().join("Cargo.toml"), manifest).unwrap();
        fs::copy(root.join("Cargo.lock"), directory.path().join("Cargo.lock")).unwrap();
        let output = cargo()
            .args(["tree", "--quiet", "--offline", "--edges", "normal", "--prefix", "none"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect::<BTreeSet<String>>()
    };
    let application = crates_with("");
    let added_by = |options: &str| {
        let ours = crates_with(&format!("health-axum = {{ path = {:?}{options} }}", root.join("health-axum")));
        ours.difference(&application).cloned().collect::<Vec<String>>()
    };
    let without_page = added_by(", default-features = false");
    assert!(without_page.len() <= 7, "{} crates: {without_page:?}", without_page.len());
    let added = added_by("");
    assert!(added.len() <= 10, "{} crates: {added:?}", added.len());
    assert!(added.iter().any(|name| *name == "health-core"), "{added:?}");
}

/// Returns the part of a version that Cargo treats as compatible: `0.14` of `0.14.2`, `4` of `4.12`.
fn compatible(requirement: &str) -> String {
    let parts: Vec<&str> = requirement.trim_start_matches('^').split('.').collect();
    let length = if parts[0] == "0" { 2 } else { 1 };
    parts[..length].join(".")
}

/// The README's table has the driver of every check and its version. `health_core::drivers` re-exports the same
/// drivers.
#[test]
fn the_readme_names_every_driver_and_its_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = cargo().args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(root).output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let core =
        metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "health-core").unwrap();
    let versions: BTreeMap<&str, String> = core["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"].is_null())
        .map(|dependency| (dependency["name"].as_str().unwrap(), compatible(dependency["req"].as_str().unwrap())))
        .collect();

    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let rows = readme.lines().skip_while(|line| !line.starts_with("| check | feature | driver |")).skip(2);
    let mut named = BTreeSet::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let driver = row.split('|').nth(3).unwrap().trim();
        if let Some((name, version)) = driver.split_once(' ') {
            assert_eq!(versions.get(name).map(String::as_str), Some(version), "{row}");
            named.insert(name.replace('-', "_"));
        }
    }

    let library = fs::read_to_string(root.join("health-core/src/lib.rs")).unwrap();
    let library = syn::parse_file(&library).unwrap();
    let drivers = library.items.iter().find_map(|item| match item {
        syn::Item::Mod(module) if module.ident == "drivers" => module.content.as_ref(),
        _ => None,
    });
    let exported = drivers.unwrap().1.iter().filter_map(|item| match item {
        syn::Item::Use(item) => match &item.tree {
            syn::UseTree::Name(name) => Some(name.ident.to_string()),
            _ => None,
        },
        _ => None,
    });
    // The README's table lists only checks. Publishers take the metrics facades, and the endpoint returns utoipa's
    // document.
    let others = ["metrics", "opentelemetry", "utoipa"].map(str::to_owned);
    assert_eq!(exported.collect::<BTreeSet<_>>(), named.into_iter().chain(others).collect::<BTreeSet<_>>());
}
